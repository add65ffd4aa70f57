//! Tests `/service/…`, the API for services, which authenticate with a key of their own.

use domain::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::test_server::{FED, TestServer};

const SERVICE_KEY: &str = "0123456789abcdef0123456789abcdef";
const SECOND_SERVICE_KEY: &str = "fedcba9876543210fedcba9876543210";

async fn start_server() -> TestServer {
    TestServer::with_settings(|settings| {
        settings.realm.service.keys = Secret::new(format!("{SECOND_SERVICE_KEY} {SERVICE_KEY}"))
    })
    .await
}

#[tokio::test]
async fn a_portal_registers_a_resource_claims_for_users_and_reads_the_result() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let call = async |method: Method, path: &str, body: Value| {
        let response = server.anonymous(method, path).bearer_auth(SERVICE_KEY).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap_or_default())
    };
    let app = format!("/service/apps/travel.{FED}");
    let (status, registered) =
        call(Method::PUT, &app, json!({"Name": "Travel", "Users": ["jane", format!("joe.{FED}")]})).await;
    assert_eq!(status, 200);
    assert_eq!(registered["Users"], json!([format!("jane.{FED}"), format!("joe.{FED}")]));
    let id = jane.upload_picture().await;
    assert_eq!(jane.claim("apps/travel", &id).await.status(), 200);
    assert_eq!(call(Method::GET, &app, json!({})).await.1["PictureID"], json!(1001));
    assert_eq!(call(Method::DELETE, &format!("{app}/users/jane"), json!({})).await.0, 204);
    let id = jane.upload_picture().await;
    assert_eq!(jane.claim("apps/travel", &id).await.status(), 403);
    assert_eq!(
        call(Method::PUT, &format!("{app}/claim/joe"), json!({"PictureID": id})).await.0,
        404,
        "the picture is not Joe's"
    );
    let (status, claimed) = call(Method::PUT, &format!("{app}/claim/jane.{FED}"), json!({"PictureID": id})).await;
    assert_eq!((status, &claimed["PictureID"]), (200, &json!(1002)));
    assert_eq!(call(Method::PUT, &format!("{app}/users/jane"), json!({})).await.0, 204);
    let (status, known) = call(Method::GET, &format!("/service/uploads/{id}"), json!({})).await;
    assert_eq!((status, &known["claimed"]["by"]), (200, &json!("jane")));
    assert_eq!(call(Method::PUT, &app, json!({"Users": []})).await.1["Users"], json!([]));
    assert_eq!(
        call(Method::GET, &app, json!({})).await.1["Name"],
        json!("Travel"),
        "a member that is left out keeps its value"
    );
    assert_eq!(call(Method::PUT, &app, json!({"Users": ["a b"]})).await.0, 400);
    assert_eq!(call(Method::PUT, &app, json!({"Color": "red"})).await.0, 400);
    assert_eq!(call(Method::GET, "/service/apps/travel.other", json!({})).await.0, 404);
}

#[tokio::test]
async fn the_service_api_requires_a_key() {
    let server = start_server().await;
    let admin = server.login("admin").await;
    let path = format!("/service/apps/travel.{FED}");
    for key in [
        "",
        "wrong",
        &SERVICE_KEY[..31],
        &format!("{SERVICE_KEY}x"),
        &format!("{SECOND_SERVICE_KEY} {SERVICE_KEY}"),
        &admin.session,
    ] {
        let response = server.anonymous(Method::GET, &path).bearer_auth(key).send().await.unwrap();
        assert_eq!(response.status(), 401, "{key:?}");
    }
    assert_eq!(admin.get(&path).await.status(), 401, "no cookie is accepted, not even an administrator's");
    for key in [SERVICE_KEY, SECOND_SERVICE_KEY] {
        assert_eq!(server.anonymous(Method::GET, &path).bearer_auth(key).send().await.unwrap().status(), 200);
    }
    let closed = TestServer::new().await;
    assert_eq!(closed.anonymous(Method::GET, &path).bearer_auth("").send().await.unwrap().status(), 401);
}
