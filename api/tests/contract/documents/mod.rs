//! The documents API, tested line by line against the tables of its contract.

mod authorization;
mod check_order;
mod concurrency;
mod downloads;
mod error_bodies;
mod examples;
mod failures;
mod file_deletion;
mod files;
mod idempotency;
mod invalid_links;
mod links;
mod rendition_names;
mod renditions;
mod uploads;

use domain::{FileId, FileRole, Secret};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::test_server::{Login, PNG, TestServer};

/// The key of the services that call in these tests.
pub(crate) const SERVICE_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Starts a server with a running worker and with service access.
pub(crate) async fn start_server() -> TestServer {
    TestServer::with_settings(|settings| settings.realm.service.keys = Secret::new(SERVICE_KEY)).await
}

/// A request of a user, with the user's session as a bearer token.
pub(crate) fn api_request(login: &Login<'_>, method: Method, path: &str) -> RequestBuilder {
    login.server.anonymous(method, &format!("/documents/api/1.1{path}")).bearer_auth(&login.session)
}

pub(crate) async fn get(login: &Login<'_>, path: &str) -> Response {
    api_request(login, Method::GET, path).send().await.unwrap()
}

/// One part of a form whose boundary is `B`.
pub(crate) fn part(head: &str, content: &[u8]) -> Vec<u8> {
    let mut part = format!("--B\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes();
    part.extend_from_slice(content);
    part.extend_from_slice(b"\r\n");
    part
}

/// A complete form of these parts.
pub(crate) fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--B--\r\n".to_vec()].concat()
}

pub(crate) fn file_part(content: &[u8]) -> Vec<u8> {
    part("name=\"file\"; filename=\"small.png\"\r\nContent-Type: image/jpeg", content)
}

pub(crate) fn json_part(text: &str) -> Vec<u8> {
    part("name=\"parameters\"", text.as_bytes())
}

/// Sends a form whose boundary is `B`.
pub(crate) async fn post(login: &Login<'_>, path: &str, body: Vec<u8>) -> Response {
    let request = api_request(login, Method::POST, path).header("content-type", "multipart/form-data; boundary=B");
    request.body(body).send().await.unwrap()
}

/// Uploads a rendition as the contract's examples do: the file comes first.
pub(crate) async fn upload_rendition(login: &Login<'_>, file: &str, name: &str, content: &[u8]) -> Response {
    let json = serde_json::json!({"name": name}).to_string();
    post(login, &format!("/files/{file}/data/rendition"), form(&[file_part(content), json_part(&json)])).await
}

/// Creates a file with a picture for a user and returns its id.
pub(crate) async fn upload_file(login: &Login<'_>) -> String {
    let body = form(&[part("name=\"primaryFile\"; filename=\"jellyfish.png\"", PNG)]);
    let response = post(login, "/files/data", body).await;
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 201, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["id"].as_str().unwrap().to_owned()
}

/// Like [`upload_file`], on a server whose worker runs only when it is told to.
pub(crate) async fn upload_file_with_idle_worker(login: &Login<'_>) -> String {
    tokio::join!(upload_file(login), run_all_jobs(login.server)).0
}

/// Waits until at least this number of uploads are in flight, which means that they wait for the worker or run.
pub(crate) async fn wait_for_in_flight(server: &TestServer, uploads: u64) {
    while server.backends.records.stats().await.unwrap().in_flight < uploads {
        tokio::task::yield_now().await;
    }
}

/// Waits until there is a job, then runs the worker until no upload is in flight. A job reaches the queue a moment
/// after it is in the records.
pub(crate) async fn run_all_jobs(server: &TestServer) {
    wait_for_in_flight(server, 1).await;
    while server.backends.records.stats().await.unwrap().in_flight > 0 {
        server.run_jobs().await;
        tokio::task::yield_now().await;
    }
}

/// Gives a user a role for a file.
pub(crate) async fn share(server: &TestServer, file: &str, user: &str, role: FileRole) {
    let file: FileId = file.parse().unwrap();
    server.backends.records.share_file(&file, user, role).await.unwrap();
}

/// The status and the text of an answer.
pub(crate) async fn status_and_text(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The status, the error code and the error key of a response.
pub(crate) async fn error_fields(response: Response) -> (u16, String, String) {
    let (status, text) = status_and_text(response).await;
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"));
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(text("title"), text("errorMessage"));
    assert_eq!(text("type"), "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html");
    (status, text("errorCode"), text("errorKey"))
}
