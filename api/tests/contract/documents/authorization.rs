//! Missing permissions and missing files: each error body is compared byte for byte, in JSON and in XML.

use domain::{FileId, FileRole};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::error_bodies::assert_refused;
use super::{api_request, share, start_server, status_and_text, upload_file, upload_rendition};
use crate::test_server::{FED, header};

#[tokio::test]
async fn errors_of_missing_and_invalid_credentials() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    let about = ("file", id.as_str());
    let path = format!("/documents/api/1.1/files/{id}/data/rendition");
    let no = |message| (401, "-1", "!csNotLoggedIn", message);
    let nobody = || server.anonymous(Method::POST, &path);
    assert_refused(nobody, about, no("You are not logged in; log in first.")).await;
    let basic = || nobody().header("authorization", "Basic amFuZTpqYW5l");
    assert_refused(
        basic,
        about,
        no("The Authorization header has no bearer token; send \"Authorization: Bearer <token>\"."),
    )
    .await;
    assert_refused(|| nobody().bearer_auth("junk"), about, no("The session is not valid; log in again.")).await;
    let how = format!(
        "send the raw value of the cookie Csrf-Token_{FED} in the header X-Csrf-Token_{FED}, or with hyphens for its \
         underscores if a proxy drops those."
    );
    let message = format!("The CSRF token is missing; {how}");
    assert_refused(|| jane.request_without_csrf(Method::POST, &path), about, (401, "-1", "!csCsrf", &message)).await;
    let message = format!("The CSRF token is not valid; {how}");
    let forged = || jane.request_without_csrf(Method::POST, &path).header(format!("X-Csrf-Token_{FED}"), "x");
    assert_refused(forged, about, (401, "-1", "!csCsrf", &message)).await;
    let mut gone = server.backends.records.user("joe").await.unwrap().unwrap();
    gone.disabled = true;
    server.backends.records.upsert_user(&gone).await.unwrap();
    server.clock.advance(server.settings.realm.session_cache_time);
    assert_refused(
        || nobody().bearer_auth(&joe.session),
        about,
        no("The account is disabled; ask an administrator to enable it."),
    )
    .await;
    server.clock.advance(std::time::Duration::from_secs(31 * 60));
    assert_refused(|| nobody().bearer_auth(&jane.session), about, no("The session has expired; log in again.")).await;
}

#[tokio::test]
async fn errors_of_a_role_that_is_too_low_for_each_operation() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    assert_eq!(upload_rendition(&jane, &id, "small", b"x").await.status(), 200);
    let link = async |path: &str, body: Value| {
        let made = api_request(&jane, Method::POST, &format!("/{path}/file/{id}")).json(&body).send().await.unwrap();
        made.json::<Value>().await.unwrap()
    };
    let public = link("publiclinks", json!({"assignedUsers": "joe"})).await["linkID"].as_str().unwrap().to_owned();
    let app = link("applinks", json!({"assignedUser": "joe"})).await["appLinkID"].as_str().unwrap().to_owned();
    let file = |path: &str| (format!("/files/{id}{path}"), ("file", id.as_str()));
    let get_uploaded = "/data/rendition?rendition=small&renditionType=uploaded";
    for (role, method, (path, about), key, sentence, service) in [
        (None, Method::GET, file(""), "!csFileUnableToGetInfo", "Unable to get the file information.", "GET_FILE_INFO"),
        (
            None,
            Method::GET,
            file("/data/renditions"),
            "!csRenditionsUnableToList",
            "Unable to list the renditions.",
            "LIST_RENDITIONS",
        ),
        (
            Some(FileRole::Viewer),
            Method::GET,
            file(get_uploaded),
            "!csRenditionsUnableToGet",
            "Unable to get the rendition.",
            "GET_RENDITION",
        ),
        (
            Some(FileRole::Viewer),
            Method::GET,
            file("/data"),
            "!csFileUnableToGet",
            "Unable to get the file.",
            "GET_FILE",
        ),
        (
            Some(FileRole::Downloader),
            Method::POST,
            file("/data/rendition"),
            "!csRenditionsUnableToAdd",
            "Unable to add the rendition.",
            "ADD_RENDITION",
        ),
        (
            Some(FileRole::Downloader),
            Method::DELETE,
            file(get_uploaded),
            "!csRenditionsUnableToDelete",
            "Unable to delete the rendition.",
            "DELETE_RENDITION",
        ),
        (
            Some(FileRole::Downloader),
            Method::POST,
            file("/data"),
            "!csFileUnableToAddVersion",
            "Unable to add the file version.",
            "ADD_FILE_VERSION",
        ),
        (
            Some(FileRole::Contributor),
            Method::POST,
            (format!("/applinks/file/{id}"), ("applink", &id)),
            "!csLinkUnableToAdd",
            "Unable to share the file.",
            "SHARE_FILE",
        ),
        (
            Some(FileRole::Contributor),
            Method::GET,
            (format!("/applinks/{app}"), ("applink", "")),
            "!csLinkUnableToGet",
            "Unable to get the file's links.",
            "GET_LINKS",
        ),
        (
            Some(FileRole::Contributor),
            Method::DELETE,
            (format!("/applinks/{app}"), ("applink", "")),
            "!csLinkUnableToDelete",
            "Unable to delete the link.",
            "DELETE_LINK",
        ),
        (
            Some(FileRole::Contributor),
            Method::GET,
            (format!("/publiclinks/{public}"), ("publiclink", "")),
            "!csLinkUnableToGet",
            "Unable to get the file's links.",
            "GET_LINKS",
        ),
    ] {
        if let Some(role) = role {
            share(&server, &id, "joe", role).await;
        }
        let key = format!("{key}!csCloudItemInsufficientPrivileges,joe, of the test,fFileGUID:{id},{service}");
        let message =
            format!("{sentence} User 'joe, of the test' has insufficient privilege to access fFileGUID:{id}.");
        assert_refused(|| api_request(&joe, method.clone(), &path), about, (403, "-20", &key, &message)).await;
    }
}

#[tokio::test]
async fn errors_of_files_renditions_links_and_paths_that_do_not_exist() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    assert_eq!(upload_rendition(&jane, &id, "text", b"x").await.status(), 200);
    let elsewhere: FileId = "EXT-1".parse().unwrap();
    server.backends.records.register_file(&elsewhere, "plan.docx", "jane", 1, None).await.unwrap().unwrap();
    let rendition = |message| (404, "-16", "!csRenditionNotFound", message);
    let version = (404, "-16", "!csFileVersionNotFound", "The file version was not found.");
    let gone = rendition("The rendition was not found.");
    let hint = rendition("The rendition was not found. One that was uploaded is found with renditionType=uploaded.");
    let picture =
        rendition("The rendition was not found. It would be made of a picture, and there is none that can be shown.");
    let no_file = (404, "-16", "!csFileNotFound", "The file was not found.");
    let no_link = (404, "-16", "!csLinkNotFound", "The link was not found.");
    let nothing = (404, "-1", "!csNotFound", "There is nothing at this path.");
    let kind = "The value of 'renditionType' is not valid: it is system or uploaded.";
    let only = |methods| (405, "-1", "!csMethodNotAllowed", methods);
    let ours = |path: &str| (format!("/files/{id}{path}"), ("file", id.as_str()));
    for (method, (path, about), words) in [
        (Method::GET, ("/files/none".to_owned(), ("file", "none")), no_file),
        (Method::GET, ("/files/a%20%FF/versions".to_owned(), ("file", "a \u{FFFD}")), no_file),
        (Method::GET, ours("?version=2"), version),
        (Method::GET, ours("/data?version=x"), version),
        (Method::GET, ours("/data/rendition?rendition=none&renditionType=uploaded"), gone),
        (Method::DELETE, ours("/data/rendition?rendition=none"), gone),
        (Method::GET, ours("/data/thumbnail?rendition=none"), gone),
        (Method::GET, ours("/data/rendition?rendition=text"), hint),
        (Method::GET, ours("/data/thumbnail?rendition=text"), picture),
        (Method::GET, ("/files/EXT-1/data/rendition?rendition=page1".to_owned(), ("file", "EXT-1")), picture),
        (
            Method::GET,
            ("/files/EXT-1/data".to_owned(), ("file", "EXT-1")),
            (404, "-16", "!csFileContentNotFound", "The content of the file is kept in another system."),
        ),
        (
            Method::GET,
            ours("/data/rendition"),
            (400, "-97", "!csRequiredFieldMissing,rendition", "Required field 'rendition' is missing."),
        ),
        (Method::GET, ours("/data/renditions?renditionType=all"), (400, "-97", "!csInvalidValue,renditionType", kind)),
        (Method::GET, ("/publiclinks/Lnone".to_owned(), ("publiclink", "")), no_link),
        (Method::DELETE, ("/publiclinks/Lnone".to_owned(), ("publiclink", "")), no_link),
        (Method::GET, ("/applinks/Lnone".to_owned(), ("applink", "")), no_link),
        (Method::DELETE, ("/applinks/Lnone".to_owned(), ("applink", "")), no_link),
        (Method::GET, ("/folders/F1".to_owned(), ("file", "")), nothing),
        (Method::PATCH, ours(""), only("This path supports GET, HEAD, DELETE only.")),
        (Method::PUT, ours("/data/rendition"), only("This path supports GET, HEAD, POST, DELETE only.")),
        (Method::GET, ("/applinks/token".to_owned(), ("applink", "")), only("This path supports PUT only.")),
    ] {
        let headers = assert_refused(|| api_request(&jane, method.clone(), &path), about, words).await;
        assert_eq!(headers.contains_key("allow"), words.0 == 405, "{path}");
    }
    let send = || server.anonymous(Method::GET, &format!("/documents/api/1.3/files/{id}"));
    let message = "There are versions 1.1 and 1.2 of this API.";
    assert_refused(send, ("file", &id), (404, "-1", "!csNotFound", message)).await;
    // A 416 says the length of the file in a header and has no body.
    let beyond: Response = api_request(&jane, Method::GET, &format!("/files/{id}/data"))
        .header("range", "bytes=999999-")
        .send()
        .await
        .unwrap();
    assert!(header(&beyond, "content-range").starts_with("bytes */"));
    assert_eq!(status_and_text(beyond).await, (416, String::new()));
}
