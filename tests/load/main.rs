//! `cargo bench --bench load`: clients upload pictures to an api with two workers on real engines. A client sends its
//! next upload as soon as its last one is answered. The benchmark prints what the uploads cost each component, and has
//! no limits for these costs.
//!
//! The addresses of the engines come from `CLOAKROOM_TEST_AMQP`, `CLOAKROOM_TEST_POSTGRES` and `CLOAKROOM_TEST_S3`, as
//! for the tests. Arguments after `--`:
//! - `--clients N` (default 8);
//! - `--uploads N` (default 1000);
//! - `--folders`: bytes are stored in folders that all processes share, instead of S3;
//! - paths of pictures (default: two pictures of the tests).

#![allow(clippy::disallowed_methods, reason = "tests make names and times of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unreachable_pub, reason = "the modules of a binary have no outside")]

mod costs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use test_support::engine_stack::EngineStack;
use test_support::portal::PortalClient;
use test_support::process::ServerProcess;

use costs::{CpuCosts, percentiles};

/// The number of users that upload pictures in turn.
const USERS: usize = 20;

#[tokio::main]
async fn main() {
    let (mut clients, mut uploads, mut folders, mut pictures) = (8, 1000, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--clients" => clients = arguments.next().unwrap().parse().unwrap(),
            "--uploads" => uploads = arguments.next().unwrap().parse().unwrap(),
            "--folders" => folders = true,
            // Cargo passes this argument.
            "--bench" => {}
            picture => pictures.push(PathBuf::from(picture)),
        }
    }
    if pictures.is_empty() {
        let shipped = |name: &str| format!("{}/tests/pictures/{name}", env!("CARGO_MANIFEST_DIR")).into();
        pictures = vec![shipped("astronaut.jpg"), shipped("hubble.jpg")];
    }
    for picture in pictures {
        let bytes = std::fs::read(&picture).unwrap();
        println!("\n{} ({} bytes), {uploads} uploads, {clients} clients", picture.display(), bytes.len());
        for prefer in ["wait=30", "respond-async"] {
            let Some(stack) = EngineStack::start().await.map(EngineStack::without_proxies) else { return };
            let stack = if folders { stack.with_folder_stores() } else { stack };
            run_load(&stack, prefer, &bytes, uploads, clients).await;
            stack.clean_up().await;
        }
    }
}

async fn run_load(stack: &EngineStack, prefer: &str, bytes: &[u8], uploads: usize, clients: usize) {
    // The environment that docker-compose.yml sets.
    let start = |role, purge_delay| {
        let mut command = stack.command(&[role]);
        command.env("MIMALLOC_PURGE_DELAY", purge_delay);
        ServerProcess::start(command)
    };
    let (api, workers) = (start("api", "0"), [start("worker", "200"), start("worker", "200")]);
    let portals = create_users(stack, &api);
    // Connections, pools and query plans are created once, before the measurement.
    for _ in 0..20 {
        portals[0].upload("warm.jpg", bytes.to_vec()).await;
    }
    // The cost of a first start, such as hashing the first password, is not measured either.
    [&api].into_iter().chain(&workers).for_each(ServerProcess::reset_peak_memory);
    let before = CpuCosts::measure(&api, &workers);
    let begun = Instant::now();
    let mut latencies = Vec::with_capacity(uploads);
    let mut last = None;
    let mut running = FuturesUnordered::new();
    let mut sent = 0;
    loop {
        while sent < uploads && running.len() < clients {
            let (portal, bytes) = (portals[sent % portals.len()].clone(), bytes.to_vec());
            running.push(async move {
                let begun = Instant::now();
                let answer = portal.upload_preferring(prefer, "load.jpg", bytes).await;
                let (status, number) = (answer.status().as_u16(), answer.text().await.unwrap());
                (status, (portal, number), begun.elapsed())
            });
            sent += 1;
        }
        let Some((status, handed_in, latency)) = running.next().await else { break };
        assert!(matches!(status, 200 | 202), "{status}: {}", handed_in.1);
        latencies.push(latency);
        last = Some(handed_in);
    }
    let acknowledged = begun.elapsed();
    wait_until_drained(stack, last).await;
    let ready = begun.elapsed();
    let spent = CpuCosts::measure(&api, &workers).since(&before);
    let rate = |time: Duration| f64::from(u32::try_from(uploads).unwrap()) / time.as_secs_f64();
    println!("  Prefer: {prefer}");
    println!("    {:.1} answered per second, {:.1} ready per second", rate(acknowledged), rate(ready));
    println!("    the answer took {}", percentiles(latencies));
    println!("    CPU per upload: {}", spent.per_upload(uploads));
    let memory = |line| {
        let mib = |process: &ServerProcess| f64::from(u32::try_from(process.memory_kib(line)).unwrap()) / 1024.0;
        format!("api {:.1} MiB, workers {:.1} and {:.1}", mib(&api), mib(&workers[0]), mib(&workers[1]))
    };
    println!("    memory at its peak: {}; at the end: {}", memory("VmHWM"), memory("VmRSS"));
    for process in [api].into_iter().chain(workers) {
        assert_eq!(process.stop(), Some(0));
    }
}

/// Waits until the last picture and all earlier ones are done.
async fn wait_until_drained(stack: &EngineStack, last: Option<(PortalClient, String)>) {
    let Some((portal, number)) = last else { return };
    while portal.get(&format!("/api/dropbox/pictures/{number}?size=75")).await.status() != 200 {}
    // The polls are rare enough not to affect the measurement.
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while stack.open_jobs().await > 0 {
        tick.tick().await;
    }
}

/// Creates the users, each with a token. There are several users, because every upload counts the unclaimed pictures of
/// its user.
fn create_users(stack: &EngineStack, api: &ServerProcess) -> Vec<PortalClient> {
    let run = |arguments: &[&str]| {
        let output = stack.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let create_user = |n: usize| {
        let id = format!("person{n}");
        run(&["user", "add", &id, &format!("{id}@example.org")]);
        PortalClient::with_token(api, run(&["token", "issue", &id, "--lifetime", "1h"]).trim())
    };
    (0..USERS).map(create_user).collect()
}
