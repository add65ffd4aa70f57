//! Tests the administration of users, and the first administrator.

use records::Role;

use crate::test_server::TestServer;

#[tokio::test]
async fn users_are_added_disabled_and_made_administrators() {
    let server = TestServer::new().await;
    let records = &server.backends.records;
    let new = |id: &str, email: &str| api::NewUser {
        id: id.to_owned(),
        email: email.to_owned(),
        name: "Ann".to_owned(),
        password: crate::test_server::PASSWORD.to_owned(),
    };
    api::add_user(records, new("ann", "Ann@example.com"), Role::Member).await.unwrap();
    for (id, email) in [("ann", "b@example.com"), ("b", "ann@EXAMPLE.com"), ("a,b", "c@example.com"), ("c", "nomail")] {
        assert!(api::add_user(records, new(id, email), Role::Member).await.is_err(), "{id} {email}");
    }
    let ann = server.login("ann").await;
    api::change_user(records, "ann", None, None, Some(true)).await.unwrap();
    server.clock.advance(server.settings.realm.session_cache_time);
    assert_eq!(ann.get("/uploads/1").await.status(), 401);
    api::change_user(records, "ann", None, Some(Role::Admin), Some(false)).await.unwrap();
    assert_eq!(records.user("ann").await.unwrap().unwrap().role, Role::Admin);
    assert!(api::ensure_admin(records, &server.settings.realm).await.unwrap().is_none());
}

/// Both processes find no user and hash a password. Only one of them creates the administrator.
#[tokio::test]
async fn one_of_two_concurrent_starts_creates_the_first_administrator() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("records.db").display());
    migrations::up(&url).await.unwrap();
    let settings = records::RecordsSettings::new(domain::Secret::new(url), 4);
    let open = async || {
        records::Records::open(&settings, domain::Clock::system(), instrument::FailPoints::default()).await.unwrap()
    };
    let (one, other) = (open().await, open().await);
    let realm = crate::test_server::settings().realm;
    let (one, other) = tokio::join!(api::ensure_admin(&one, &realm), api::ensure_admin(&other, &realm));
    let made = [one.unwrap(), other.unwrap()].into_iter().flatten().count();
    assert_eq!(made, 1, "and only that process has a password to show");
}
