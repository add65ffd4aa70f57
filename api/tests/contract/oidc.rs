//! Tests tokens of the portal's own OpenID Connect provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use address::TlsSettings;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use instrument::FailPoints;
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use storage::{BlobContent, Blobs, NewBlob, Staging, StoreSettings};
use tokio::net::TcpListener;

use crate::test_server::{PNG, TestServer, form, serve_endless_response, serve_portal};

/// The time at which the clock of a test server starts, in seconds since 1970: 2026-11-21T12:00:00Z.
const NOW: i64 = 1_795_262_400;

/// An OpenID Connect provider: its signing key and the public keys that it publishes.
struct OidcProvider {
    key: EcdsaKeyPair,
    random: SystemRandom,
    kid: &'static str,
}

impl OidcProvider {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { key, random, kid }
    }

    fn jwk(&self) -> Value {
        let point = &self.key.public_key().as_ref()[1..];
        let (x, y) = (BASE64.encode(&point[..32]), BASE64.encode(&point[32..]));
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "x": x, "y": y})
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&self.random, text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64.encode(signature.as_ref()))
    }

    fn valid_token(&self, claims: &Value) -> String {
        self.token(&json!({"alg": "ES256", "typ": "JWT", "kid": self.kid}), claims)
    }
}

fn claims(sub: &str) -> Value {
    json!({"iss": "https://idp.example", "aud": ["portal", "cloakroom"], "sub": sub, "exp": NOW + 600,
           "email": format!("{sub}@idp.example"), "name": "Mia"})
}

async fn start_server(file: &std::path::Path) -> TestServer {
    TestServer::with_settings(|settings| {
        settings.realm.oidc.jwks = file.display().to_string();
        settings.realm.oidc.issuer = "https://idp.example".to_owned();
        settings.realm.oidc.audience = "cloakroom".to_owned();
    })
    .await
}

#[tokio::test]
async fn the_user_of_a_valid_token_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let provider = OidcProvider::new("one");
    std::fs::write(&file, json!({"keys": [provider.jwk()]}).to_string()).unwrap();
    let server = start_server(&file).await;
    let request =
        server.anonymous(Method::POST, "/api/dropbox/pictures").bearer_auth(provider.valid_token(&claims("mia")));
    let response = request.multipart(form("a.png", PNG)).send().await.unwrap();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    let mia = server.backends.records.user("mia").await.unwrap().unwrap();
    assert_eq!((mia.email.as_str(), mia.name.as_str(), mia.role), ("mia@idp.example", "Mia", records::Role::Member));
    let mut with_nul = claims("max");
    with_nul["name"] = json!("Ma\0x");
    let known =
        server.anonymous(Method::GET, "/uploads/9").bearer_auth(provider.valid_token(&with_nul)).send().await.unwrap();
    assert_eq!(known.status(), 404);
    let max = server.backends.records.user("max").await.unwrap().unwrap();
    assert_eq!(max.name, "max", "a name that no database stores is ignored");
    let wrong = json!({"email": "mia@idp.example", "password": "!"});
    assert_eq!(server.anonymous(Method::POST, "/api/login").json(&wrong).send().await.unwrap().status(), 401);
    let ours = api::issue_token(&server.backends.records, &server.settings.realm, "jane", Duration::from_secs(60));
    let ours = server.anonymous(Method::GET, "/uploads/9").bearer_auth(ours.await.unwrap()).send().await.unwrap();
    assert_eq!(ours.status(), 404, "our own tokens work as before");
}

#[tokio::test]
async fn invalid_tokens_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let (provider, stranger) = (OidcProvider::new("one"), OidcProvider::new("one"));
    let ed = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": BASE64.encode(ed.public_key().as_ref())});
    let secret = json!({"kty": "oct", "kid": "oct", "k": BASE64.encode(b"secret")});
    std::fs::write(&file, json!({"keys": [provider.jwk(), ed, secret]}).to_string()).unwrap();
    let server = start_server(&file).await;
    let changed = |name: &str, value: Value| {
        let mut claims = claims("mia");
        claims[name] = value;
        provider.valid_token(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims("mia");
        claims.as_object_mut().unwrap().remove(name);
        provider.valid_token(&claims)
    };
    let good = provider.valid_token(&claims("mia"));
    let hs256 = {
        let header = json!({"alg": "HS256", "kid": "oct"});
        let text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims("mia").to_string()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"secret");
        format!("{text}.{}", BASE64.encode(ring::hmac::sign(&key, text.as_bytes()).as_ref()))
    };
    for (what, token) in [
        ("expired", changed("exp", json!(NOW - 60))),
        ("an expiry that is no number", changed("exp", json!("never"))),
        ("no expiry", without("exp")),
        ("not valid yet", changed("nbf", json!(NOW + 120))),
        ("another issuer", changed("iss", json!("https://evil.example"))),
        ("no issuer", without("iss")),
        ("another audience", changed("aud", json!("portal"))),
        ("no audience", without("aud")),
        ("no user", without("sub")),
        ("an invalid user id", changed("sub", json!("a,b"))),
        ("a user with a password here", changed("sub", json!("admin"))),
        ("the key of another provider", stranger.valid_token(&claims("mia"))),
        ("an unknown key", provider.token(&json!({"alg": "ES256", "kid": "two"}), &claims("mia"))),
        ("no key", provider.token(&json!({"alg": "ES256"}), &claims("mia"))),
        ("another algorithm", provider.token(&json!({"alg": "EdDSA", "kid": "one"}), &claims("mia"))),
        ("another kind of key", provider.token(&json!({"alg": "ES256", "kid": "ed"}), &claims("mia"))),
        ("no algorithm", provider.token(&json!({"alg": "none", "kid": "one"}), &claims("mia"))),
        ("a shared secret", hs256),
        ("no signature", good.rsplit_once('.').unwrap().0.to_owned() + "."),
        ("cut off", good[..good.len() - 4].to_owned()),
        ("only dots", "..".to_owned()),
    ] {
        let response = server.anonymous(Method::GET, "/uploads/1").bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), 401, "{what}");
    }
    let response = server.anonymous(Method::GET, "/uploads/1").bearer_auth(&good).send().await.unwrap();
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn keys_are_cached_and_rotate() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let (old, new) = (OidcProvider::new("old"), OidcProvider::new("new"));
    std::fs::write(&file, json!({"keys": [old.jwk()]}).to_string()).unwrap();
    let server = start_server(&file).await;
    let ask = async |provider: &OidcProvider| {
        let request = server.anonymous(Method::GET, "/uploads/1").bearer_auth(provider.valid_token(&claims("mia")));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(&old).await, 404);
    std::fs::write(&file, json!({"keys": [new.jwk()]}).to_string()).unwrap();
    assert_eq!(ask(&new).await, 401, "keys are not fetched for every token that names an unknown key");
    server.clock.advance(Duration::from_secs(10));
    assert_eq!(ask(&new).await, 404);
    assert_eq!(ask(&old).await, 401);
    std::fs::remove_file(&file).unwrap();
    server.clock.advance(Duration::from_secs(300));
    assert_eq!(ask(&new).await, 404, "the fetched keys stay in use");
}

/// The key set comes from an address of the provider. The second fetch fails, and at the end the provider is
/// unavailable.
#[tokio::test]
async fn keys_come_from_an_address() {
    let provider = OidcProvider::new("one");
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/keys", listener.local_addr().unwrap());
    let keys = json!({"keys": [provider.jwk()]});
    let count = Arc::clone(&asked);
    let answer = move || {
        let (keys, n) = (keys.clone(), count.fetch_add(1, Ordering::SeqCst));
        // The second request fails.
        async move { if n == 1 { Err(StatusCode::BAD_GATEWAY) } else { Ok(Json(keys)) } }
    };
    let router = Router::new().route("/keys", get(answer));
    let portal_task = tokio::spawn(async move { serve_portal(listener, router).await });
    let server = TestServer::with_settings(|settings| {
        settings.realm.oidc.jwks = address;
        settings.realm.oidc.issuer = "https://idp.example".to_owned();
        settings.realm.oidc.audience = "cloakroom".to_owned();
    })
    .await;
    let ask = async || {
        let request = server.anonymous(Method::GET, "/uploads/1").bearer_auth(provider.valid_token(&claims("mia")));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((ask().await, ask().await), (404, 404));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the keys are fetched once and then cached");
    server.clock.advance(server.settings.realm.oidc.refresh);
    let fresh = json!({"iss": "https://idp.example", "aud": "cloakroom", "sub": "mia", "exp": NOW + 86_400 * 30});
    let later = async || {
        let request = server.anonymous(Method::GET, "/uploads/1").bearer_auth(provider.valid_token(&fresh));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(later().await, 404, "if the fetch fails, the old keys stay in use");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    server.clock.advance(Duration::from_secs(10));
    assert_eq!(later().await, 404);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    portal_task.abort();
    server.clock.advance(server.settings.realm.oidc.refresh);
    assert_eq!(later().await, 404, "the fetched keys stay in use");
}

#[tokio::test]
async fn an_endless_key_set_is_not_used() {
    let (address, sent) = serve_endless_response(Duration::ZERO).await;
    let server = TestServer::with_settings(|settings| {
        settings.realm.oidc.jwks = address;
        settings.realm.oidc.issuer = "https://idp.example".to_owned();
        settings.realm.oidc.audience = "cloakroom".to_owned();
    })
    .await;
    let token = OidcProvider::new("one").valid_token(&claims("mia"));
    let response = server.anonymous(Method::GET, "/uploads/1").bearer_auth(token).send().await.unwrap();
    assert_eq!(response.status(), 401);
    // The api reads at most 1 MiB. The rest is in the buffers of the kernel and the client.
    assert!(sent.load(Ordering::SeqCst) < 64 << 20, "{} bytes were read", sent.load(Ordering::SeqCst));
}

/// A key server whose certificate comes from an authority that only `tls.ca_file` names. The key set lies in a store,
/// behind a signed URL.
#[tokio::test]
async fn keys_come_from_a_server_with_a_private_authority() {
    let (Ok(url), Ok(ca_file)) = (std::env::var("CLOAKROOM_TEST_S3_TLS"), std::env::var("CLOAKROOM_TEST_CA")) else {
        return eprintln!("skipped: this needs an S3 server with TLS in CLOAKROOM_TEST_S3_TLS, and CLOAKROOM_TEST_CA");
    };
    let tls = TlsSettings { ca_file };
    let (credentials, place) = url.strip_prefix("https://").unwrap().split_once('@').unwrap();
    let ((id, secret), (host, bucket)) = (credentials.split_once(':').unwrap(), place.split_once('/').unwrap());
    let ca_file = &tls.ca_file;
    let settings: StoreSettings = serde_json::from_value(json!({
        "url": format!("s3://{bucket}/{}?ca_file={ca_file}", uuid::Uuid::now_v7()), "endpoint": format!("https://{host}"),
        "region": "us-east-1", "access_key_id": id, "secret_access_key": secret, "min_free": "0 B",
    }))
    .unwrap();
    let staging = Staging::open(&settings, FailPoints::default()).unwrap();
    let blobs = Blobs::open(&settings, FailPoints::default()).unwrap();
    let provider = OidcProvider::new("one");
    let content = BlobContent::Bytes(json!({"keys": [provider.jwk()]}).to_string().into());
    blobs.put_batch(&staging, vec![NewBlob { key: "jwks.json".to_owned(), content }]).await.unwrap();
    let address = blobs.signed_url("jwks.json", Duration::from_secs(3600)).await.unwrap().unwrap();
    for (tls, status) in [(tls, 404), (TlsSettings::default(), 401)] {
        let server = TestServer::with_settings(|settings| {
            settings.tls = tls;
            settings.realm.oidc.jwks = address.clone();
            settings.realm.oidc.issuer = "https://idp.example".to_owned();
            settings.realm.oidc.audience = "cloakroom".to_owned();
        })
        .await;
        let token = provider.valid_token(&claims("mia"));
        let response = server.anonymous(Method::GET, "/uploads/1").bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), status);
    }
    blobs.delete_prefix("jwks.json").await.unwrap();
}
