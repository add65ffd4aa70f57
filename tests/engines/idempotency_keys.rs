//! Tests a request with an `Idempotency-Key`, during which the database fails for a moment.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use test_support::engine_stack::EngineStack;
use test_support::invariants::wait_for_number;
use test_support::portal::{PortalClient, read_picture};
use test_support::proxy::ProxyState;

async fn upload(portal: &PortalClient) -> Response {
    let form = Form::new().part("Profile", Part::bytes(read_picture("astronaut.jpg")).file_name("astronaut.jpg"));
    let request = portal.request(Method::POST, "/api/dropbox/pictures").header("prefer", "wait=5");
    request.header("idempotency-key", "k").multipart(form).send().await.unwrap()
}

/// The api loses its database while a request waits for a worker. So the api can neither answer with the outcome nor
/// release the key of the request. When the database is back, the key is released. A client that sends the request
/// again gets the same upload.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_released_once_the_database_is_back() {
    let Some(stack) = EngineStack::start().await.map(EngineStack::with_folder_stores) else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let fault = async {
        wait_for_number(&stack, "SELECT count(*) FROM idempotency_keys WHERE upload_id IS NOT NULL", 1).await;
        stack.database.set(ProxyState::Broken);
    };
    let (first, ()) = tokio::join!(upload(&portal), fault);
    assert_eq!(first.status(), 503);
    stack.database.set(ProxyState::Open);
    let again = async {
        loop {
            let answer = upload(&portal).await;
            match answer.status().as_u16() {
                // The key is in flight, or the api has no connection yet. Retry-After says when to retry.
                409 | 503 => {
                    let wait = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                    tokio::time::sleep(Duration::from_secs(wait)).await;
                }
                _ => return answer,
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(120), again).await.expect("the key is released");
    assert_eq!(answer.status(), 202);
    wait_for_number(&stack, "SELECT count(*) FROM uploads", 1).await;
    // No worker runs the job.
    stack.clean_up_leftovers().await;
}
