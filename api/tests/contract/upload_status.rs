//! Tests `GET /uploads/{id}`, the status of an upload, with its events.

use reqwest::Method;
use serde_json::{Value, json};

use crate::test_server::{FED, PNG, TestServer};

#[tokio::test]
async fn the_status_lists_all_events() {
    let server = TestServer::new().await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let id = jane.upload_picture().await;
    let path = format!("/uploads/{id}");
    let status: Value = jane.get(&path).await.json().await.unwrap();
    assert_eq!(status["state"], "ready");
    assert_eq!((&status["width"], &status["height"], &status["bytes"]), (&json!(120), &json!(80), &json!(PNG.len())));
    assert_eq!(status["expires_at"], "2026-11-22T12:00:00Z");
    assert_eq!(status["deadline"], "2026-11-21T12:10:00Z");
    assert_eq!(status["variants"][0]["name"], "25.png");
    assert_eq!(status["variants"][0]["href"], format!("/api/dropbox/pictures/{id}?size=25"));
    assert_eq!(status["events"][0]["what"], "staged");
    assert_eq!(status["claimed"], Value::Null);
    assert_eq!(admin.get(&path).await.status(), 200);
    assert_eq!(joe.get(&path).await.status(), 404);
    assert_eq!(server.anonymous(Method::GET, &path).send().await.unwrap().status(), 401);
    assert_eq!(jane.get("/uploads/abc").await.status(), 404);
    admin.claim("users/joe", &id).await;
    assert_eq!(joe.get(&path).await.status(), 200, "Joe sees the upload once it is his avatar");
    let status: Value = jane.get(&path).await.json().await.unwrap();
    assert_eq!(status["claimed"]["resource"], format!("users/joe.{FED}"));
    assert_eq!((&status["expires_at"], &status["stage"]), (&Value::Null, &json!("claimed")));
}
