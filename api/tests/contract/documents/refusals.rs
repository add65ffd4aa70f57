//! The order in which things are looked at, and what is no address. What is said word by word is in `bodies`.

use reqwest::Method;
use upload::FileRole;

use super::{add, call, file, form, get, json_part, post, refused, share, stand};
use crate::stand::header;

#[tokio::test]
async fn the_order_is_401_404_403_400_409() {
    let stand = stand().await;
    let (jane, joe) = (stand.login("jane").await, stand.login("joe").await);
    let id = file(&jane).await;
    assert_eq!(add(&jane, &id, "small", b"x").await.status(), 200);
    // Everything is wrong at once, and mended one by one.
    let nobody = stand.nobody(Method::POST, "/documents/api/1.1/files/none/data/rendition").body("junk");
    assert_eq!(refused(nobody.send().await.unwrap()).await.0, 401);
    let bad = stand.nobody(Method::POST, "/documents/api/1.1/files/none/data/rendition").bearer_auth("junk");
    assert_eq!(refused(bad.body("junk").send().await.unwrap()).await.0, 401);
    let unknown = call(&joe, Method::POST, "/files/none/data/rendition").body("junk").send().await.unwrap();
    assert_eq!(refused(unknown).await, (404, "-16".to_owned(), "!csFileNotFound".to_owned()));
    let path = format!("/files/{id}/data/rendition");
    assert_eq!(refused(call(&joe, Method::POST, &path).body("junk").send().await.unwrap()).await.0, 403);
    share(&stand, &id, "joe", FileRole::Contributor).await;
    let (status, code, _) = refused(call(&joe, Method::POST, &path).body("junk").send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (400, "-1"));
    assert_eq!(refused(post(&joe, &path, form(&[json_part(r#"{"name":"small"}"#)])).await).await.0, 400);
    assert_eq!(refused(add(&joe, &id, "small", b"x").await).await.0, 409);
    assert_eq!(stand.staged(), 0);
}

#[tokio::test]
async fn rights_come_before_bytes() {
    let stand = stand().await;
    let (jane, joe) = (stand.login("jane").await, stand.login("joe").await);
    let id = file(&jane).await;
    // A body that never comes: the answer does.
    let body = reqwest::Body::wrap_stream(futures_of_nothing());
    let request = call(&joe, Method::POST, &format!("/files/{id}/data/rendition"))
        .header("content-type", "multipart/form-data; boundary=B")
        .header("content-length", "1000000")
        .body(body);
    assert_eq!(refused(request.send().await.unwrap()).await.0, 403);
    assert_eq!(stand.staged(), 0);
}

fn futures_of_nothing() -> futures::stream::Pending<Result<Vec<u8>, std::io::Error>> {
    futures::stream::pending()
}

#[tokio::test]
async fn versions_methods_and_addresses_that_are_none() {
    let stand = stand().await;
    let jane = stand.login("jane").await;
    let id = file(&jane).await;
    for version in ["1.0", "1.3", "2", "1.1x"] {
        let path = format!("/documents/api/{version}/files/{id}");
        let response = stand.nobody(Method::GET, &path).bearer_auth(&jane.session).send().await.unwrap();
        assert_eq!(response.status(), 404, "{version}");
    }
    let response = call(&jane, Method::PATCH, &format!("/files/{id}/data/rendition")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "allow")), (405, "GET, HEAD, POST, DELETE"));
    assert_eq!(refused(response).await.1, "-1");
    assert_eq!(refused(get(&jane, "/folders/none").await).await, (404, "-1".to_owned(), "!csNotFound".to_owned()));
    for (path, status) in [
        (format!("/files/{id}?version=2"), 404),
        (format!("/files/{id}?version=x"), 404),
        (format!("/files/{id}/data/renditions?renditionType=other"), 400),
        (format!("/files/{id}/data/rendition"), 400),
        (format!("/files/{id}/data/rendition?rendition=page2"), 404),
        (format!("/files/{id}/data/rendition?rendition=small&renditionType=uploaded"), 404),
        ("/files/a%20b".to_owned(), 404),
        (format!("/files/{}", "x".repeat(65)), 404),
    ] {
        assert_eq!(refused(get(&jane, &path).await).await.0, status, "{path}");
    }
}
