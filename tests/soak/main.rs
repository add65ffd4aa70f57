//! The soak test: users upload, view, claim and delete, while a random schedule kills, stops and pauses processes and
//! makes backends fail. At the end, everything that was acknowledged must exist, and nothing else.
//!
//! `the_defaults_lose_nothing` runs one `cloakroom up` on its embedded backends. `the_engines_lose_nothing` runs two
//! apis and two workers on RabbitMQ, PostgreSQL and S3. Both read two environment variables:
//!
//! - `CLOAKROOM_SOAK_SECONDS`: the duration of the faults in seconds, 60 by default, plus a minute or two of checks.
//! - `CLOAKROOM_SOAK_SEED`: a number that decides the schedule and the users' actions, random by default. The test
//!   prints the number.

#![allow(unreachable_pub, reason = "the modules of a binary have no outside")]
#![allow(clippy::disallowed_methods, reason = "tests make names and times of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checker;
mod client;
mod deployment;
mod documents;
mod embedded;
mod fault_schedule;
mod journal;
mod node;
mod random;
mod real_engines;
mod test_picture;
mod workload;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backends::Backends;
use domain::{Resource, Service};
use futures::FutureExt;
use futures::future::{join, join_all};
use tokio_util::sync::CancellationToken;

use checker::Checker;
use client::SoakUser;
use deployment::Deployment;
use embedded::EmbeddedDeployment;
use fault_schedule::{FaultMix, FaultSchedule};
use journal::Journal;
use random::SeededRandom;
use real_engines::RealEnginesDeployment;
use workload::Workload;

const USERS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn the_defaults_lose_nothing() {
    let (seed, seconds) = seed_and_seconds();
    let journal = Arc::new(Journal::new("embedded", seed));
    let embedded = EmbeddedDeployment::new(&journal, seconds);
    soak(embedded, seed, seconds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engines_lose_nothing() {
    let (seed, seconds) = seed_and_seconds();
    let journal = Arc::new(Journal::new("engines", seed));
    let Some(real) = RealEnginesDeployment::new(&journal).await else { return };
    soak(real, seed, seconds).await;
}

/// The seed and the length in seconds.
fn seed_and_seconds() -> (u64, u64) {
    let given = |name| std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed =
        given("CLOAKROOM_SOAK_SEED").unwrap_or_else(|| SeededRandom::new(now.as_nanos() as u64).below(1_000_000));
    (seed, given("CLOAKROOM_SOAK_SECONDS").unwrap_or(60))
}

async fn soak<I: Deployment>(deployment: I, seed: u64, seconds: u64) {
    let journal = Arc::clone(deployment.journal());
    journal.log(&format!("CLOAKROOM_SOAK_SEED={seed} CLOAKROOM_SOAK_SECONDS={seconds}"));
    let body =
        AssertUnwindSafe(run_workload_and_faults(&deployment, seed, Duration::from_secs(seconds))).catch_unwind();
    // The code below cleans up also after a panic and after Ctrl-C.
    let ended = tokio::select! {
        ended = body => ended,
        _ = tokio::signal::ctrl_c() => {
            journal.record_violation("interrupted".to_owned());
            Ok(())
        }
    };
    if let Err(panic) = ended {
        journal.record_violation(checker::panic_message(&*panic));
    }
    deployment.tear_down().await;
    journal.log(&journal.summary());
    let violations = journal.violations();
    if violations.is_empty() {
        std::fs::remove_dir_all(&journal.folder).ok();
        return;
    }
    let (many, folder) = (violations.len(), journal.folder.display());
    panic!("{many} violations with seed {seed}; the logs are in {folder}:\n  {}", violations.join("\n  "));
}

/// Runs workload and faults together, and then the checks.
async fn run_workload_and_faults<I: Deployment>(deployment: &I, seed: u64, duration: Duration) {
    let journal = deployment.journal();
    let nodes = deployment.nodes();
    deployment.prepare().await;
    for node in nodes {
        node.start().await;
    }
    let backends = deployment.open_backends().await;
    let workload = Workload::new(create_users(deployment, &backends).await, journal, seed);
    // An open connection of this process would prevent that a restart of the node shortens SQLite's log. A log that is
    // long already does not grow, so the full disk would have no effect.
    close_backends(backends).await;
    let (begun, stop) = (Instant::now(), CancellationToken::new());
    let mixes = deployment.fault_mixes().into_iter().enumerate();
    let tracks = mixes.map(|(track, mix)| run_track(deployment, mix, seed ^ ((track as u64) << 32), begun + duration));
    let faults = async {
        join_all(tracks).await;
        tokio::time::sleep_until((begun + duration).into()).await;
        stop.cancel();
        journal.log("the last fault is over");
    };
    join(faults, join_all((0..USERS).map(|user| workload.run(user, &stop)))).await;
    journal.log(&journal.summary());
    let (backends, db) = (deployment.open_backends().await, deployment.open_database().await);
    let checker = Checker { deployment, workload: &workload, backends, db };
    checker.run().await;
    close_backends(checker.backends).await;
}

async fn close_backends(backends: Backends) {
    backends.queue.close().await;
    backends.records.close().await.unwrap();
}

/// Runs the faults of one track. A fault that would not be over by `end` is not begun.
async fn run_track<I: Deployment>(deployment: &I, mix: FaultMix, seed: u64, end: Instant) {
    let mut schedule = FaultSchedule::new(mix, seed);
    loop {
        let step = schedule.next_step();
        if Instant::now() + step.pause + step.duration > end {
            return;
        }
        tokio::time::sleep(step.pause).await;
        deployment.journal().log(&step.to_string());
        deployment.apply_fault(&step).await;
    }
}

/// Creates users, each with a token and the permission to act for an app.
async fn create_users<I: Deployment>(deployment: &I, backends: &Backends) -> Vec<SoakUser> {
    let mut users = Vec::new();
    for number in 0..USERS {
        let id = format!("user{number}");
        let user = records::User {
            id: id.clone(),
            email: format!("{id}@example.org"),
            name: id.clone(),
            password_hash: String::new(),
            role: records::Role::Member,
            disabled: false,
        };
        backends.records.upsert_user(&user).await.unwrap();
        let app = Resource { service: Service::Apps, id: id.clone() };
        backends.records.grant_resource(&app, &id).await.unwrap();
        let issued = deployment.command(&["token", "issue", &id, "--lifetime", "1000h"]).output().unwrap();
        assert!(issued.status.success(), "{}", String::from_utf8_lossy(&issued.stderr));
        let token = String::from_utf8(issued.stdout).unwrap();
        users.push(SoakUser::new(&id, token.trim(), deployment.nodes()));
    }
    users
}
