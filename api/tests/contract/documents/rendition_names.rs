//! Tests rendition names at their length limits, names that are equal, and invalid JSON.

use super::{
    error_fields, file_part, form, json_part, part, post, start_server, status_and_text, upload_file, upload_rendition,
};
use crate::test_server::TestServer;

#[tokio::test]
async fn a_name_has_at_most_28_characters() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    // Characters are counted in the composed form of a name, in which "e" and the first accent are one character.
    for (one, most) in [("a", 27), ("𝔘", 27), ("\u{301}", 28)] {
        let (fits, not) = (format!("e{}", one.repeat(most)), format!("e{}", one.repeat(most + 1)));
        assert_eq!(upload_rendition(&jane, &id, &fits, b"x").await.status(), 200, "{one}");
        let refusal = error_fields(upload_rendition(&jane, &id, &not, b"x").await).await;
        assert_eq!(refusal, (400, "-97".to_owned(), "!csRenditionsNameTooLong,28".to_owned()), "{one}");
    }
}

#[tokio::test]
async fn each_forbidden_character_is_refused() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let expected = (400, "-97".to_owned(), "!csRenditionsInvalidName".to_owned());
    for c in "/\\<>[]{}=$%'*\"?:#&^.,|\u{1}\u{7F}\n".chars() {
        assert_eq!(error_fields(upload_rendition(&jane, &id, &c.to_string(), b"x").await).await, expected, "{c:?}");
    }
    for name in [" a", "a "] {
        assert_eq!(error_fields(upload_rendition(&jane, &id, name, b"x").await).await, expected, "{name:?}");
    }
    let strictly = async |name: &str| {
        let json = serde_json::json!({"name": name}).to_string();
        let path = format!("/documents/api/1.2/files/{id}/data/rendition");
        let request = server.anonymous(reqwest::Method::POST, &path).bearer_auth(&jane.session);
        let request = request.header("content-type", "multipart/form-data; boundary=B");
        request.body(form(&[file_part(b"x"), json_part(&json)])).send().await.unwrap()
    };
    for name in ["größe", "a b", "a!", "ａ"] {
        assert_eq!(error_fields(strictly(name).await).await, expected, "{name}");
    }
    assert_eq!(strictly("Small-2_x").await.status(), 200);
}

#[tokio::test]
async fn names_that_differ_only_in_case_or_composition_are_equal() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    for (first, second, status) in [
        ("small", "SMALL", 409),
        ("small", "ſmall", 409),
        ("ﬁle", "FIle", 409),
        ("caf\u{E9}", "CAFE\u{301}", 409),
        ("dot", "dıt", 200),
        ("diz", "dız", 200),
    ] {
        let id = upload_file(&jane).await;
        assert_eq!(upload_rendition(&jane, &id, first, b"x").await.status(), 200, "{first}");
        assert_eq!(upload_rendition(&jane, &id, second, b"x").await.status(), status, "{first} {second}");
    }
}

#[tokio::test]
async fn invalid_json_is_refused() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let deep = format!("{{\"name\":\"a\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let entity = "<?xml version=\"1.0\"?><!DOCTYPE n [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><name>&e;</name>";
    for json in [
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":"a","name ":"b"}"#,
        &deep,
        entity,
        "[]",
        "\"name\"",
        "{",
        "{\"name\":\"a\nb\"}",
        "{\"name\":\"\\ud800\"}",
    ] {
        let path = format!("/files/{id}/data/rendition");
        let body = form(&[file_part(b"x"), json_part(json)]);
        let (status, text) = status_and_text(post(&jane, &path, body).await).await;
        assert_eq!(status, 400, "{json:.60} {text}");
        assert!(text.contains(r#""errorCode":"-1""#) && !text.contains("root:"), "{text}");
    }
    let not_utf_8 = form(&[file_part(b"x"), part("name=\"parameters\"", b"{\"name\":\"\xFF\"}")]);
    assert_eq!(error_fields(post(&jane, &format!("/files/{id}/data/rendition"), not_utf_8).await).await.0, 400);
    nothing_stays(&server);
    let with_byte_order_mark = form(&[file_part(b"x"), json_part("\u{FEFF}{\"name\":\"marked\"}")]);
    assert_eq!(post(&jane, &format!("/files/{id}/data/rendition"), with_byte_order_mark).await.status(), 200);
}

fn nothing_stays(server: &TestServer) {
    assert_eq!(server.staged_files(), 0);
}
