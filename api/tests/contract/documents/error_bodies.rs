//! Tests errors in the request itself: each error body is compared byte for byte, in JSON and in XML. Permissions and
//! paths are tested in `authorization`, links in `invalid_links`. Conflicts and internal failures are tested in
//! `failures`.

use bytesize::ByteSize;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{
    api_request, file_part, form, json_part, part, start_server, status_and_text, upload_file, upload_rendition,
};
use crate::test_server::{TestServer, header};

/// The expected error: status, errorCode, errorKey, errorMessage.
pub(super) type ExpectedError<'a> = (u16, &'a str, &'a str, &'a str);

const STATUS_REFERENCE_URL: &str = "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html";

pub(super) const CONTENT_TYPES: [&str; 2] = ["application/json", "application/xml"];

/// Asserts that the request is refused with this error in each response format. Returns the headers of the last
/// response.
pub(super) async fn assert_refused(
    send: impl Fn() -> RequestBuilder,
    about: (&str, &str),
    words: ExpectedError<'_>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for content_type in CONTENT_TYPES {
        let response = send().header("accept", content_type).send().await.unwrap();
        headers.clone_from(response.headers());
        assert_error_body(content_type, response, about, words).await;
    }
    headers
}

/// Compares an error body byte for byte. `about` is errorType and, if there is one, the id. `{n}` in the message stands
/// for the number of bytes that the api had received when it refused the request. It is read from the response.
pub(super) async fn assert_error_body(
    content_type: &str,
    response: Response,
    about: (&str, &str),
    words: ExpectedError<'_>,
) {
    let (status, code, key, message) = words;
    assert_eq!(header(&response, "content-type"), content_type);
    let (said, text) = status_and_text(response).await;
    let received = text.split_once("at least ").and_then(|(_, rest)| rest.split_once(' ')).map_or("", |(n, _)| n);
    let message = message.replace("{n}", received);
    let mut members = vec![("errorCode", code), ("errorKey", key), ("errorMessage", &message), ("errorType", about.0)];
    if !about.1.is_empty() {
        members.push(("id", about.1));
    }
    members.extend([("title", message.as_str()), ("type", STATUS_REFERENCE_URL)]);
    let expected = if content_type == "application/json" { as_json(&members) } else { as_xml(about.0, &members) };
    assert_eq!((said, text), (status, expected));
}

fn as_json(members: &[(&str, &str)]) -> String {
    let all: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{}", Value::from(*value))).collect();
    format!("{{{}}}", all.join(","))
}

fn as_xml(root: &str, members: &[(&str, &str)]) -> String {
    let escaped = |value: &str| {
        let marks = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&apos;")];
        marks.iter().fold(value.to_owned(), |text, (mark, entity)| text.replace(mark, entity))
    };
    let all: String = members.iter().map(|(name, value)| format!("<{name}>{}</{name}>", escaped(value))).collect();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{root}>{all}</{root}>")
}

pub(super) fn with_form(request: RequestBuilder, parts: &[Vec<u8>]) -> RequestBuilder {
    request.header("content-type", "multipart/form-data; boundary=B").body(form(parts))
}

/// The bodies as the contract prints them. They are written out by hand, so that one test does not depend on
/// [`as_json`] and [`as_xml`].
#[tokio::test]
async fn the_error_of_a_taken_name_in_json_and_xml() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    assert_eq!(upload_rendition(&jane, &id, "small", b"x").await.status(), 200);
    let expected = format!(
        r#"{{"errorCode":"-17","errorKey":"!csRenditionsUnableToAddDuplicateName,SMALL","errorMessage":"The 'SMALL' attachment already exists. No attachments will be added.","errorType":"file","id":"{id}","title":"The 'SMALL' attachment already exists. No attachments will be added.","type":"https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html"}}"#
    );
    assert_eq!(status_and_text(upload_rendition(&jane, &id, "SMALL", b"x").await).await, (409, expected));
    let request =
        api_request(&jane, Method::POST, &format!("/files/{id}/data/rendition")).header("accept", "application/xml");
    let response = with_form(request, &[file_part(b"x"), json_part(r#"{"name":"ſmall"}"#)]);
    let message = "The &apos;ſmall&apos; attachment already exists. No attachments will be added.";
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><file><errorCode>-17</errorCode>\
         <errorKey>!csRenditionsUnableToAddDuplicateName,ſmall</errorKey><errorMessage>{message}</errorMessage>\
         <errorType>file</errorType><id>{id}</id><title>{message}</title>\
         <type>https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html</type></file>"
    );
    assert_eq!(status_and_text(response.send().await.unwrap()).await, (409, expected));
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn errors_of_names_and_descriptions() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let missing = (400, "-97", "!csRequiredFieldMissing,name", "Required field 'name' is missing.");
    let long = (400, "-97", "!csRenditionsNameTooLong,28", "The name of a rendition has at most 28 characters.");
    let first = "The name of a rendition has no control characters, no blanks at either end, and none of \
                 / \\ < > [ ] { } = $ % ' * \" ? : # & ^ . , | in it.";
    let invalid = (400, "-97", "!csRenditionsInvalidName", first);
    let description = |why| (400, "-97", "!csInvalidValue,description", why);
    let (name, text) = ("n".repeat(29), "d".repeat(1001));
    for (json, expected) in [
        (json!({}), missing),
        (json!({"name": ""}), missing),
        (json!({"name": null}), missing),
        (json!({"name": name}), long),
        (json!({"name": "a.b"}), invalid),
        (json!({"name": 7}), invalid),
        (json!({"name": ["a"]}), invalid),
        (
            json!({"name": "a", "description": text}),
            description("The value of 'description' is not valid: it has at most 1000 characters."),
        ),
        (
            json!({"name": "a", "description": 7}),
            description("The value of 'description' is not valid: it must be a text."),
        ),
    ] {
        let send = || {
            let request = api_request(&jane, Method::POST, &format!("/files/{id}/data/rendition"));
            with_form(request, &[file_part(b"x"), json_part(&json.to_string())])
        };
        assert_refused(send, ("file", &id), expected).await;
    }
    let strictly = || {
        let path = format!("/documents/api/1.2/files/{id}/data/rendition");
        let request = server.anonymous(Method::POST, &path).bearer_auth(&jane.session);
        with_form(request, &[file_part(b"x"), json_part(r#"{"name":"a b"}"#)])
    };
    let second = "The name of a rendition has letters of ASCII, digits, hyphens and underscores only.";
    assert_refused(strictly, ("file", &id), (400, "-97", "!csRenditionsInvalidName", second)).await;
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn errors_of_invalid_forms() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let rendition = format!("/files/{id}/data/rendition");
    let (data, about) = (format!("/files/{id}/data"), ("file", id.as_str()));
    let name = || json_part(r#"{"name":"a"}"#);
    let lacks = |key, message| (400, "-97", key, message);
    let no_file = lacks("!csRequiredFieldMissing,file", "Required field 'file' is missing.");
    let no_primary = lacks("!csRequiredFieldMissing,primaryFile", "Required field 'primaryFile' is missing.");
    let form_is = |message| (400, "-1", "!csBadMultipart", message);
    let json_is = |message| (400, "-1", "!csBadJson", message);
    let head = part(&format!("name=\"a\"\r\nX: {}", "x".repeat(40 << 10)), b"x");
    for (path, about, parts, expected) in [
        (&rendition, about, vec![name()], no_file),
        (&rendition, about, vec![file_part(b""), name()], no_file),
        (&data, about, vec![file_part(b"x")], no_primary),
        (&"/files/data".to_owned(), ("file", ""), vec![file_part(b"x")], no_primary),
        (&rendition, about, vec![file_part(b"x"), file_part(b"y")], form_is("The form has two parts called \"file\".")),
        (&rendition, about, vec![name(), name()], form_is("The form has two parts called \"parameters\".")),
        (
            &rendition,
            about,
            (0..101).map(|_| part("name=\"a\"", b"x")).collect(),
            form_is("The form has more than 100 parts."),
        ),
        (&rendition, about, vec![head], form_is("The headers of a part of the form are too long.")),
        (
            &rendition,
            about,
            vec![file_part(b"x"), json_part("{")],
            json_is("The parameters are not a JSON object: EOF while parsing an object at line 1 column 1."),
        ),
        (
            &rendition,
            about,
            vec![file_part(b"x"), json_part(r#"{"name":"a","name ":"b"}"#)],
            json_is("The parameters are not a JSON object: \"name\" is repeated at line 1 column 24."),
        ),
        (
            &data,
            about,
            vec![part("name=\"primaryFile\"; filename=\"a\"", b"x"), json_part("[]")],
            json_is(
                "The parameters are not a JSON object: invalid type: sequence, expected an object at line 1 column 0.",
            ),
        ),
        (
            &rendition,
            about,
            vec![file_part(b"x"), json_part(&" ".repeat(70 << 10))],
            (
                413,
                "-1",
                "!csTooLarge",
                "A part of the form that is not the file is over the limit of 65536 bytes: at least {n} bytes were sent; \
                 send less.",
            ),
        ),
    ] {
        assert_refused(|| with_form(api_request(&jane, Method::POST, path), &parts), about, expected).await;
    }
    for (kind, message) in [
        ("", "Send the file as multipart/form-data; the request says no content type."),
        ("text/plain", "Send the file as multipart/form-data."),
        ("multipart/form-data", "The content type names no boundary; let your HTTP library set it."),
        (
            &format!("multipart/form-data; boundary={}", "b".repeat(71)),
            "The boundary has 71 characters; 1 to 70 are allowed.",
        ),
        ("multipart/form-data; boundary=C", "The form ends in the middle of a part, or its boundary is not there."),
    ] {
        let send = || {
            let request = api_request(&jane, Method::POST, &rendition).body(form(&[file_part(b"x")]));
            if kind.is_empty() { request } else { request.header("content-type", kind) }
        };
        assert_refused(send, about, form_is(message)).await;
    }
    for key in ["", &"k".repeat(256)] {
        let send = || {
            with_form(api_request(&jane, Method::POST, &rendition).header("idempotency-key", key), &[file_part(b"x")])
        };
        let message = "An Idempotency-Key has 1 to 255 printable ASCII characters.";
        assert_refused(send, about, (400, "-1", "!csBadIdempotencyKey", message)).await;
    }
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn errors_of_exceeded_limits() {
    let server = TestServer::with_settings(|settings| {
        settings.documents.max_rendition_bytes = ByteSize::kib(64);
        settings.documents.max_renditions = 2;
        settings.uploads.max_requests_per_minute = 8;
    })
    .await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    for name in ["a", "b"] {
        assert_eq!(upload_rendition(&jane, &id, name, b"x").await.status(), 200);
    }
    let path = format!("/files/{id}/data/rendition");
    let adding = |bytes: usize| {
        let parts = [file_part(&vec![0; bytes]), json_part(r#"{"name":"c"}"#)];
        with_form(api_request(&jane, Method::POST, &path), &parts)
    };
    let full = "The file version has 2 renditions, which is the limit. Delete one to add another.";
    assert_refused(|| adding(1), ("file", &id), (409, "-1", "!csRenditionsTooMany,2", full)).await;
    let large = "The file is over the limit of 65536 bytes: at least {n} bytes were sent; send less.";
    // The first body is one byte over the limit. The second one is so long that the api refuses its announced length.
    for bytes in [(64 << 10) + 1, 2 << 20] {
        let headers = assert_refused(|| adding(bytes), ("file", &id), (413, "-1", "!csTooLarge", large)).await;
        assert!(!headers.contains_key("retry-after"));
        server.clock.advance(std::time::Duration::from_secs(60));
    }
    for _ in 0..8 {
        api_request(&jane, Method::GET, &format!("/files/{id}")).send().await.unwrap();
    }
    let often = "8 requests a minute are the limit for one user; try again in 61 seconds.";
    let headers = assert_refused(|| adding(1), ("file", &id), (429, "-1", "!csTooManyRequests", often)).await;
    assert_eq!(headers["retry-after"], "61");
    assert_eq!(server.staged_files(), 0);
}
