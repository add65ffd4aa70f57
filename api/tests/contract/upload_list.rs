//! `GET /uploads`: lists uploads in pages.

use serde_json::Value;

use crate::test_server::{Login, TestServer};

/// Returns the ids of all uploads that this query lists, read page by page.
async fn list(user: &Login<'_>, query: &str) -> Vec<i64> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let response = user.get(&format!("/uploads?{query}{before}")).await;
        assert_eq!(response.status(), 200);
        let page: Value = response.json().await.unwrap();
        all.extend(page["uploads"].as_array().unwrap().iter().map(|upload| upload["id"].as_i64().unwrap()));
        let Some(next) = page.get("next") else { return all };
        before = format!("&before={next}");
    }
}

#[tokio::test]
async fn users_list_their_own_uploads_and_administrators_all() {
    let server = TestServer::new().await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let mut of_jane = Vec::new();
    for _ in 0..5 {
        of_jane.insert(0, jane.upload_picture().await.parse::<i64>().unwrap());
    }
    let of_joe = joe.upload_picture().await.parse::<i64>().unwrap();
    admin.claim("users/jane", &of_jane[0].to_string()).await;
    for limit in [1, 2, 5, 100] {
        let query = format!("limit={limit}");
        assert_eq!(list(&jane, &query).await, of_jane);
        assert_eq!(list(&joe, &query).await, [of_joe]);
        assert_eq!(list(&admin, &query).await, Vec::<i64>::new(), "the administrator has no uploads");
        assert_eq!(list(&admin, &format!("{query}&owner=jane")).await, of_jane);
        assert_eq!(list(&admin, &format!("{query}&owner=*")).await, [&[of_joe][..], &of_jane].concat());
        assert_eq!(list(&admin, &format!("{query}&owner=*&state=ready")).await, [&[of_joe][..], &of_jane].concat());
        assert_eq!(list(&jane, &format!("{query}&state=rejected")).await, Vec::<i64>::new());
    }
    assert_eq!(list(&admin, "owner=*&kind=dropbox&limit=2").await, [&[of_joe][..], &of_jane].concat());
    assert_eq!(list(&admin, "owner=*&kind=file").await, Vec::<i64>::new());
    // The times are those of the admission. The first one is included and the last one is not.
    for (query, expected) in [
        ("created_from=2026-11-21T12:00:00Z&created_before=2026-11-21T12:00:00.001Z", of_jane.as_slice()),
        ("created_from=2026-11-21T13:00:00%2B01:00", &of_jane),
        ("created_before=2026-11-21T12:00:00Z", &[]),
        ("created_from=2026-11-21T12:00:00.001Z", &[]),
    ] {
        assert_eq!(list(&jane, query).await, expected, "{query}");
    }
    let page: Value = jane.get("/uploads?limit=1").await.json().await.unwrap();
    let upload = &page["uploads"][0];
    assert_eq!(
        (&upload["state"], &upload["kind"], &upload["owner"]),
        (&"ready".into(), &"dropbox".into(), &"jane".into())
    );
    assert_eq!((&upload["claimed"], &upload["expires_at"]), (&true.into(), &Value::Null));
}

#[tokio::test]
async fn bad_queries_and_foreign_lists_are_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for query in [
        "state=done",
        "limit=0",
        "limit=101",
        "limit=-1",
        "before=x",
        "before=0",
        "owner=%00",
        "kind=x",
        "created_from=today",
        "created_before=2026-11-21",
    ] {
        let response = jane.get(&format!("/uploads?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "bad_query", "{query}");
    }
    for query in ["owner=joe", "owner=*"] {
        assert_eq!(jane.get(&format!("/uploads?{query}")).await.status(), 403, "{query}");
    }
    assert_eq!(jane.get("/uploads?owner=jane&_=1").await.status(), 200);
    assert_eq!(server.anonymous(reqwest::Method::GET, "/uploads").send().await.unwrap().status(), 401);
}
