//! Tests of renditions on real engines:
//! - the shared scenario;
//! - a version that arrives while a rendition of the version before it is in flight;
//! - a permission that is revoked while a request waits;
//! - one name for which many requests compete at two processes.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use test_support::engine_stack::EngineStack;
use test_support::invariants::{OutcomeCounts, query_number, settle_and_check, wait_for_number};
use test_support::portal::{PortalClient, read_picture};
use test_support::process::ServerProcess;

use crate::renditions::{API, add_rendition, add_rendition_preferring, new_file, new_version, uploaded_rendition_path};

#[tokio::test(flavor = "multi_thread")]
async fn the_rendition_scenario_works_in_three_processes() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, other, worker) = (stack.api(), stack.api(), stack.worker());
    crate::renditions::run_scenario(&PortalClient::log_in(&api).await, &PortalClient::log_in(&other).await).await;
    settle_and_check(&stack, &[]).await;
    for process in [api, other, worker] {
        assert_eq!(process.stop(), Some(0), "a drained process exits with status 0");
    }
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendition_in_flight_belongs_to_the_earlier_version() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let file = new_file(&portal).await;
    assert_eq!(worker.stop(), Some(0));
    let mut acknowledged = vec!["1001".to_owned()];
    for answer in [
        add_rendition_preferring("respond-async", &portal, &file, "small", b"of the first".to_vec()).await,
        new_version("respond-async", &portal, &file, b"the second".to_vec()).await,
    ] {
        assert_eq!(answer.status(), 202);
        let location = answer.headers()["location"].to_str().unwrap();
        acknowledged.push(location.trim_start_matches("/uploads/").to_owned());
    }
    let _worker = stack.worker();
    assert_eq!(settle_and_check(&stack, &acknowledged).await, OutcomeCounts { ready: 3, ..OutcomeCounts::default() });
    assert_eq!(portal.json(&format!("{API}/files/{file}")).await["version"], "2");
    assert_eq!(
        portal.get(&uploaded_rendition_path(&file, "small")).await.status(),
        404,
        "the second version has no renditions"
    );
    let first = portal.get(&format!("{}&version=1", uploaded_rendition_path(&file, "small"))).await;
    assert_eq!(first.text().await.unwrap(), "of the first");
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendition_is_rejected_if_its_permission_is_revoked_meanwhile() {
    const KEY: &str = "a-service-key-of-more-than-thirty-two";
    let Some(stack) = EngineStack::start().await else { return };
    let mut command = stack.command(&["api"]);
    command.env("CLOAKROOM__REALM__SERVICE__KEYS", KEY);
    let (api, worker) = (ServerProcess::start(command), stack.worker());
    let (ada, system) = (PortalClient::log_in(&api).await, PortalClient::with_token(&api, KEY));
    let file = new_file(&ada).await;
    assert_eq!(worker.stop(), Some(0));
    let cli = |arguments: &[&str]| {
        let done = stack.command(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    cli(&["user", "add", "joe", "joe@example.org"]);
    let joe = PortalClient::with_token(&api, cli(&["token", "issue", "joe"]).trim());
    let right = format!("/service/files/{file}/users/joe");
    let given = system.request(Method::PUT, &right).json(&json!({"Role": "contributor"})).send().await.unwrap();
    assert_eq!(given.status(), 204);

    let meanwhile = async {
        wait_for_number(&stack, "SELECT count(*) FROM renditions", 1).await;
        assert_eq!(
            add_rendition(&ada, &file, "SMALL", read_picture("astronaut.jpg")).await.status(),
            409,
            "the name is reserved"
        );
        assert_eq!(system.request(Method::DELETE, &right).send().await.unwrap().status(), 204);
        stack.worker()
    };
    let (answer, _worker) = tokio::join!(add_rendition(&joe, &file, "small", read_picture("astronaut.jpg")), meanwhile);
    assert_eq!(answer.status(), 403);
    let refusal: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(refusal["errorCode"], "-20");
    assert!(refusal["errorKey"].as_str().unwrap().ends_with(&format!(",fFileGUID:{file},ADD_RENDITION")), "{refusal}");
    let list = ada.json(&format!("{API}/files/{file}/data/renditions?renditionType=uploaded")).await;
    assert_eq!(list["items"], json!([]));
    settle_and_check(&stack, &["1001".to_owned()]).await;
    assert_eq!(
        query_number(&stack, "SELECT count(*) FROM uploads WHERE state = 'rejected' AND original_key IS NULL").await,
        1
    );
    assert_eq!(
        query_number(&stack, "SELECT count(*) FROM deletions").await,
        0,
        "nothing of the rejected upload is left to delete"
    );
    assert_eq!(
        add_rendition(&ada, &file, "small", read_picture("astronaut.jpg")).await.status(),
        200,
        "the name is free"
    );
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_hundred_concurrent_renditions_gets_the_name() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, other, _worker) = (stack.api(), stack.api(), stack.worker());
    let portals = [PortalClient::log_in(&api).await, PortalClient::log_in(&other).await];
    let file = new_file(&portals[0]).await;
    // All spellings are the same name.
    let spellings = ["small", "SMALL", "Small", "sMALL"];
    let all = (0..200).map(|n| add_rendition(&portals[n % 2], &file, spellings[n % 4], read_picture("astronaut.jpg")));
    let mut answers: Vec<u16> = join_all(all).await.iter().map(|answer| answer.status().as_u16()).collect();
    answers.sort_unstable();
    assert_eq!((answers[0], answers[1..].iter().all(|status| *status == 409)), (200, true), "{answers:?}");
    assert_eq!(query_number(&stack, "SELECT count(*) FROM renditions").await, 1);
    settle_and_check(&stack, &[]).await;
    stack.clean_up().await;
}
