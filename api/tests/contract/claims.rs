//! Tests claims (`PUT /api/{service}/{ID}`): which callers may claim, and that a picture is claimed only once.

use std::time::Duration;

use domain::{Resource, Service};
use reqwest::Method;
use serde_json::{Value, json};

use crate::test_server::{FED, JPEG, TestServer};

#[tokio::test]
async fn all_five_services_accept_claims() {
    let server = TestServer::new().await;
    let (jane, admin) = (server.login("jane").await, server.login("admin").await);
    for service in ["users", "apps", "apis", "groups", "businesses"] {
        let id = admin.upload_picture().await;
        let path = format!("/api/{service}/thing.{FED}");
        let number: u64 = id.parse().unwrap();
        let body = json!({"Name": "TravelApp", "PictureID": id});
        let response = admin.request(Method::PUT, &path).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{service}");
        let claimed: Value = response.json().await.unwrap();
        assert_eq!(claimed, json!({"ID": format!("thing.{FED}"), "Name": "TravelApp", "PictureID": number}));
        let resource = Resource { service: service.parse().unwrap(), id: "thing".to_owned() };
        assert_eq!(server.backends.records.resource_name(&resource).await.unwrap().as_deref(), Some("TravelApp"));
        let again = admin.request(Method::PUT, &path).json(&json!({"PictureID": number})).send().await.unwrap();
        assert_eq!(again.status(), 200, "the claim may be repeated, and PictureID may be a JSON number");
    }
    let id = jane.upload_picture().await;
    assert_eq!(jane.claim("apps/thing", &id).await.status(), 403);
    let app = Resource { service: Service::Apps, id: "thing".to_owned() };
    server.backends.records.grant_resource(&app, "jane").await.unwrap();
    assert_eq!(jane.claim("apps/thing", &id).await.status(), 200);
}

#[tokio::test]
async fn the_state_of_the_picture_decides_whether_it_can_be_claimed() {
    let server = TestServer::with_idle_worker(|settings| settings.uploads.default_wait = Duration::ZERO).await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let processing = jane.upload_picture().await;
    let foreign = joe.upload_picture().await;
    let rejected = jane.upload("a.jpg", &JPEG[..JPEG.len() / 2]).await.text().await.unwrap();
    let expiring = jane.upload_picture().await;
    assert_eq!(jane.claim("users/jane", &processing).await.status(), 200);
    assert_eq!(jane.claim("users/jane", &foreign).await.status(), 404);
    server.run_jobs().await;
    let response = jane.claim("users/jane", &rejected).await;
    assert_eq!(response.status(), 422);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "broken_picture");
    server.clock.advance(Duration::from_secs(25 * 3600));
    let jane = server.login("jane").await;
    assert_eq!(jane.claim("users/jane", &expiring).await.status(), 410);
    server.sweep().await;
    assert_eq!(jane.claim("users/jane", &expiring).await.status(), 410);
    assert_eq!(jane.claim("users/jane", &processing).await.status(), 200);
    let apps = Resource { service: Service::Apps, id: "a".to_owned() };
    server.backends.records.grant_resource(&apps, "jane").await.unwrap();
    assert_eq!(jane.claim("apps/a", &processing).await.status(), 409);
}

#[tokio::test]
async fn invalid_bodies_are_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let put = async |content_type: &str, body: String| {
        let request = jane.request(Method::PUT, &format!("/api/users/jane.{FED}")).header("content-type", content_type);
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for (body, status, says) in [
        (r#"{"Name":"x","PictureID":"1001","Colour":"red"}"#.to_owned(), 400, "Colour"),
        ("{}".to_owned(), 400, "PictureID"),
        ("[]".to_owned(), 400, ""),
        ("not json".to_owned(), 400, ""),
        (r#"{"PictureID":true}"#.to_owned(), 400, "PictureID"),
        (r#"{"PictureID":"99999"}"#.to_owned(), 404, "99999"),
        (r#"{"PictureID":0}"#.to_owned(), 404, ""),
        (r#"{"PictureID":-1}"#.to_owned(), 404, ""),
        (r#"{"PictureID":9223372036854775808}"#.to_owned(), 404, ""),
        (r#"{"PictureID":1001.5}"#.to_owned(), 404, ""),
        (format!(r#"{{"Name":"{}"}}"#, "x".repeat(300)), 400, "256"),
        (format!(r#"{{"Name":"{}"}}"#, "x".repeat(10 << 20)), 413, "65536"),
        ("[".repeat(100_000), 413, ""),
        (format!(r#"{{"Name":{}"#, "[".repeat(60_000)), 400, ""),
    ] {
        let (got, message) = put("application/json", body.clone()).await;
        assert_eq!(got, status, "{:.60}", body);
        assert!(message.contains(says), "{message}");
    }
    assert_eq!(put("text/plain", r#"{"PictureID":1}"#.to_owned()).await.0, 415);
    assert_eq!(put("application/vnd.akana.v81+json", r#"{"Name":"Jane"}"#.to_owned()).await.0, 200);
    let elsewhere = jane.request(Method::PUT, "/api/users/jane.otherfed").json(&json!({"Name": "x"}));
    assert_eq!(elsewhere.send().await.unwrap().status(), 404);
    let unknown = jane.request(Method::PUT, &format!("/api/cars/jane.{FED}")).json(&json!({"Name": "x"}));
    assert_eq!(unknown.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn one_of_two_concurrent_claims_succeeds() {
    let server = TestServer::new().await;
    let (jane, admin) = (server.login("jane").await, server.login("admin").await);
    for _ in 0..10 {
        let id = jane.upload_picture().await;
        let (a, b) = tokio::join!(jane.claim("users/jane", &id), admin.claim("users/admin", &id));
        let mut outcomes = [a.status().as_u16(), b.status().as_u16()];
        outcomes.sort_unstable();
        assert_eq!(outcomes, [200, 409]);
    }
}

#[tokio::test]
async fn a_claim_succeeds_or_the_picture_expires() {
    let server = TestServer::new().await;
    for _ in 0..10 {
        let jane = server.login("jane").await;
        let id = jane.upload_picture().await;
        server.clock.advance(server.settings.uploads.retention - Duration::from_millis(1));
        let jane = server.login("jane").await;
        let expire = async {
            server.clock.advance(Duration::from_millis(1));
            server.sweep().await
        };
        let (claim, swept) = tokio::join!(jane.claim("users/jane", &id), expire);
        let upload = server.backends.records.upload(id.parse().unwrap()).await.unwrap().unwrap();
        match claim.status().as_u16() {
            200 => assert!(upload.claim.is_some() && upload.state == domain::UploadState::Ready && swept.expired == 0),
            410 => assert!(upload.claim.is_none()),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_claim_requires_a_csrf_token() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    let bare =
        jane.request_without_csrf(Method::PUT, &format!("/api/users/jane.{FED}")).json(&json!({"PictureID": id}));
    assert_eq!(bare.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_repeated_json_member_is_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let (first, second) = (jane.upload_picture().await, jane.upload_picture().await);
    let path = format!("/api/users/jane.{FED}");
    for body in [
        format!(r#"{{"PictureID":{first},"PictureID":{second}}}"#),
        format!(r#"{{"PictureID":{first},"Name":"a","Name":"a"}}"#),
    ] {
        let request = jane.request(Method::PUT, &path).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], "bad_json");
        assert!(problem["detail"].as_str().unwrap().contains("is repeated"), "{problem}");
    }
}
