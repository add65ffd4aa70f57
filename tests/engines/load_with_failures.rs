//! Sends 2000 uploads while workers and apis are killed, and the connections to the engines are cut.

use std::time::Instant;

use test_support::engine_stack::EngineStack;
use test_support::portal::PortalClient;
use test_support::proxy::ProxyState;

use super::faults::{assert_all_ready, upload_many};

const UPLOADS: usize = 2000;
const UPLOADS_PER_ROUND: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_uploads_survive_kills_and_cut_connections() {
    let Some(stack) = EngineStack::start().await else { return };
    let begun = Instant::now();
    let _steady = stack.worker();
    let (mut acknowledged, mut killed, mut cut) = (Vec::new(), 0, 0);
    for round in 1.. {
        let mut api = Some(stack.api());
        let mut worker = Some(stack.worker());
        let portal = PortalClient::log_in(api.as_ref().unwrap()).await;
        stack.broker.set(ProxyState::Open);
        let handed = upload_many(&portal, UPLOADS_PER_ROUND, |done| {
            match done % 50 {
                10 => stack.broker.cut(),
                20 => stack.database.cut(),
                30 => stack.store.cut(),
                _ => return,
            }
            cut += 1;
            let victim = match (done, round % 3) {
                (60..80, _) => worker.take(),
                (160.., 0) => api.take(),
                (160.., 1) => {
                    stack.broker.set(ProxyState::Broken);
                    None
                }
                _ => None,
            };
            if let Some(victim) = victim {
                victim.kill();
                killed += 1;
            }
        });
        acknowledged.extend(handed.await);
        if acknowledged.len() >= UPLOADS {
            break;
        }
    }
    stack.broker.set(ProxyState::Open);
    let taken_in = begun.elapsed();
    assert_all_ready(&stack, &acknowledged).await;
    println!(
        "{} acknowledged in {taken_in:.0?}, all ready after {:.0?}; {killed} processes killed, {cut} connection cuts",
        acknowledged.len(),
        begun.elapsed()
    );
    stack.clean_up().await;
}
