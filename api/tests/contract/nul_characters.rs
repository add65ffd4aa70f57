//! Tests texts with U+0000. The api refuses them, whatever database it uses, because no database stores them.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::documents::{
    api_request, error_fields, file_part, form, json_part, post, start_server, status_and_text, upload_file,
    upload_rendition,
};
use crate::test_server::{FED, Login, PASSWORD};

const NO_NUL: &str = "the character U+0000 is not allowed";

async fn assert_nul_refused(response: Response, what: &str) {
    let (status, text) = status_and_text(response).await;
    assert_eq!(status, 400, "{what}: {text}");
    assert!(text.contains(NO_NUL), "{what}: {text}");
}

#[tokio::test]
async fn nul_is_refused_in_bodies_of_the_dropbox() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    for (email, password) in [("ja\0ne@example.com", PASSWORD), ("jane@example.com", "\0")] {
        let login = server.anonymous(Method::POST, "/api/login").json(&json!({"email": email, "password": password}));
        assert_nul_refused(login.send().await.unwrap(), "a login").await;
    }
    let claim = async |body: &Value| {
        let request = jane.request(Method::PUT, &format!("/api/users/jane.{FED}")).json(body);
        request.send().await.unwrap()
    };
    assert_nul_refused(claim(&json!({"Name": "TravelApp\0"})).await, "a name").await;
    assert_nul_refused(claim(&json!({"Na\0me": "TravelApp"})).await, "the name of a member").await;
    assert_eq!(
        claim(&json!({"Name": "a \\u0000 b"})).await.status(),
        200,
        "a backslash followed by u0000 is allowed in a name"
    );
    assert_nul_refused(jane.crop("1001", "x=0&y=0&w=1%00&h=1").await, "a crop").await;
    let request = server.anonymous(Method::POST, "/page/login");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let page = request.body(format!("email=%00&password={PASSWORD}")).send().await.unwrap();
    assert_nul_refused(page, "a form of the page").await;
}

#[tokio::test]
async fn nul_is_refused_in_bodies_and_addresses_of_the_documents() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let rendition = async |parameters: &str| {
        let body = form(&[file_part(b"x"), json_part(parameters)]);
        post(&jane, &format!("/files/{id}/data/rendition"), body).await
    };
    assert_nul_refused(rendition(r#"{"name":"small","description":"a\u0000"}"#).await, "a description").await;
    assert_nul_refused(rendition(r#"{"name":"small\u0000"}"#).await, "a name").await;
    assert_eq!(server.staged_files(), 0);
    let link = json!({"assignedUsers": "@everybody", "linkName": "a\0"});
    let link = api_request(&jane, Method::POST, &format!("/publiclinks/file/{id}")).json(&link).send().await.unwrap();
    assert_nul_refused(link, "a link's name").await;

    upload_rendition(&jane, &id, "small", b"x").await;
    for (method, path) in [
        (Method::GET, "rendition?rendition=%00"),
        (Method::GET, "rendition?rendition=small%00&renditionType=uploaded"),
        (Method::DELETE, "rendition?rendition=small%00"),
        (Method::GET, "thumbnail?rendition=small%00"),
        (Method::GET, "rendition?rendition=small&renditionType=uploaded&version=%00"),
        (Method::GET, "renditions?renditionType=%00"),
    ] {
        assert_nul_refused(api_request(&jane, method, &format!("/files/{id}/data/{path}")).send().await.unwrap(), path)
            .await;
    }
    for (method, path, key) in [
        (Method::GET, "/files/%00", "!csFileNotFound"),
        (Method::GET, "/publiclinks/%00", "!csLinkNotFound"),
        (Method::DELETE, "/publiclinks/L%00", "!csLinkNotFound"),
        (Method::DELETE, "/applinks/%00", "!csLinkNotFound"),
        (Method::POST, "/applinks/file/%00", "!csFileNotFound"),
    ] {
        assert_not_found(&jane, method, path, key).await;
    }
}

async fn assert_not_found(jane: &Login<'_>, method: Method, path: &str, key: &str) {
    let (status, code, said) = error_fields(api_request(jane, method, path).send().await.unwrap()).await;
    assert_eq!((status, code.as_str(), said.as_str()), (404, "-16", key), "{path}");
}
