//! Tests permissions: one table has the status for each caller, each call and each state of a picture.

use std::time::Duration;

use domain::{Resource, Service};
use records::Role;
use reqwest::Method;
use serde_json::json;

use crate::test_server::{FED, JPEG, Login, PNG, TestServer};

/// The callers, in the order of the table's columns. Jane uploads the pictures. Jane
/// and Joe may act for the app, and Kim may not.
const CALLERS: [&str; 5] = ["nobody", "jane", "joe", "kim", "admin"];

/// The state, the call, and the status for each caller.
const TABLE: [(&str, &str, [u16; 5]); 25] = [
    ("processing", "show", [401, 503, 404, 404, 503]),
    ("processing", "crop", [401, 503, 404, 404, 503]),
    ("processing", "claim for the app", [401, 200, 404, 403, 200]),
    ("processing", "claim for oneself", [401, 200, 404, 404, 200]),
    ("processing", "status", [401, 200, 404, 404, 200]),
    ("ready", "show", [401, 200, 404, 404, 200]),
    ("ready", "crop", [401, 200, 404, 404, 200]),
    ("ready", "claim for the app", [401, 200, 404, 403, 200]),
    ("ready", "claim for oneself", [401, 200, 404, 404, 200]),
    ("ready", "status", [401, 200, 404, 404, 200]),
    ("rejected", "show", [401, 404, 404, 404, 404]),
    ("rejected", "crop", [401, 404, 404, 404, 404]),
    ("rejected", "claim for the app", [401, 422, 404, 403, 422]),
    ("rejected", "claim for oneself", [401, 422, 404, 404, 422]),
    ("rejected", "status", [401, 200, 404, 404, 200]),
    ("expired", "show", [401, 404, 404, 404, 404]),
    ("expired", "crop", [401, 404, 404, 404, 404]),
    ("expired", "claim for the app", [401, 410, 404, 403, 410]),
    ("expired", "claim for oneself", [401, 410, 404, 404, 410]),
    ("expired", "status", [401, 200, 404, 404, 200]),
    ("claimed", "show", [401, 404, 404, 404, 404]),
    ("claimed", "crop", [401, 404, 404, 404, 404]),
    ("claimed", "claim for the app", [401, 200, 404, 403, 409]),
    ("claimed", "claim for oneself", [401, 409, 404, 404, 409]),
    ("claimed", "status", [401, 200, 200, 404, 200]),
];

async fn start_server() -> TestServer {
    let server = TestServer::with_idle_worker(|settings| settings.uploads.default_wait = Duration::ZERO).await;
    server.add_user("kim", Role::Member).await;
    let app = Resource { service: Service::Apps, id: "shared".to_owned() };
    for user in ["jane", "joe"] {
        server.backends.records.grant_resource(&app, user).await.unwrap();
    }
    server
}

/// Creates a picture of Jane's in this state. For `expired` the clock advances, which ends all sessions. So [`call`]
/// logs in again.
async fn picture_in_state(server: &TestServer, state: &str) -> String {
    let jane = server.login("jane").await;
    let bytes = if state == "rejected" { &JPEG[..JPEG.len() / 2] } else { PNG };
    let id = jane.upload("a.png", bytes).await.text().await.unwrap();
    if state != "processing" {
        server.run_jobs().await;
    }
    match state {
        "claimed" => assert_eq!(jane.claim("apps/shared", &id).await.status(), 200),
        "expired" => {
            server.clock.advance(server.settings.uploads.retention);
            server.sweep().await;
        }
        _ => {}
    }
    id
}

async fn call(server: &TestServer, who: &str, what: &str, id: &str) -> u16 {
    let login = match who {
        "nobody" => Login { server, session: String::new(), csrf: String::new() },
        who => server.login(who).await,
    };
    let request = match what {
        "show" => login.request_without_csrf(Method::GET, &format!("/api/dropbox/pictures/{id}?size=75")),
        "crop" => login
            .request(Method::PUT, &format!("/api/dropbox/pictures/{id}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("x=0&y=0&w=512&h=512"),
        "claim for the app" => {
            login.request(Method::PUT, &format!("/api/apps/shared.{FED}")).json(&json!({"PictureID": id}))
        }
        "claim for oneself" => {
            login.request(Method::PUT, &format!("/api/users/{who}.{FED}")).json(&json!({"PictureID": id}))
        }
        "status" => login.request_without_csrf(Method::GET, &format!("/uploads/{id}")),
        other => panic!("{other}"),
    };
    request.send().await.unwrap().status().as_u16()
}

async fn check_table(state: &str) {
    let server = start_server().await;
    for (_, what, expected) in TABLE.iter().filter(|(of, _, _)| *of == state) {
        for (who, expected) in CALLERS.iter().zip(expected) {
            // A call may change the state of the picture, so each call has a picture of its own.
            let id = picture_in_state(&server, state).await;
            assert_eq!(call(&server, who, what, &id).await, *expected, "{state}: {who}: {what}");
        }
    }
    if state == "processing" {
        server.leaves_work();
    }
}

#[tokio::test]
async fn a_processing_picture_has_the_permissions_of_the_table() {
    check_table("processing").await;
}

#[tokio::test]
async fn a_ready_picture_has_the_permissions_of_the_table() {
    check_table("ready").await;
}

#[tokio::test]
async fn a_rejected_picture_has_the_permissions_of_the_table() {
    check_table("rejected").await;
}

#[tokio::test]
async fn an_expired_picture_has_the_permissions_of_the_table() {
    check_table("expired").await;
}

#[tokio::test]
async fn a_claimed_picture_has_the_permissions_of_the_table() {
    check_table("claimed").await;
}

#[tokio::test]
async fn everybody_sees_an_avatar_and_only_its_user_and_administrators_remove_it() {
    let server = start_server().await;
    for (who, removes) in CALLERS.iter().zip([401, 200, 403, 403, 200]) {
        let login = match *who {
            "nobody" => Login { server: &server, session: String::new(), csrf: String::new() },
            who => server.login(who).await,
        };
        let path = format!("/api/users/jane.{FED}/picture");
        assert_eq!(login.request(Method::DELETE, &path).send().await.unwrap().status(), removes, "{who}");
        let avatar = login.get(&format!("/api/users/jane.{FED}/avatar?size=25")).await;
        assert_eq!(avatar.status(), 200, "{who}");
    }
}
