//! Tests the limits for wrong passwords and access codes: the limit per network, the limit for all networks together,
//! and that guesses from other networks do not lock out the owner.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::documents::{SERVICE_KEY, api_request, upload_file};
use crate::test_server::{PASSWORD, TestServer, header};

async fn start_server(per_account: u32) -> TestServer {
    TestServer::with_settings(|settings| {
        settings.http.trusted_proxies = 1;
        settings.realm.max_logins_per_account = per_account;
    })
    .await
}

async fn log_in(server: &TestServer, from: &str, email: &str, password: &str) -> u16 {
    let body = json!({"email": email, "password": password});
    let request = server.anonymous(Method::POST, "/api/login").header("x-forwarded-for", from).json(&body);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn wrong_passwords_from_elsewhere_do_not_lock_the_owner_out() {
    let server = start_server(30).await;
    for _ in 0..10 {
        assert_eq!(log_in(&server, "203.0.113.1", "jane@example.com", "wrong").await, 401);
    }
    // Refused attempts do not count, however many there are.
    for _ in 0..40 {
        assert_eq!(log_in(&server, "203.0.113.1", "jane@example.com", "wrong").await, 429);
    }
    assert_eq!(log_in(&server, "203.0.113.2", "jane@example.com", PASSWORD).await, 200);
    assert_eq!(
        log_in(&server, "203.0.113.1", "joe@example.com", PASSWORD).await,
        200,
        "another account is not limited"
    );
}

#[tokio::test]
async fn an_ipv6_network_of_64_bits_counts_as_one_address() {
    let server = start_server(1000).await;
    let mut answers = [0; 2];
    for n in 0..130 {
        let status = log_in(&server, &format!("2001:db8:0:1::{n:x}"), &format!("{n}@example.com"), "wrong").await;
        answers[usize::from(status == 429)] += 1;
    }
    assert_eq!(answers, [100, 30], "max_logins_per_address is 100");
    assert_eq!(log_in(&server, "2001:db8:0:2::1", "jane@example.com", "wrong").await, 401);
    // The limit for one account from one address is ten attempts.
    for n in 0..10 {
        assert_eq!(log_in(&server, &format!("2001:db8:0:3::{n:x}"), "jane@example.com", "wrong").await, 401);
    }
    assert_eq!(log_in(&server, "2001:db8:0:3::ffff", "jane@example.com", PASSWORD).await, 429);
}

#[tokio::test]
async fn guesses_from_many_addresses_are_limited() {
    let server = start_server(20).await;
    let known = "203.0.113.250";
    for _ in 0..30 {
        assert_eq!(
            log_in(&server, known, "jane@example.com", PASSWORD).await,
            200,
            "correct passwords are not counted"
        );
    }
    for n in 0..20 {
        assert_eq!(log_in(&server, &format!("203.0.113.{n}"), "jane@example.com", "wrong").await, 401);
    }
    assert_eq!(log_in(&server, "203.0.113.100", "jane@example.com", "wrong").await, 429);
    assert_eq!(
        log_in(&server, known, "jane@example.com", PASSWORD).await,
        200,
        "the owner logged in from there before"
    );
    assert_eq!(
        log_in(&server, "203.0.113.100", "jane@example.com", "wrong").await,
        429,
        "the login of the owner does not reset the count"
    );
    assert_eq!(
        log_in(&server, "203.0.113.100", "joe@example.com", PASSWORD).await,
        200,
        "another account is not limited"
    );
    server.clock.advance(Duration::from_secs(300));
    assert_eq!(log_in(&server, "203.0.113.100", "jane@example.com", "wrong").await, 429, "five minutes are not enough");
    server.clock.advance(Duration::from_secs(3300));
    assert_eq!(log_in(&server, "203.0.113.100", "jane@example.com", PASSWORD).await, 200);
}

#[tokio::test]
async fn wrong_access_codes_are_limited_per_network_and_in_total() {
    let server = TestServer::with_settings(|settings| {
        settings.http.trusted_proxies = 1;
        settings.realm.service.keys = domain::Secret::new(SERVICE_KEY);
        settings.documents.max_codes_per_link = 15;
    })
    .await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let link = json!({"assignedUsers": "@everybody", "password": "12345678"});
    let made = api_request(&jane, Method::POST, &format!("/publiclinks/file/{id}")).json(&link).send().await.unwrap();
    let link = made.json::<Value>().await.unwrap()["linkID"].as_str().unwrap().to_owned();
    let open = async |from: &str, code: &str| {
        let request = server.anonymous(Method::GET, &format!("/documents/api/1.1/files/{id}")).header("linkID", &link);
        let request = request.header("cookie", format!("dAccessCode-{link}={code}")).header("x-forwarded-for", from);
        request.send().await.unwrap()
    };
    // All addresses of a /64 network together have ten attempts.
    for n in 0..10 {
        assert_eq!(open(&format!("2001:db8:0:1::{n:x}"), "wrong").await.status(), 403);
    }
    assert_eq!(open("2001:db8:0:1::ffff", "wrong").await.status(), 429);
    assert_eq!(open("2001:db8:0:2::1", "12345678").await.status(), 200, "another network is not refused");
    // All networks together have 15 attempts, of which ten are used.
    for n in 0..5 {
        assert_eq!(open(&format!("203.0.113.{n}"), "wrong").await.status(), 403);
    }
    let refused = open("203.0.113.100", "wrong").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "3601"));
    // A code that was accepted a moment ago is not checked again, so the clock advances first. Then a new
    // network is still refused, and the network that has opened the link before is not.
    server.clock.advance(Duration::from_secs(600));
    assert_eq!(open("203.0.113.100", "12345678").await.status(), 429);
    assert_eq!(open("2001:db8:0:2::1", "12345678").await.status(), 200);
}
