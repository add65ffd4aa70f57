//! Renditions on real engines: a name has one winner, whatever the number of processes.

use futures::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};

use super::oracle::{count, settled};
use super::stack::Stack;
use crate::portal::{Portal, picture};

async fn new_file(portal: &Portal) -> String {
    let part = Part::bytes(picture("astronaut.jpg")).file_name("astronaut.jpg");
    let form = Form::new().part("primaryFile", part);
    let request = portal.request(Method::POST, "/documents/api/1.2/files/data").header("prefer", "wait=30");
    let answer = request.multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
    answer.json::<serde_json::Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn hang_up(portal: &Portal, file: &str, name: &str) -> u16 {
    let form = Form::new()
        .part("file", Part::bytes(picture("astronaut.jpg")).file_name("small.jpg"))
        .text("parameters", format!("{{\"name\":\"{name}\"}}"));
    let path = format!("/documents/api/1.2/files/{file}/data/rendition");
    let request = portal.request(Method::POST, &path).header("prefer", "wait=30");
    request.multipart(form).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_want_one_name_of_two_apis() {
    let Some(stack) = Stack::start().await else { return };
    let (api, other, _worker) = (stack.api(), stack.api(), stack.worker());
    let portals = [Portal::log_in(&api).await, Portal::log_in(&other).await];
    let file = new_file(&portals[0]).await;
    // Every spelling is the same name.
    let spellings = ["small", "SMALL", "Small", "sMALL"];
    let all = (0..200).map(|n| hang_up(&portals[n % 2], &file, spellings[n % 4]));
    let mut answers = join_all(all).await;
    answers.sort_unstable();
    assert_eq!((answers[0], answers[1..].iter().all(|status| *status == 409)), (200, true), "{answers:?}");
    assert_eq!(count(&stack, "SELECT count(*) FROM renditions").await, 1);
    settled(&stack, &[]).await;
    stack.end().await;
}
