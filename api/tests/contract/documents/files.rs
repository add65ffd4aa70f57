//! Tests new files, new versions, file information, and files of another system.

use domain::FileRole;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    SERVICE_KEY, api_request, error_fields, form, get, part, post, share, start_server, status_and_text, upload_file,
    upload_rendition,
};
use crate::test_server::{FED, PNG, header};

#[tokio::test]
async fn a_new_file_has_the_documented_information() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let body = form(&[
        part("name=\"jsonInputParameters\"", b"{}"),
        part("name=\"primaryFile\"; filename=\"a b.txt\"", b"text"),
    ]);
    let response = post(&jane, "/files/data", body).await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (201, "application/json"));
    let made: Value = response.json().await.unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 44 && id.starts_with('D'), "{id}");
    let person = r#"{"displayName":"jane, of the test","id":"jane","type":"user"}"#;
    let expected = format!(
        r#"{{"errorCode":"0","id":"{id}","type":"file","name":"a b.txt","version":"1","createdBy":{person},"createdTime":"2026-11-21T12:00:00Z","modifiedBy":{person},"modifiedTime":"2026-11-21T12:00:00Z","ownedBy":{person},"size":"4","mimeType":"application/octet-stream"}}"#
    );
    assert_eq!(status_and_text(get(&jane, &format!("/files/{id}")).await).await, (200, expected));
    let missing = post(&jane, "/files/data", form(&[part("name=\"file\"; filename=\"a\"", b"text")])).await;
    assert_eq!(error_fields(missing).await, (400, "-97".to_owned(), "!csRequiredFieldMissing,primaryFile".to_owned()));
    let xml =
        api_request(&jane, Method::GET, &format!("/files/{id}")).header("accept", "text/xml").send().await.unwrap();
    let text = xml.text().await.unwrap();
    assert!(text.contains("<name>a b.txt</name><version>1</version><createdBy><displayName>jane, of"), "{text}");
}

#[tokio::test]
async fn a_new_version_begins_without_renditions_and_the_old_ones_stay() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    assert_eq!(upload_rendition(&jane, &id, "small", b"of the first").await.status(), 200);
    let body = form(&[part("name=\"primaryFile\"; filename=\"second.txt\"", b"the second")]);
    let second: Value = post(&jane, &format!("/files/{id}/data"), body).await.json().await.unwrap();
    assert_eq!((&second["version"], &second["name"]), (&json!("2"), &json!("second.txt")));
    let path = format!("/files/{id}/data/rendition?rendition=small&renditionType=uploaded");
    assert_eq!(get(&jane, &path).await.status(), 404);
    assert_eq!(get(&jane, &format!("{path}&version=1")).await.text().await.unwrap(), "of the first");
    assert_eq!(
        upload_rendition(&jane, &id, "small", b"of the second").await.status(),
        200,
        "the name is free in the new version"
    );
    assert_eq!(get(&jane, &format!("/files/{id}/data?version=1")).await.bytes().await.unwrap(), PNG);
    assert_eq!(get(&jane, &format!("/files/{id}/data")).await.text().await.unwrap(), "the second");
    let versions: Value = get(&jane, &format!("/files/{id}/versions")).await.json().await.unwrap();
    assert_eq!((&versions["count"], &versions["items"][0]["version"]), (&json!("2"), &json!("1")));
    for (limit, count) in [("1", "1"), ("2", "2"), ("3", "2")] {
        let versions: Value = get(&jane, &format!("/files/{id}/versions?limit={limit}")).await.json().await.unwrap();
        assert_eq!((&versions["count"], &versions["items"][0]["version"]), (&json!(count), &json!("1")));
    }
    for limit in ["0", "-1", "x"] {
        assert_eq!(get(&jane, &format!("/files/{id}/versions?limit={limit}")).await.status(), 400, "{limit}");
    }
    let deleted = api_request(&jane, Method::DELETE, &format!("{path}&version=1")).send().await.unwrap();
    assert_eq!(deleted.status(), 200, "a rendition of an old version can be deleted");
    assert_eq!(get(&jane, &path).await.text().await.unwrap(), "of the second");
}

#[tokio::test]
async fn file_information_lists_renditions_and_whether_they_exist() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    upload_rendition(&jane, &id, "small", b"x").await;
    let list = async || {
        let info: Value = get(&jane, &format!("/files/{id}?includeRenditions=true")).await.json().await.unwrap();
        let name = |item: &Value| (item["name"].as_str().unwrap().to_owned(), item["exists"].as_bool().unwrap());
        info["renditions"].as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    let entry = |name: &str, exists| (name.to_owned(), exists);
    assert_eq!(list().await, [entry("thumbnail1", true), entry("page1", false), entry("small", true)]);
    get(&jane, &format!("/files/{id}/data/rendition?rendition=page1")).await;
    assert_eq!(list().await, [entry("thumbnail1", true), entry("page1", true), entry("small", true)]);
    assert!(get(&jane, &format!("/files/{id}")).await.json::<Value>().await.unwrap()["renditions"].is_null());
}

#[tokio::test]
async fn an_upload_into_a_file_is_not_a_dropbox_picture() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    upload_file(&jane).await;
    assert_eq!(jane.get("/api/dropbox/pictures/1001").await.status(), 404);
    assert_eq!(jane.claim("users/jane", "1001").await.status(), 404);
    assert_eq!(jane.crop("1001", "x=0&y=0&w=10&h=10").await.status(), 404);
}

#[tokio::test]
async fn another_system_registers_a_file_and_shares_it() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let system = async |method: Method, path: &str, body: Value| {
        let response = server.anonymous(method, path).bearer_auth(SERVICE_KEY).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap_or_default())
    };
    let registration = json!({"Name": "plan.docx", "Owner": "jane", "Version": 7, "Users": {"joe": "contributor"}});
    let (status, known) = system(Method::PUT, "/service/files/EXT-1", registration).await;
    assert_eq!((status, &known["Version"], &known["Owner"]), (200, &json!(7), &json!(format!("jane.{FED}"))));
    assert_eq!(upload_rendition(&joe, "EXT-1", "small", b"x").await.status(), 200);
    let info: Value = get(&joe, "/files/EXT-1").await.json().await.unwrap();
    assert_eq!((&info["version"], &info["name"], &info["size"]), (&json!("7"), &json!("plan.docx"), &Value::Null));
    assert_eq!(get(&joe, "/files/EXT-1/data").await.status(), 404, "another system has the bytes");
    assert_eq!(get(&joe, "/files/EXT-1/data/thumbnail").await.status(), 404);
    assert_eq!(system(Method::DELETE, "/service/files/EXT-1/users/joe", json!({})).await.0, 204);
    assert_eq!(
        upload_rendition(&joe, "EXT-1", "large", b"x").await.status(),
        403,
        "the revocation takes effect at once"
    );
    assert_eq!(system(Method::PUT, "/service/files/EXT-1/users/joe", json!({"Role": "viewer"})).await.0, 204);
    assert_eq!(get(&joe, "/files/EXT-1").await.status(), 200);
    let next = json!({"Name": "plan.docx", "Owner": "jane", "Version": 8});
    assert_eq!(system(Method::PUT, "/service/files/EXT-1", next).await.1["Users"][format!("joe.{FED}")], "viewer");
    let list: Value = get(&joe, "/files/EXT-1/data/renditions?renditionType=uploaded").await.json().await.unwrap();
    assert_eq!(list["items"], json!([]), "a new version has no renditions");
    for (path, body, status) in [
        ("/service/files/EXT-1", json!({"Name": "x", "Owner": "jane", "Version": 0}), 400),
        ("/service/files/EXT-1", json!({"Name": "x", "Owner": "jane", "Version": 9, "Users": {"joe": "owner"}}), 400),
        ("/service/files/a%20b", json!({"Name": "x", "Owner": "jane", "Version": 1}), 400),
        ("/service/files/EXT-2/users/joe", json!({"Role": "viewer"}), 404),
    ] {
        assert_eq!(system(Method::PUT, path, body.clone()).await.0, status, "{path} {body}");
    }
    let ours = upload_file(&jane).await;
    let body = json!({"Name": "x", "Owner": "joe", "Version": 2});
    assert_eq!(
        system(Method::PUT, &format!("/service/files/{ours}"), body).await.0,
        409,
        "another system cannot register a file of this server"
    );
    let path = format!("/service/files/{ours}");
    assert_eq!(server.anonymous(Method::GET, &path).bearer_auth(&jane.session).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn contributors_add_versions() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    let body = || form(&[part("name=\"primaryFile\"; filename=\"b.txt\"", b"b")]);
    share(&server, &id, "joe", FileRole::Downloader).await;
    assert_eq!(error_fields(post(&joe, &format!("/files/{id}/data"), body()).await).await.0, 403);
    share(&server, &id, "joe", FileRole::Contributor).await;
    let made: Value = post(&joe, &format!("/files/{id}/data"), body()).await.json().await.unwrap();
    let who = ["createdBy", "modifiedBy", "ownedBy"].map(|member| &made[member]["id"]);
    assert_eq!(who, ["jane", "joe", "jane"]);
    assert_eq!(server.staged_files(), 0);
}
