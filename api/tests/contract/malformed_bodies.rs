//! Tests bodies that are malformed, endless, slow or cut off. Each gets a clear answer, the api continues, and
//! staging is empty afterwards.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::test_server::{FED, Login, PNG, TestServer};

/// A connection that sends the head of an upload and then raw bytes, and returns the whole response.
pub(crate) struct RawUpload {
    stream: TcpStream,
}

impl RawUpload {
    pub(crate) async fn open(login: &Login<'_>, headers: &str) -> Self {
        let stream = TcpStream::connect(login.server.base.trim_start_matches("http://")).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut raw = Self { stream };
        raw.begin(login, headers).await;
        raw
    }

    /// Sends the head of an upload, on a connection that may have carried other requests.
    async fn begin(&mut self, login: &Login<'_>, headers: &str) {
        let head = format!(
            "POST /api/dropbox/pictures HTTP/1.1\r\nhost: x\r\ncookie: AtmoAuthToken_{FED}={}\r\n\
             x-csrf-token_{FED}: {}\r\n{headers}\r\n\r\n",
            login.session, login.csrf
        );
        self.stream.write_all(head.as_bytes()).await.unwrap();
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Waits until the api asks for the body of a request with `Expect: 100-continue`. The api asks once it has
    /// accepted the head.
    pub(crate) async fn await_continue(&mut self) {
        const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
        let mut said = [0; CONTINUE.len()];
        self.stream.read_exact(&mut said).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&said), CONTINUE);
    }

    pub(crate) async fn response(mut self) -> String {
        self.read().await
    }

    /// Reads one response; more may follow.
    async fn read(&mut self) -> String {
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut piece)).await.unwrap() {
                Ok(0) | Err(_) => break,
                Ok(n) => answer.extend_from_slice(&piece[..n]),
            }
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if length.is_some_and(|length| body.len() >= length.parse().unwrap()) {
                    break;
                }
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn post(login: &Login<'_>, kind: &str, body: &[u8]) -> String {
    let mut raw = RawUpload::open(login, &format!("content-type: {kind}\r\ncontent-length: {}", body.len())).await;
    raw.send(body).await.ok();
    raw.response().await
}

pub(crate) const FORM_CONTENT_TYPE: &str = "multipart/form-data; boundary=B";

fn part(headers: &str, content: &[u8]) -> Vec<u8> {
    let mut part = format!("--B\r\n{headers}\r\n\r\n").into_bytes();
    part.extend_from_slice(content);
    part.extend_from_slice(b"\r\n");
    part
}

pub(crate) fn file_part(name: &str) -> Vec<u8> {
    part(&format!("Content-Disposition: form-data; name=\"Profile\"; filename=\"{name}\""), PNG)
}

#[tokio::test]
async fn invalid_forms_are_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let whole = [file_part("a.png"), b"--B--\r\n".to_vec()].concat();
    let long_boundary = format!("multipart/form-data; boundary={}", "b".repeat(10_000));
    let many: Vec<u8> = [
        (0..1000).flat_map(|n| part(&format!("Content-Disposition: form-data; name=\"f{n}\""), b"x")).collect(),
        whole.clone(),
    ]
    .concat();
    let fat_header = part(&format!("X: {}\r\nContent-Disposition: form-data; name=\"a\"", "x".repeat(1 << 20)), b"x");
    let no_file = [part("Content-Disposition: form-data; name=\"a\"", b"x"), b"--B--\r\n".to_vec()].concat();
    let fat_field = part("Content-Disposition: form-data; name=\"a\"", &vec![b'x'; 200 << 10]);
    for (what, kind, body, status) in [
        ("no boundary", "multipart/form-data", whole.clone(), 400),
        ("a long boundary", long_boundary.as_str(), whole.clone(), 400),
        ("not multipart", "application/json", whole.clone(), 400),
        ("another boundary", "multipart/form-data; boundary=C", whole.clone(), 400),
        ("1000 parts", FORM_CONTENT_TYPE, many, 400),
        ("a part header of a megabyte", FORM_CONTENT_TYPE, fat_header, 400),
        ("no file", FORM_CONTENT_TYPE, no_file, 400),
        ("a field of 200 kB", FORM_CONTENT_TYPE, fat_field, 413),
        ("cut off in the file", FORM_CONTENT_TYPE, file_part("a.png")[..200].to_vec(), 400),
        ("an empty body", FORM_CONTENT_TYPE, Vec::new(), 400),
    ] {
        let answer = post(&jane, kind, &body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        assert!(answer.contains("content-type: text/plain; charset=utf-8"), "{what}: {answer}");
    }
    assert_eq!(server.staged_files(), 0);
    assert_eq!(server.backends.records.stats().await.unwrap().admitted, 0);
    assert_eq!(jane.upload_picture().await, "1001");
}

#[tokio::test]
async fn a_form_is_accepted_wherever_the_connection_splits_it() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    // After an earlier body on the same connection the server reads in larger pieces.
    let earlier =
        [part("Content-Disposition: form-data; name=\"a\"", &[b'x'; 20 << 10]), b"--B--\r\n".to_vec()].concat();
    let padded = [PNG, &[0; 750 << 10]].concat();
    let head = "Content-Disposition: form-data; name=\"Profile\"; filename=\"a.png\"";
    let form = [part(head, &padded), b"--B--\r\n".to_vec()].concat();
    for cut in [1, 4, 40, 80] {
        let headers = |body: &[u8]| format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: {}", body.len());
        let mut raw = RawUpload::open(&jane, &headers(&earlier)).await;
        raw.send(&earlier).await.unwrap();
        assert!(raw.read().await.starts_with("HTTP/1.1 400 "));
        raw.begin(&jane, &headers(&form)).await;
        raw.send(&form[..cut]).await.unwrap();
        // Once the api has given these responses, it has polled the upload and has seen the first piece.
        for _ in 0..20 {
            jane.get("/livez").await;
        }
        raw.send(&form[cut..]).await.unwrap();
        let answer = raw.response().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{cut}: {answer}");
    }
}

#[tokio::test]
async fn dangerous_names_are_cleaned_or_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let long = "n".repeat(4000);
    for (name, expected) in [
        ("../../../etc/passwd.png", "passwd.png"),
        ("a\u{202E}gnp.exe", "agnp.exe"),
        ("a%0D%0Ab.png", "ab.png"),
        (long.as_str(), &"n".repeat(120)),
    ] {
        let answer = post(&jane, FORM_CONTENT_TYPE, &[file_part(name), b"--B--\r\n".to_vec()].concat()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name:.50}: {answer}");
        let id = answer.rsplit("\r\n").next().unwrap().parse().unwrap();
        assert_eq!(server.backends.records.upload(id).await.unwrap().unwrap().filename, expected);
    }
    for name in ["a\0b.png", "a\r\nX-Evil: 1\r\n\r\nb.png"] {
        let answer = post(&jane, FORM_CONTENT_TYPE, &[file_part(name), b"--B--\r\n".to_vec()].concat()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert!(!answer.contains("X-Evil"));
    }
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn an_announced_length_that_is_too_large_or_invalid_is_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let raw = RawUpload::open(&jane, &format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: 2147483648")).await;
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("4194304") && answer.contains("2147483648"));
    let raw = RawUpload::open(&jane, &format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: 0")).await;
    assert!(raw.response().await.starts_with("HTTP/1.1 400 "));
    let raw = RawUpload::open(&jane, &format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: -1")).await;
    assert!(raw.response().await.starts_with("HTTP/1.1 400 "));
}

/// Sends requests until staging holds as many files as `expected` accepts, at most 1000 requests.
async fn wait_for_staged_files(server: &TestServer, login: &Login<'_>, expected: impl Fn(usize) -> bool) {
    for _ in 0..1000 {
        if expected(server.staged_files()) {
            return;
        }
        login.get("/livez").await;
    }
    panic!("staging holds {} files", server.staged_files());
}

#[tokio::test]
async fn a_client_that_sends_too_much_can_read_why() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let mut raw =
        RawUpload::open(&jane, &format!("content-type: {FORM_CONTENT_TYPE}\r\ntransfer-encoding: chunked")).await;
    let opening = b"--B\r\nContent-Disposition: form-data; name=\"Profile\"; filename=\"a\"\r\n\r\n\x89PNG\r\n\x1a\n";
    raw.send(format!("{:x}\r\n", opening.len()).as_bytes()).await.unwrap();
    raw.send(opening).await.unwrap();
    raw.send(b"\r\n").await.unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![0; 65536], b"\r\n".to_vec()].concat();
    for _ in 0..100 {
        raw.send(&chunk).await.expect("six megabytes can be sent without the connection breaking");
    }
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("4194304"), "{answer}");
    // The received bytes are deleted concurrently with the response, not before it.
    wait_for_staged_files(&server, &jane, |count| count == 0).await;
}

#[tokio::test]
async fn a_client_that_disconnects_leaves_nothing() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let mut raw =
        RawUpload::open(&jane, &format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: 1000000")).await;
    raw.send(&file_part("a.png")).await.unwrap();
    raw.send(&vec![0; 300_000]).await.unwrap();
    wait_for_staged_files(&server, &jane, |count| count > 0).await;
    drop(raw);
    // While it answers these requests, the api also polls the closed connection.
    wait_for_staged_files(&server, &jane, |count| count == 0).await;
    assert_eq!(server.backends.records.stats().await.unwrap().admitted, 0);
}

#[tokio::test]
async fn a_slow_client_gets_408() {
    let server = TestServer::with_settings(|settings| {
        settings.http.body_idle_timeout = Duration::from_millis(300);
        settings.http.body_timeout = Duration::from_millis(600);
    })
    .await;
    let jane = server.login("jane").await;
    let mut raw =
        RawUpload::open(&jane, &format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: 1000000")).await;
    raw.send(b"--B\r\n").await.unwrap();
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    // The body is never idle and never complete.
    let mut raw =
        RawUpload::open(&jane, &format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: 1000000")).await;
    raw.send(b"--B\r\nContent-Disposition: form-data; name=\"Profile\"; filename=\"a\"\r\n\r\n").await.unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..14 {
        tick.tick().await;
        raw.send(b"x").await.ok();
    }
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(server.staged_files(), 0);
}
