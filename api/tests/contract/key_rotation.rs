//! Tests the rotation of the keys that sign sessions.

use std::time::Duration;

use reqwest::Method;

use crate::sessions::decode;
use crate::test_server::TestServer;

#[tokio::test]
async fn keys_rotate_and_nobody_is_logged_out() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    server.clock.advance(Duration::from_secs(2));
    api::rotate_keys(&server.backends.records).await.unwrap();
    let token = api::issue_token(&server.backends.records, &server.settings.realm, "jane", Duration::from_secs(60));
    let token = token.await.unwrap();
    let signed_by_the_new_key = server.anonymous(Method::GET, "/uploads/1").bearer_auth(&token).send().await.unwrap();
    assert_eq!(signed_by_the_new_key.status(), 404, "the api has noticed the new key");
    assert_eq!(jane.get("/uploads/1").await.status(), 404);
    let again = server.login("jane").await;
    let key_id = |session: &str| decode(session).split(",sig=").nth(1).unwrap()[..8].to_owned();
    assert_ne!(key_id(&again.session), key_id(&jane.session));
}
