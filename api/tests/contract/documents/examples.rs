//! Sends the contract's examples exactly as they are printed. In each of them the file comes before the parameters, the
//! `.png` has the content type of a JPEG, and the part with the parameters is called `parameters`. Two examples have
//! line breaks inside a JSON string. JSON does not allow that, so the api refuses them.

use super::{api_request, start_server, status_and_text, upload_file};
use crate::test_server::{PNG, TestServer};

const CONTENT_TYPE: &str = "multipart/form-data; boundary=---------------------------4664151417711";

/// A request body as the contract prints it, with the picture inserted.
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

async fn send(server: &TestServer, bodies: &[(Vec<u8>, u16)]) {
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    for (body, status) in bodies {
        let request = api_request(&jane, reqwest::Method::POST, &format!("/files/{id}/data/rendition"));
        let (received, text) =
            status_and_text(request.header("content-type", CONTENT_TYPE).body(body.clone()).send().await.unwrap())
                .await;
        assert_eq!(received, *status, "{text}");
        match status {
            200 => assert_eq!(text, format!(r#"{{"errorCode":"0","id":"{id}","type":"file"}}"#)),
            409 => {
                assert!(text.contains("The 'small' attachment already exists. No attachments will be added."), "{text}")
            }
            _ => assert!(text.contains(r#""errorCode":"-1""#) && text.contains("!csBadJson"), "{text}"),
        }
    }
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn the_first_example_is_accepted_and_its_duplicate_is_refused() {
    let body =
        || example("small", "{\r\n\"name\":\"small\",\r\n\"description\":\"jellyfish small custom rendition\"\r\n}");
    send(&start_server().await, &[(body(), 200), (body(), 409)]).await;
}

#[tokio::test]
async fn line_breaks_inside_a_json_string_are_refused() {
    let first = example("medium", "{\"name\":\"medium\",\"description\":\"jellyfish medium\r\ncustom rendition\"}");
    let second = example("large", "{\"name\":\"large\n\",\"description\":\"jellyfish large custom rendition\"}");
    send(&start_server().await, &[(first, 400), (second, 400)]).await;
}
