//! Each user's share, and clients that stop reading.

use std::time::Duration;

use bytesize::ByteSize;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bad_bodies::{FORM, Raw, file};
use crate::stand::{FED, PNG, Stand, header};

#[tokio::test]
async fn unclaimed_pictures_are_counted() {
    let stand = Stand::with(|settings| settings.uploads.most_unclaimed = 2).await;
    let (jane, joe) = (stand.login("jane").await, stand.login("joe").await);
    let first = jane.picture().await;
    stand.clock.advance(Duration::from_secs(60));
    jane.picture().await;
    let refused = jane.upload("a.png", PNG).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "retry-after"), (24 * 3600 - 60).to_string(), "when the first of them expires");
    assert!(refused.text().await.unwrap().contains("2 unclaimed pictures"));
    assert_eq!(joe.upload("a.png", PNG).await.status(), 200, "it is her share and not his");
    jane.claim("users/jane", &first).await;
    assert_eq!(jane.upload("a.png", PNG).await.status(), 200);
    stand.clock.advance(stand.settings.uploads.keep);
    let jane = stand.login("jane").await;
    assert_eq!(jane.upload("a.png", PNG).await.status(), 200, "expired ones do not count, swept or not");
}

#[tokio::test]
async fn what_is_on_its_way_counts_as_well() {
    let stand = Stand::with(|settings| settings.uploads.most_unclaimed = 2).await;
    let (jane, joe) = (stand.login("jane").await, stand.login("joe").await);
    let form = [file("a.png"), b"--B--\r\n".to_vec()].concat();
    let begin = async || {
        let length = form.len();
        let head = format!("content-type: {FORM}\r\ncontent-length: {length}\r\nexpect: 100-continue");
        let mut raw = Raw::open(&jane, &head).await;
        raw.wanted().await;
        raw
    };
    let (mut first, second) = (begin().await, begin().await);
    let refused = jane.upload("a.png", PNG).await;
    assert_eq!(refused.status(), 429, "both may come to be pictures");
    assert_eq!(joe.upload("a.png", PNG).await.status(), 200);
    first.send(&form).await.unwrap();
    let answer = first.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(jane.upload("a.png", PNG).await.status(), 429, "one is here and one on its way");
    // One that breaks off leaves its place, as soon as the api has noticed.
    drop(second);
    let mut turns = 0;
    while jane.upload("a.png", PNG).await.status() == 429 && turns < 500 {
        turns += 1;
    }
    assert_eq!(stand.places.records.unclaimed("jane").await.unwrap().pictures, 2);
    assert_eq!(jane.upload("a.png", PNG).await.status(), 429);
}

#[tokio::test]
async fn unclaimed_bytes_are_counted() {
    let stand = Stand::with(|settings| settings.uploads.most_unclaimed_bytes = ByteSize(PNG.len() as u64 + 1000)).await;
    let jane = stand.login("jane").await;
    jane.picture().await;
    let refused = jane.upload("a.png", &[PNG, &[0; 900]].concat()).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.text().await.unwrap().contains("bytes"));
    assert_eq!(stand.staged(), 0);
}

#[tokio::test]
async fn requests_are_counted() {
    let stand = Stand::with(|settings| settings.uploads.requests_per_minute = 3).await;
    let (jane, joe) = (stand.login("jane").await, stand.login("joe").await);
    let name = async |login: &crate::stand::Login<'_>, who: &str| {
        let request = login.request(Method::PUT, &format!("/api/users/{who}.{FED}")).json(&json!({"Name": "x"}));
        request.send().await.unwrap()
    };
    for _ in 0..3 {
        assert_eq!(name(&jane, "jane").await.status(), 200);
    }
    let refused = name(&jane, "jane").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "61"));
    assert_eq!(name(&joe, "joe").await.status(), 200);
    stand.clock.advance(Duration::from_secs(60));
    assert_eq!(name(&jane, "jane").await.status(), 200);
}

#[tokio::test]
async fn too_many_at_once_are_told_to_try_again() {
    let stand = Stand::with(|settings| settings.uploads.most_at_once = 0).await;
    let jane = stand.login("jane").await;
    let response = jane.upload("a.png", PNG).await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "1"));
}

#[tokio::test]
async fn who_stops_reading_is_cut_off() {
    let stand = Stand::with(|settings| settings.http.write_timeout = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(stand.base.trim_start_matches("http://")).await.unwrap();
    // Far more answers than fit into the sockets' buffers, and nobody to read them.
    let request = format!("GET /api/users/jane.{FED}/avatar?size=512 HTTP/1.1\r\nhost: x\r\n\r\n");
    let requests = request.repeat(4000);
    let answers = 4000 * 5137;
    stream.write_all(requests.as_bytes()).await.ok();
    // The api's end is closed while nothing is read: what can be read afterwards is what the buffers held.
    let mut watch = tokio::time::interval(Duration::from_millis(100));
    let mut broke = false;
    for _ in 0..100 {
        watch.tick().await;
        if stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.is_err() {
            broke = true;
            break;
        }
    }
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.ok();
    assert!(broke && read.len() < answers, "{broke}, {} of {answers}", read.len());
    assert_eq!(stand.nobody(Method::GET, "/livez").send().await.unwrap().status(), 200);
}
