//! Tests connection limits: how many connections one client address may hold, which idle ones are closed to make
//! room, and how long a connection may be slow.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use api::ApiSettings;
use bytesize::ByteSize;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::test_server::{TestServer, header};

/// Far longer than any step here takes, and short enough for a test that hangs.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts a server with these limits on connections, which does not close slow connections.
async fn start_server(max: usize, per_address: usize) -> TestServer {
    TestServer::with_settings(|settings| disable_timeouts(settings, max, per_address)).await
}

/// Sets the limits on connections, makes every time limit for slow connections an hour, and removes the minimum rate.
fn disable_timeouts(settings: &mut ApiSettings, max: usize, per_address: usize) {
    let http = &mut settings.http;
    http.max_connections = max;
    http.max_connections_per_address = per_address;
    for time in [&mut http.header_timeout, &mut http.body_timeout, &mut http.body_idle_timeout, &mut http.write_timeout]
    {
        *time = Duration::from_secs(3600);
    }
    http.min_body_rate = ByteSize::b(0);
}

fn address(server: &TestServer) -> SocketAddr {
    server.base.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Connects from 127.0.0.`n`; all of these addresses are this machine.
async fn connect(server: &TestServer, n: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, n], 0))).unwrap();
    socket.connect(address(server)).await.unwrap()
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads the head of the next response; empty if the connection ends instead.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return head.clear(),
            }
        }
    };
    tokio::time::timeout(RESPONSE_TIMEOUT, read).await.expect("an answer or an end");
    String::from_utf8(head).unwrap()
}

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

async fn answers_livez(stream: &mut TcpStream) -> bool {
    if stream.write_all(LIVEZ.as_bytes()).await.is_err() {
        return false;
    }
    let head = head(stream).await;
    if head.is_empty() {
        return false;
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut body = [0; 5];
    stream.read_exact(&mut body).await.unwrap();
    true
}

/// Sends a login from 127.0.0.`n`, without the last bytes of its body.
async fn begin_request(server: &TestServer, n: u8, headers: &str) -> TcpStream {
    let mut stream = connect(server, n).await;
    let head = format!(
        "POST /api/login HTTP/1.1\r\nhost: x\r\n{headers}content-type: application/json\r\ncontent-length: 100\r\n\r\n"
    );
    send(&mut stream, &head).await;
    send(&mut stream, "{\"email\":").await;
    stream
}

/// Sends the last bytes of a request from [`begin_request`], and returns the head of the response.
async fn finish(stream: &mut TcpStream) -> String {
    let rest = 100 - "{\"email\":".len();
    send(stream, &format!("\"a@example.com\",\"password\":\"x\"{}}}", " ".repeat(rest - 31))).await;
    head(stream).await
}

#[tokio::test]
async fn idle_connections_of_one_address_do_not_keep_others_out() {
    let server = start_server(20, 8).await;
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.push(connect(&server, 2).await);
    }
    let mut other = connect(&server, 3).await;
    assert!(answers_livez(&mut other).await);
    assert!(answers_livez(&mut connect(&server, 2).await).await, "new connections of the same address are served, too");
    let mut open = 0;
    for mut stream in flood {
        open += usize::from(answers_livez(&mut stream).await);
    }
    assert!((1..=8).contains(&open), "{open} connections of one address are open");
    assert!(answers_livez(&mut other).await, "it was closed for connections of another address");
}

#[tokio::test]
async fn when_slots_run_out_the_idlest_connection_is_closed() {
    let server = start_server(4, 2).await;
    let mut old = Vec::new();
    for n in 2..6 {
        let mut stream = connect(&server, n).await;
        assert!(answers_livez(&mut stream).await);
        old.push(stream);
    }
    // Now the second connection has been idle for longest.
    assert!(answers_livez(&mut old[0]).await);
    let mut new = connect(&server, 6).await;
    assert!(answers_livez(&mut new).await);
    let mut open = Vec::new();
    for stream in &mut old {
        open.push(answers_livez(stream).await);
    }
    assert_eq!(open, [true, false, true, true]);
}

#[tokio::test]
async fn a_request_in_progress_is_not_cut() {
    let server = start_server(3, 2).await;
    let mut first = begin_request(&server, 2, "").await;
    let mut second = begin_request(&server, 2, "").await;
    // The other connections use the last slot one after the other.
    for n in 3..50 {
        assert!(answers_livez(&mut connect(&server, n).await).await);
    }
    // The address 127.0.0.2 holds as many connections as it may, and none of them is idle.
    for _ in 0..10 {
        assert!(!answers_livez(&mut connect(&server, 2).await).await);
    }
    for stream in [&mut first, &mut second] {
        let answer = finish(stream).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    assert!(
        answers_livez(&mut connect(&server, 2).await).await,
        "once the requests are done, the address may connect again"
    );
}

/// A request is in progress until its response is completely written, so its connection is not idle.
#[tokio::test]
async fn an_answer_that_is_read_slowly_is_not_cut() {
    let server = start_server(2, 2).await;
    let reader = TcpSocket::new_v4().unwrap();
    reader.set_recv_buffer_size(2048).unwrap();
    reader.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    let mut reader = reader.connect(address(&server)).await.unwrap();
    // More bytes than the socket buffers hold.
    let asked = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(40);
    let asked = asked + "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    send(&mut reader, &asked).await;
    for n in 3..60 {
        assert!(answers_livez(&mut connect(&server, n).await).await);
    }
    let mut all = Vec::new();
    tokio::time::timeout(RESPONSE_TIMEOUT, reader.read_to_end(&mut all)).await.unwrap().unwrap();
    assert!(all.ends_with(b"alive"), "the answers end after {} bytes", all.len());
}

#[tokio::test]
async fn connections_are_counted_for_each_client_behind_a_proxy() {
    let server = TestServer::with_settings(|settings| {
        disable_timeouts(settings, 100, 2);
        settings.http.trusted_proxies = 1;
    })
    .await;
    let forwarded_for = |client: &str| format!("x-forwarded-for: {client}\r\n");
    // These are far more than the two connections that the proxy's own address may hold.
    let mut in_progress = Vec::new();
    for n in 0..10 {
        in_progress.push(begin_request(&server, 1, &forwarded_for(&format!("203.0.113.{n}"))).await);
    }
    in_progress.push(begin_request(&server, 1, &forwarded_for("2001:db8:1:1::1")).await);
    in_progress.push(begin_request(&server, 1, &forwarded_for("2001:db8:1:1:2::2")).await);
    // A request counts once the api has read its head. So the third request of one /64 is repeated until it is
    // refused.
    let asked = async |client: &str| {
        let request = server.anonymous(Method::GET, "/livez").header("x-forwarded-for", client);
        request.send().await.unwrap()
    };
    let third = async {
        loop {
            let answer = asked("6.6.6.6, 2001:db8:1:1:3::3").await;
            if answer.status() != 200 {
                break answer;
            }
        }
    };
    let refused = tokio::time::timeout(RESPONSE_TIMEOUT, third).await.expect("the third request of one /64 is refused");
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "1"));
    assert!(refused.headers().contains_key("x-request-id"));
    assert!(refused.text().await.unwrap().contains("too_many_connections"));
    assert_eq!(asked("2001:db8:1:2::1").await.status(), 200, "another /64 is not limited");
    assert_eq!(
        server.anonymous(Method::GET, "/livez").send().await.unwrap().status(),
        200,
        "the proxy's own probes are answered"
    );
    for mut stream in in_progress {
        let answer = finish(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    let again = async { while asked("2001:db8:1:1::4").await.status() != 200 {} };
    tokio::time::timeout(RESPONSE_TIMEOUT, again).await.expect("a connection of this /64 is free again");
}

#[tokio::test]
async fn a_connection_without_a_complete_head_is_closed() {
    let server = TestServer::with_settings(|settings| settings.http.header_timeout = Duration::from_millis(500)).await;
    let begun = Instant::now();
    let mut silent = connect(&server, 1).await;
    let mut idle = connect(&server, 1).await;
    assert!(answers_livez(&mut idle).await);
    let mut slow = connect(&server, 1).await;
    send(&mut slow, "GET /livez HTTP/1.1\r\nx: ").await;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let trickle = async {
        loop {
            tick.tick().await;
            if slow.write_all(b"x").await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(RESPONSE_TIMEOUT, trickle).await.expect("a slow head is cut");
    assert_eq!(head(&mut silent).await, "");
    assert_eq!(head(&mut idle).await, "");
    assert!(begun.elapsed() < Duration::from_secs(25), "the HTTP library would wait 30 s by itself");
}
