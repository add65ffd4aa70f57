//! The table of errors, each body to the byte, and the order in which things are looked at.

use reqwest::Method;
use upload::FileRole;

use super::{add, call, file, file_part, form, get, json_part, post, refused, said, share, stand};
use crate::stand::header;

fn body(code: &str, key: &str, message: &str, id: &str) -> String {
    format!(
        r#"{{"errorCode":"{code}","errorKey":"{key}","errorMessage":"{message}","errorType":"file","id":"{id}","title":"{message}","type":"https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html"}}"#
    )
}

#[tokio::test]
async fn a_taken_name_in_json_and_xml() {
    let stand = stand().await;
    let jane = stand.login("jane").await;
    let id = file(&jane).await;
    assert_eq!(add(&jane, &id, "small", b"x").await.status(), 200);
    let message = "The 'SMALL' attachment already exists. No attachments will be added.";
    let expected = body("-17", "!csRenditionsUnableToAddDuplicateName,SMALL", message, &id);
    assert_eq!(said(add(&jane, &id, "SMALL", b"x").await).await, (409, expected));
    let response = call(&jane, Method::POST, &format!("/files/{id}/data/rendition"))
        .header("content-type", "multipart/form-data; boundary=B")
        .header("accept", "application/xml")
        .body(form(&[file_part(b"x"), json_part(r#"{"name":"ſmall"}"#)]));
    let message = "The &apos;ſmall&apos; attachment already exists. No attachments will be added.";
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><file><errorCode>-17</errorCode>\
         <errorKey>!csRenditionsUnableToAddDuplicateName,ſmall</errorKey><errorMessage>{message}</errorMessage>\
         <errorType>file</errorType><id>{id}</id><title>{message}</title>\
         <type>https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html</type></file>"
    );
    assert_eq!(said(response.send().await.unwrap()).await, (409, expected));
    assert_eq!(stand.staged(), 0);
}

#[tokio::test]
async fn names_that_break_a_rule() {
    let stand = stand().await;
    let jane = stand.login("jane").await;
    let id = file(&jane).await;
    let path = format!("/files/{id}/data/rendition");
    let missing = body("-97", "!csRequiredFieldMissing,name", "Required field 'name' is missing.", &id);
    let long = "The name of a rendition has at most 28 characters.";
    let long = body("-97", "!csRenditionsNameTooLong,28", long, &id);
    let invalid = "The name of the rendition has a character that is not allowed in it.";
    let invalid = body("-97", "!csRenditionsInvalidName", invalid, &id);
    let very_long = format!(r#"{{"name":"{}"}}"#, "n".repeat(29));
    for (json, expected) in [
        ("{}", &missing),
        (r#"{"name":""}"#, &missing),
        (r#"{"name":null}"#, &missing),
        (very_long.as_str(), &long),
        (r#"{"name":"a.b"}"#, &invalid),
        (r#"{"name":7}"#, &invalid),
        (r#"{"name":["a"]}"#, &invalid),
    ] {
        let response = post(&jane, &path, form(&[file_part(b"x"), json_part(json)])).await;
        assert_eq!(said(response).await, (400, expected.clone()), "{json}");
    }
    let nameless = post(&jane, &path, form(&[file_part(b"x")])).await;
    assert_eq!(said(nameless).await, (400, missing));
    assert_eq!(stand.staged(), 0);
}

#[tokio::test]
async fn a_role_that_is_too_low() {
    let stand = stand().await;
    let (jane, joe) = (stand.login("jane").await, stand.login("joe").await);
    let id = file(&jane).await;
    assert_eq!(add(&jane, &id, "small", b"x").await.status(), 200);
    let who = "joe, of the test";
    let words = |key: &str, sentence: &str, service: &str| {
        let key = format!("{key}!csCloudItemInsufficientPrivileges,{who},fFileGUID:{id},{service}");
        let message = format!("{sentence} User '{who}' has insufficient privilege to access fFileGUID:{id}.");
        body("-20", &key, &message, &id)
    };
    share(&stand, &id, "joe", FileRole::Viewer).await;
    let expected = words("!csRenditionsUnableToAdd", "Unable to add the rendition.", "ADD_RENDITION");
    assert_eq!(said(add(&joe, &id, "b", b"x").await).await, (403, expected));
    let one = format!("/files/{id}/data/rendition?rendition=small&renditionType=uploaded");
    let expected = words("!csRenditionsUnableToGet", "Unable to get the rendition.", "GET_RENDITION");
    assert_eq!(said(get(&joe, &one).await).await, (403, expected));
    let expected = words("!csRenditionsUnableToDelete", "Unable to delete the rendition.", "DELETE_RENDITION");
    assert_eq!(said(call(&joe, Method::DELETE, &one).send().await.unwrap()).await, (403, expected));
    stand.places.records.unshare_file(&id.parse().unwrap(), "joe").await.unwrap();
    let expected = words("!csRenditionsUnableToList", "Unable to list the renditions.", "LIST_RENDITIONS");
    assert_eq!(said(get(&joe, &format!("/files/{id}/data/renditions")).await).await, (403, expected));
    let expected = words("!csFileUnableToGetInfo", "Unable to get the file information.", "GET_FILE_INFO");
    assert_eq!(said(get(&joe, &format!("/files/{id}")).await).await, (403, expected));
}

#[tokio::test]
async fn the_rest_of_the_table_to_the_byte() {
    let stand = stand().await;
    let jane = stand.login("jane").await;
    let id = file(&jane).await;
    let path = format!("/documents/api/1.1/files/{id}/data/rendition");
    let nobody = || stand.nobody(Method::POST, &path);
    let expected = body("-1", "!csNotLoggedIn", "nobody is logged in; log in again", &id);
    assert_eq!(said(nobody().send().await.unwrap()).await, (401, expected));
    let unknown = get(&jane, "/files/none/data/renditions").await;
    assert_eq!(said(unknown).await, (404, body("-16", "!csFileNotFound", "The file was not found.", "none")));
    let gone = "The rendition was not found.";
    let deleted =
        call(&jane, Method::DELETE, &format!("/files/{id}/data/rendition?rendition=none")).send().await.unwrap();
    assert_eq!(said(deleted).await, (404, body("-16", "!csRenditionNotFound", gone, &id)));
    let fileless = post(&jane, &format!("/files/{id}/data/rendition"), form(&[json_part(r#"{"name":"a"}"#)])).await;
    let expected = body("-97", "!csRequiredFieldMissing,file", "Required field 'file' is missing.", &id);
    assert_eq!(said(fileless).await, (400, expected));
    let no_link = nobody().header("linkID", "Lnone").send().await.unwrap();
    let expected = "The link is not valid, or has expired. Ask for a new one.";
    assert_eq!(said(no_link).await, (400, body("-26", "!csLinkInvalid", expected, &id)));
    let link = serde_json::json!({"assignedUsers": "@everybody", "password": "12345678"});
    let made = call(&jane, Method::POST, &format!("/publiclinks/file/{id}")).json(&link).send().await.unwrap();
    let link = made.json::<serde_json::Value>().await.unwrap()["linkID"].as_str().unwrap().to_owned();
    let no_code = nobody().header("linkID", link).send().await.unwrap();
    let expected = "The access code must be provided to access the link.";
    assert_eq!(said(no_code).await, (403, body("-18", "!csAccessCodeRequiredForLinkAccess", expected, &id)));
    let not_a_form = call(&jane, Method::POST, &format!("/files/{id}/data/rendition")).json(&()).send().await.unwrap();
    let expected = body("-1", "!csBadMultipart", "send the file as multipart/form-data", &id);
    assert_eq!(said(not_a_form).await, (400, expected));
}

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
