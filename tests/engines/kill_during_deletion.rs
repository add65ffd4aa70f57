//! `kill -9` between every two steps of an api that deletes a picture and an avatar. A repeated request has the same end.

use reqwest::Method;
use test_support::engine_stack::EngineStack;
use test_support::invariants::{query_number, settle_and_check};
use test_support::portal::{PortalClient, read_picture};
use test_support::process::{FEDMEMBER, ServerProcess};
use test_support::proxy::RequestTrap;

use super::faults::assert_all_ready;

/// More steps than the two requests have.
const MAX_STEPS: usize = 100;

/// Deletes a picture and the avatar of a user. Returns whether both were acknowledged.
async fn delete_both(portal: &PortalClient, picture: &str, user: &str) -> bool {
    for (path, expected) in [(format!("/uploads/{picture}"), 204), (format!("/api/{user}/picture"), 200)] {
        let Ok(answer) = portal.request(Method::DELETE, &path).send().await else { return false };
        if answer.status() != expected {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_killed_between_every_two_steps_of_a_deletion() {
    let Some(stack) = EngineStack::start().await else { return };
    let (healthy, worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&healthy).await;
    let mut deleted = 0;
    for step in 0..MAX_STEPS {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let answer = portal.upload("small.jpg", read_picture("astronaut.jpg")).await;
            assert!(answer.status().is_success(), "{}", answer.status());
            ids.push(answer.text().await.unwrap());
        }
        assert_all_ready(&stack, &ids).await;
        let [picture, avatar] = &ids[..] else { panic!("{ids:?}") };
        let owner = portal.json(&format!("/uploads/{picture}")).await["owner"].as_str().unwrap().to_owned();
        let user = format!("users/{owner}.{FEDMEMBER}");
        assert_eq!(portal.claim(&user, avatar).await.status(), 200);

        let trap = RequestTrap::default();
        let proxies = stack.new_proxies(&trap).await;
        let victim = ServerProcess::start(stack.command_through(&proxies, &["api"]));
        let doomed = PortalClient::log_in(&victim).await;
        trap.arm(step);
        let whole = tokio::select! {
            () = trap.sprung() => false,
            done = delete_both(&doomed, picture, &user) => done,
        };
        victim.kill();
        trap.clear();
        assert!(delete_both(&portal, picture, &user).await, "step {step}: a repeated deletion is refused");
        deleted += 2;
        let gone = "SELECT count(*) FROM uploads WHERE state = 'expired' AND reason_code = 'deleted'";
        assert_eq!(query_number(&stack, gone).await, deleted, "step {step}");
        let events = "SELECT count(*) FROM events WHERE kind = 'deleted'";
        assert_eq!(query_number(&stack, events).await, deleted, "step {step}: deleted twice");
        if whole {
            println!("an api was killed before each of {step} steps");
            assert!(step > 5, "two deletions have more steps than {step}");
            // Compares all rows with all objects after a sweep: no bytes of a deleted picture are left.
            settle_and_check(&stack, &[]).await;
            assert_eq!(worker.stop(), Some(0));
            return stack.clean_up().await;
        }
    }
    panic!("the deletions were not done within {MAX_STEPS} steps");
}
