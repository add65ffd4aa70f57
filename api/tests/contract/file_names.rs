//! Tests file names in the encodings that clients use. A picture and a file keep the same name.

use reqwest::Method;
use serde_json::Value;

use crate::test_server::{Login, PNG, TestServer};

/// A form with one file. `filename` is the whole parameter of Content-Disposition, written as it is.
pub(crate) fn form_with_name(field: &str, filename: &[u8]) -> Vec<u8> {
    let head = format!("--B\r\nContent-Disposition: form-data; name=\"{field}\"; ");
    [head.as_bytes(), filename, b"\r\nContent-Type: image/png\r\n\r\n", PNG, b"\r\n--B--\r\n"].concat()
}

/// Sends a form whose boundary is `B`.
pub(crate) async fn post_form(login: &Login<'_>, path: &str, body: Vec<u8>) -> reqwest::Response {
    let request = login.request(Method::POST, path).header("content-type", "multipart/form-data; boundary=B");
    request.body(body).send().await.unwrap()
}

/// The file name in the records of the picture whose upload got this response.
pub(crate) async fn name_of_picture(server: &TestServer, response: reqwest::Response) -> String {
    let status = response.status();
    let id = response.text().await.unwrap();
    assert_eq!(status, 200, "{id}");
    server.backends.records.upload(id.parse().unwrap()).await.unwrap().unwrap().filename
}

#[tokio::test]
async fn file_names_are_decoded_from_the_encodings_of_clients() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for (filename, expected) in [
        (&b"filename*=UTF-8''gr%C3%B6%C3%9Fe.png; filename=\"wrong.png\""[..], "größe.png"),
        (b"filename=\"wrong.png\"; filename*=ISO-8859-1'de'gr%F6%DFe.png", "größe.png"),
        (b"filename*0*=UTF-8''gr%C3%B6; filename*1*=%C3%9Fe.png", "größe.png"),
        (b"filename=\"=?UTF-8?B?Z3LDtsOfZS5wbmc=?=\"", "größe.png"),
        (b"filename=\"=?ISO-8859-1?Q?gr=F6=DFe=2Epng?=\"", "größe.png"),
        (b"filename=\"gr\xF6\xDFe.png\"", "größe.png"),
        (b"FileName=\"a.png\"", "a.png"),
        (b"FILENAME = my cat.png", "my cat.png"),
        (b"filename=\"a\\\"b.png\"", "a\"b.png"),
        (b"filename=\"a\"b.png\"", "a\"b.png"),
        (b"filename=\"C:\\Users\\jane\\cat.png\"", "cat.png"),
        (b"filename=\"\\\\server\\share\\cat.png\"", "cat.png"),
        (b"filename=\"/home/jane/cat.png\"", "cat.png"),
        (b"filename=\"a%22b.png\"", "a\"b.png"),
        (b"filename=\"gr%C3%B6%C3%9Fe%20a.png\"", "größe a.png"),
        (b"filename=\"..%2F..%2Fcat.png\"", "cat.png"),
        (b"filename=\"100%.png\"", "100%.png"),
        (b"filename=\"100%25 %zz.png\"", "100%25 %zz.png"),
    ] {
        let shown = String::from_utf8_lossy(filename);
        let response = post_form(&jane, "/api/dropbox/pictures", form_with_name("Profile", filename)).await;
        assert_eq!(name_of_picture(&server, response).await, expected, "{shown}");
        let path = "/documents/api/1.2/files/data";
        let response = post_form(&jane, path, form_with_name("primaryFile", filename)).await;
        assert_eq!(response.status(), 201, "{shown}");
        let file: Value = response.json().await.unwrap();
        assert_eq!(file["name"], expected, "{shown}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_decoded_is_refused_with_a_reason() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for filename in [&b"filename*=klingon''a.png"[..], b"filename*=UTF-8''%FF.png", b"filename=\"a.png"] {
        let shown = String::from_utf8_lossy(filename);
        let response = post_form(&jane, "/api/dropbox/pictures", form_with_name("Profile", filename)).await;
        assert_eq!(response.status(), 400, "{shown}");
        let path = "/documents/api/1.2/files/data";
        let response = post_form(&jane, path, form_with_name("primaryFile", filename)).await;
        assert_eq!(response.status(), 400, "{shown}");
        assert!(response.text().await.unwrap().contains("header of a part of the form"), "{shown}");
    }
    assert_eq!(server.staged_files(), 0);
}
