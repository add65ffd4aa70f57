//! Downloads return the uploaded bytes, complete or in ranges. If a precondition does not hold, they return 304 or 412.

use reqwest::{Method, Response};

use super::error_bodies::assert_refused;
use super::{
    api_request, form, get, part as part_of, post, start_server, status_and_text, upload_file, upload_rendition,
};
use crate::test_server::{FED, Login, PNG, header};

async fn get_with_headers(jane: &Login<'_>, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = headers
        .iter()
        .fold(api_request(jane, Method::GET, path), |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap()
}

#[tokio::test]
async fn one_range_several_ranges_and_invalid_ranges() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    upload_rendition(&jane, &id, "digits", b"0123456789").await;
    let path = format!("/files/{id}/data/rendition?rendition=DIGITS&renditionType=uploaded");
    for (range, status, content_range, body) in [
        ("bytes=2-5", 206, "bytes 2-5/10", "2345"),
        ("bytes=-3", 206, "bytes 7-9/10", "789"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=0-99999999999999999999", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=99999999999999999999-", 416, "bytes */10", ""),
        ("bytes=5-2", 200, "", "0123456789"),
        ("bytes=0-5,4-9", 200, "", "0123456789"),
        ("lines=1-2", 200, "", "0123456789"),
    ] {
        let response = get_with_headers(&jane, &path, &[("range", range)]).await;
        assert_eq!(header(&response, "content-range"), content_range, "{range}");
        assert_eq!(header(&response, "accept-ranges"), "bytes");
        assert_eq!(status_and_text(response).await, (status, body.to_owned()), "{range}");
    }
    let response = get_with_headers(&jane, &path, &[("range", "bytes=8-, 0-1")]).await;
    let kind = header(&response, "content-type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let length: usize = header(&response, "content-length").parse().unwrap();
    let one = |range: &str, bytes: &str| {
        let head = format!("Content-Type: application/octet-stream\r\nContent-Range: bytes {range}/10");
        format!("\r\n--{boundary}\r\n{head}\r\n\r\n{bytes}")
    };
    let expected = format!("{}{}\r\n--{boundary}--\r\n", one("8-9", "89"), one("0-1", "01"));
    let (status, body) = status_and_text(response).await;
    assert_eq!((status, body.as_str(), length), (206, expected.as_str(), expected.len()));
}

#[tokio::test]
async fn bytes_that_the_client_has_are_not_sent_again() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    upload_rendition(&jane, &id, "digits", b"0123456789").await;
    let path = format!("/files/{id}/data/rendition?rendition=digits&renditionType=uploaded");
    let tag = header(&get(&jane, &path).await, "etag").to_owned();
    let again = get_with_headers(&jane, &path, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.as_str()));
    for (validator, status) in
        [(tag.as_str(), 206), ("\"other\"", 200), ("Sat, 21 Nov 2026 12:00:00 GMT", 200), (&format!("W/{tag}"), 200)]
    {
        let response = get_with_headers(&jane, &path, &[("range", "bytes=0-0"), ("if-range", validator)]).await;
        assert_eq!(response.status(), status, "{validator}");
    }
    let head = api_request(&jane, Method::HEAD, &path).header("range", "bytes=0-0").send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "10"));
    assert_eq!(header(&head, "etag"), tag);
    assert_eq!(head.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_download_is_resumed_with_the_same_bytes_or_not_at_all() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let path = format!("/files/{id}/data");
    let first = get(&jane, &path).await;
    let (old, whole) = (header(&first, "etag").to_owned(), first.bytes().await.unwrap());
    let rest = [("range", "bytes=10-"), ("if-match", old.as_str())];
    let part = get_with_headers(&jane, &path, &rest).await;
    assert_eq!((part.status().as_u16(), part.bytes().await.unwrap()), (206, whole.slice(10..)));
    let body = form(&[part_of("name=\"primaryFile\"; filename=\"a.txt\"", b"0123456789abcdef")]);
    assert_eq!(post(&jane, &path, body).await.status(), 201);
    let message = "The resource has changed or is being changed: its ETag does not match If-Match; fetch it again without If-Match.";
    let about = ("file", id.as_str());
    for method in [Method::GET, Method::HEAD] {
        let request = api_request(&jane, method, &path).header("range", "bytes=10-").header("if-match", &old);
        assert_eq!(request.send().await.unwrap().status(), 412);
    }
    let resumed = || api_request(&jane, Method::GET, &path).header("range", "bytes=10-").header("if-match", &old);
    assert_refused(resumed, about, (412, "-1", "!csChanged", message)).await;
    let new = header(&get(&jane, &path).await, "etag").to_owned();
    for (theirs, status) in [
        (new.clone(), 200),
        ("*".to_owned(), 200),
        (format!("{old}, {new}"), 200),
        (format!("W/{new}"), 412),
        (new.trim_matches('"').to_owned(), 412),
        (String::new(), 412),
    ] {
        let response = get_with_headers(&jane, &path, &[("if-match", &theirs)]).await;
        assert_eq!(response.status(), status, "{theirs}");
    }
    let both = get_with_headers(&jane, &path, &[("if-match", &old), ("if-none-match", &new)]).await;
    assert_eq!(both.status(), 412, "If-Match is checked before If-None-Match");
    // The same for generated pictures, which do not support ranges.
    let path = format!("/files/{id}/data/thumbnail?version=1");
    let tag = header(&get(&jane, &path).await, "etag").to_owned();
    assert_eq!(get_with_headers(&jane, &path, &[("if-match", &tag)]).await.status(), 200);
    assert_eq!(get_with_headers(&jane, &path, &[("if-match", &old)]).await.status(), 412);
    let avatar = format!("/api/apps/any.{FED}/avatar");
    let avatar = server.anonymous(Method::GET, &avatar).header("if-match", &old).send().await.unwrap();
    assert_eq!((avatar.status().as_u16(), header(&avatar, "content-type")), (412, "application/problem+json"));
}

#[tokio::test]
async fn downloads_never_run_in_the_browser() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    upload_rendition(&jane, &id, "größe 猫", b"<html><script>alert(1)</script>").await;
    let name = "gr%C3%B6%C3%9Fe%20%E7%8C%AB";
    let response = get(&jane, &format!("/files/{id}/data/rendition?rendition={name}&renditionType=uploaded")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        header(&response, "content-disposition"),
        format!("attachment; filename=\"gr__e _.png\"; filename*=UTF-8''{name}.png")
    );
    assert_eq!(header(&response, "x-content-type-options"), "nosniff");
    assert_eq!(header(&response, "content-security-policy"), "default-src 'none'; sandbox");
    let whole = get(&jane, &format!("/files/{id}/data")).await;
    assert_eq!(header(&whole, "content-disposition"), "attachment; filename=\"jellyfish.png\"");
    assert_eq!(whole.bytes().await.unwrap(), PNG);
}
