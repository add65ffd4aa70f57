//! Tests requests with a wrong `Host` or `Transfer-Encoding`, and refusals that end the connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::malformed_bodies::{FORM_CONTENT_TYPE, RawUpload, file_part};
use crate::test_server::TestServer;

/// Sends this text as a request. Returns the first whole response, or what was received before the connection ended.
async fn send(server: &TestServer, request: &str) -> String {
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    let mut piece = [0; 4096];
    loop {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut piece)).await.unwrap();
        let Ok(bytes @ 1..) = read else { return response };
        response.push_str(&String::from_utf8_lossy(&piece[..bytes]));
        if let Some((head, body)) = response.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
                return response;
            }
        }
    }
}

#[tokio::test]
async fn a_request_needs_exactly_one_host() {
    let server = TestServer::new().await;
    for (hosts, status) in [
        ("host: a.example\r\n", 200),
        ("host: a.example:8080\r\n", 200),
        ("", 400),
        ("host: a.example\r\nhost: a.example\r\n", 400),
        ("host: a.example\r\nhost: b.example\r\n", 400),
        ("host: a example\r\n", 400),
        ("host: a.example/b\r\n", 400),
    ] {
        let response = send(&server, &format!("GET /livez HTTP/1.1\r\n{hosts}\r\n")).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{hosts:?}: {response}");
        assert_eq!(response.contains("\"code\":\"bad_host\""), status == 400, "{response}");
    }
    let response = send(&server, "GET /livez HTTP/1.0\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.0 200 "), "{response}");
}

#[tokio::test]
async fn an_unsupported_transfer_coding_is_refused() {
    let server = TestServer::new().await;
    for (coding, status) in [("gzip, chunked", 501), ("deflate, Chunked", 501), ("chunked, chunked", 400)] {
        let head = format!("POST /api/login HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {coding}\r\n");
        let response = send(&server, &format!("{head}content-type: application/json\r\n\r\n0\r\n\r\n")).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{coding}: {response}");
    }
}

#[tokio::test]
async fn a_refusal_that_closes_the_connection_says_so() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    // The body is never sent, so the connection cannot carry another request.
    let raw = RawUpload::open(&jane, "content-type: application/json\r\ncontent-length: 1000000").await;
    let response = raw.response().await;
    assert!(response.starts_with("HTTP/1.1 400 ") && response.contains("\r\nconnection: close\r\n"), "{response}");
    // Here the whole body is sent and received, so the connection can carry another request.
    let form = [file_part("a.png"), b"--B--\r\n".to_vec()].concat();
    let form = String::from_utf8_lossy(&form).replace("Profile", "x").replace("filename", "y").into_bytes();
    let headers = format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: {}", form.len());
    let mut raw = RawUpload::open(&jane, &headers).await;
    raw.send(&form).await.unwrap();
    let response = raw.response().await;
    assert!(response.starts_with("HTTP/1.1 400 ") && !response.contains("connection: close"), "{response}");
}

#[tokio::test]
async fn a_refused_body_is_read_up_to_the_limit_of_its_route() {
    let server = TestServer::new().await;
    let megabyte = vec![0; 1 << 20];
    let head = "POST /documents/api/1.2/files/data HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=B\r\n\
                content-length: 104857600\r\n\r\n";
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The client sends everything before it reads the response.
    for _ in 0..100 {
        stream.write_all(&megabyte).await.expect("100 MiB can be sent without the connection breaking");
    }
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 401 ") && response.contains("\r\nconnection: close\r\n"), "{response}");
}
