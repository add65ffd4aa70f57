//! Tests bodies and parts that are encoded or written in unusual ways. The api reads them correctly, or refuses them
//! with a message that names the encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;

use crate::file_names::{form_with_name, name_of_picture, post_form};
use crate::test_server::{FED, PNG, TestServer};

#[tokio::test]
async fn unusual_content_types_are_read() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for (content_type, boundary) in [
        ("multipart/form-data ; boundary=B", "B"),
        ("multipart/form-data;boundary=B;charset=UTF-8", "B"),
        ("multipart/form-data; charset=UTF-8 ;  boundary = B", "B"),
        ("Multipart/Form-Data; BOUNDARY=\"B\"", "B"),
        ("multipart/form-data; boundary=\"a b:c\"", "a b:c"),
        ("multipart/form-data; boundary=\"a;b=c\" ; x=y", "a;b=c"),
    ] {
        let form = form_with_name("Profile", b"filename=a.png");
        let (first, last) = (form.strip_prefix(b"--B").unwrap(), format!("\r\n--{boundary}--\r\n"));
        let first = first.strip_suffix(b"\r\n--B--\r\n").unwrap();
        let body = [format!("--{boundary}").as_bytes(), first, last.as_bytes()].concat();
        let request = jane.request(Method::POST, "/api/dropbox/pictures").header("content-type", content_type);
        let response = request.body(body).send().await.unwrap();
        assert_eq!(name_of_picture(&server, response).await, "a.png", "{content_type}");
    }
}

#[tokio::test]
async fn the_refusal_of_a_compressed_body_names_the_encoding() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let send = async |path: &str, method: Method, content_type: &str, encoding: &str, body: Vec<u8>| {
        let request = jane.request(method, path).header("content-type", content_type);
        let response = request.header("content-encoding", encoding).body(body).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    };
    let form = || form_with_name("Profile", b"filename=a.png");
    let multipart = "multipart/form-data; boundary=B";
    for (encoding, named) in [("gzip", "\"gzip\""), ("identity, BR", "\"BR\"")] {
        let (status, text) = send("/api/dropbox/pictures", Method::POST, multipart, encoding, form()).await;
        assert_eq!(status, 415);
        assert!(text.contains(named), "{text}");
        let (status, text) =
            send(&format!("/api/users/jane.{FED}"), Method::PUT, "application/json", encoding, Vec::new()).await;
        assert_eq!(status, 415);
        assert!(text.contains("gzip") || text.contains("BR"), "{text}");
        // The contract of the documents API has no 415.
        let (status, text) = send("/documents/api/1.2/files/data", Method::POST, multipart, encoding, form()).await;
        assert_eq!(status, 400);
        assert!(text.contains("gzip") || text.contains("BR"), "{text}");
    }
    assert_eq!(send("/api/dropbox/pictures", Method::POST, multipart, "identity", form()).await.0, 200);
    assert_eq!(server.staged_files(), 0);
}

/// A form whose part has these headers and this content.
fn form_with_headers(headers: &str, content: &[u8]) -> Vec<u8> {
    [format!("--B\r\n{headers}\r\n\r\n").as_bytes(), content, b"\r\n--B--\r\n"].concat()
}

#[tokio::test]
async fn an_encoded_part_is_decoded_or_its_encoding_is_named() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let base64 = BASE64.encode(PNG);
    let lines: Vec<&str> = base64.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
    let quoted: String = PNG.iter().map(|byte| format!("={byte:02X}")).collect();
    let quoted: Vec<&str> = quoted.as_bytes().chunks(75).map(|line| str::from_utf8(line).unwrap()).collect();
    for (encoding, content) in
        [("Base64", base64.clone()), ("base64", lines.join("\r\n")), ("quoted-printable", quoted.join("=\r\n"))]
    {
        let disposition = "Content-Disposition: form-data; name=\"primaryFile\"; filename=\"a.png\"";
        let headers = format!("{disposition}\r\nContent-Transfer-Encoding: {encoding}");
        let response =
            post_form(&jane, "/documents/api/1.2/files/data", form_with_headers(&headers, content.as_bytes())).await;
        assert_eq!(response.status(), 201, "{encoding}");
        let file: serde_json::Value = response.json().await.unwrap();
        assert_eq!(file["size"], PNG.len().to_string(), "{encoding}");
        let path = format!("/documents/api/1.2/files/{}/data", file["id"].as_str().unwrap());
        assert_eq!(jane.get(&path).await.bytes().await.unwrap(), PNG, "{encoding}");
    }
    for (encoding, content) in [("x-uuencode", PNG), ("base64", PNG), ("quoted-printable", b"=zz")] {
        let headers = format!(
            "Content-Disposition: form-data; name=\"Profile\"; filename=\"a.png\"\r\nContent-Transfer-Encoding: {encoding}"
        );
        let response = post_form(&jane, "/api/dropbox/pictures", form_with_headers(&headers, content)).await;
        assert_eq!(response.status(), 400, "{encoding}");
        let text = response.text().await.unwrap();
        assert!(text.contains(encoding), "{text}");
    }
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn part_headers_may_be_folded_and_lines_may_end_with_lf() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for headers in [
        "Content-Disposition: form-data; name=\"Profile\";\r\n filename=\"a.png\"",
        "Content-Disposition:\r\n\tform-data;\r\n\tname=\"Profile\";\r\n\tfilename=\"a.png\"\r\nContent-Type: image/png",
        "Content-Disposition: form-data; name=\"Profile\"; filename=\"a.png\"\nContent-Type: image/png",
    ] {
        let response = post_form(&jane, "/api/dropbox/pictures", form_with_headers(headers, PNG)).await;
        assert_eq!(name_of_picture(&server, response).await, "a.png", "{headers}");
    }
}
