//! The documented examples as they are printed: the file before the parameters, a `.png` that says it is a JPEG, parameters
//! under the name that the examples use. Two have line breaks inside a text of the JSON, which JSON does not allow.

use super::{call, file, said, stand};
use crate::stand::{PNG, Stand};

const KIND: &str = "multipart/form-data; boundary=---------------------------4664151417711";

/// A request body as the reference prints one, with the picture in its place.
fn example(name: &str, parameters: &str) -> Vec<u8> {
    let boundary = "-----------------------------4664151417711";
    [
        format!(
            "{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}.png\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        )
        .as_bytes(),
        PNG,
        format!(
            "\r\n{boundary}\r\nContent-Disposition: form-data; name=\"parameters\"\r\n\r\n{parameters}\r\n{boundary}--\r\n"
        )
        .as_bytes(),
    ]
    .concat()
}

async fn send(stand: &Stand, bodies: &[(Vec<u8>, u16)]) {
    let jane = stand.login("jane").await;
    let id = file(&jane).await;
    for (body, status) in bodies {
        let request = call(&jane, reqwest::Method::POST, &format!("/files/{id}/data/rendition"));
        let (said, text) = said(request.header("content-type", KIND).body(body.clone()).send().await.unwrap()).await;
        assert_eq!(said, *status, "{text}");
        match status {
            200 => assert_eq!(text, format!(r#"{{"errorCode":"0","id":"{id}","type":"file"}}"#)),
            409 => {
                assert!(text.contains("The 'small' attachment already exists. No attachments will be added."), "{text}")
            }
            _ => assert!(text.contains(r#""errorCode":"-1""#) && text.contains("!csBadJson"), "{text}"),
        }
    }
    assert_eq!(stand.staged(), 0);
}

#[tokio::test]
async fn the_first_and_the_duplicate() {
    let body =
        || example("small", "{\r\n\"name\":\"small\",\r\n\"description\":\"jellyfish small custom rendition\"\r\n}");
    send(&stand().await, &[(body(), 200), (body(), 409)]).await;
}

#[tokio::test]
async fn line_breaks_inside_a_text_are_a_clean_400() {
    let first = example("medium", "{\"name\":\"medium\",\"description\":\"jellyfish medium\r\ncustom rendition\"}");
    let second = example("large", "{\"name\":\"large\n\",\"description\":\"jellyfish large custom rendition\"}");
    send(&stand().await, &[(first, 400), (second, 400)]).await;
}
