//! Tests fairness between users on RabbitMQ, with queues on the broker and the worker in a separate process.

use futures::future::join_all;
use sea_orm::{DbBackend, FromQueryResult, Statement};
use test_support::engine_stack::EngineStack;
use test_support::invariants::wait_for_number;
use test_support::portal::{PortalClient, read_picture};
use test_support::process::ServerProcess;

use crate::fairness::{FLOOD, SettledUpload, assert_fair, large_gray_png};

#[derive(Debug, FromQueryResult)]
struct SettledRow {
    owner: String,
    settled_at: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_heavy_pictures_do_not_delay_small_ones_of_others() {
    let Some(stack) = EngineStack::start().await else { return };
    let new_command = |arguments: &[&str]| {
        let mut command = stack.command(arguments);
        command.env("CLOAKROOM__QUEUE__HEAVY_THRESHOLD", "20ms");
        command.env("CLOAKROOM__WORKER__CONCURRENCY", "4").env("CLOAKROOM__WORKER__THREADS", "2");
        // Long enough for a busy machine, because an expired lease would count as an attempt of a job in the flood.
        command.env("CLOAKROOM__WORKER__LEASE", "60s");
        command
    };
    let api = ServerProcess::start(new_command(&["api"]));
    let run = |arguments: &[&str]| {
        let output = stack.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (heavy, small) = (large_gray_png(), read_picture("astronaut.jpg"));
    let mut sent = 0;
    for (owner, bytes, count) in
        [("flood0", &heavy, FLOOD), ("flood1", &heavy, FLOOD), ("jane", &small, 3), ("joe", &small, 3)]
    {
        run(&["user", "add", owner, &format!("{owner}@example.org")]);
        let portal = PortalClient::with_token(&api, run(&["token", "issue", owner, "--lifetime", "1h"]).trim());
        let sending = (0..count).map(|_| portal.upload_preferring("respond-async", "a", bytes.clone()));
        let answers = join_all(sending).await;
        assert!(answers.iter().all(|answer| answer.status() == 202), "{answers:?}");
        sent += answers.len();
    }
    // All messages are in the broker before the first job begins.
    wait_for_number(&stack, "SELECT count(*) FROM jobs WHERE published_at IS NULL", 0).await;
    let worker = ServerProcess::start(new_command(&["worker"]));
    wait_for_number(&stack, "SELECT count(*) FROM uploads WHERE state = 'ready'", i64::try_from(sent).unwrap()).await;
    let asked = "SELECT owner, settled_at FROM uploads";
    let rows =
        SettledRow::find_by_statement(Statement::from_string(DbBackend::Postgres, asked)).all(&stack.records).await;
    let settled: Vec<SettledUpload> =
        rows.unwrap().into_iter().map(|row| SettledUpload { owner: row.owner, at: row.settled_at }).collect();
    assert_fair(&settled, 2);
    let backends = stack.open_backends().await;
    assert_eq!(backends.records.recount_usage().await.unwrap(), Vec::<String>::new());
    backends.queue.close().await;
    backends.records.close().await.unwrap();
    assert_eq!((api.stop(), worker.stop()), (Some(0), Some(0)));
    stack.clean_up().await;
}
