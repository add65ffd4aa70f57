//! The roles one by one. Each is a process of its own; any number of them share the four backends.

use std::sync::Arc;

use anyhow::bail;
use api::Api;
use backends::Backends;
use clap::Args;
use domain::{Clock, QueueName};
use instrument::{FailPoints, OutageLog};
use worker::{Sweeper, Worker};

use crate::probes::{ProbeServer, ReadinessSource, WorkerReadiness};
use crate::settings::Settings;

#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Consume only these queues: pictures, variants, renditions, bulk, heavy. Overrides worker.queues.
    #[arg(long, value_delimiter = ',', value_parser = parse_queue)]
    queues: Vec<QueueName>,
    /// The number of jobs to run at the same time, over all queues. Overrides worker.concurrency.
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
}

#[derive(Args)]
pub(crate) struct SweepArgs {
    /// Sweep once, print what was done, and exit.
    #[arg(long)]
    once: bool,
}

fn parse_queue(word: &str) -> Result<QueueName, String> {
    word.parse().map_err(|_| {
        format!("there is no such queue; the queues are {}", QueueName::ALL.map(QueueName::as_str).join(", "))
    })
}

/// Opens the four backends if the schema is the one that this program expects.
///
/// # Errors
/// If the schema is outdated, or a backend cannot be opened.
pub(crate) async fn open_backends(settings: &Settings) -> anyhow::Result<Backends> {
    crate::migrate::require_current_schema(settings).await?;
    Ok(Backends::open(&settings.backends(), Clock::system(), FailPoints::default()).await?)
}

/// Opens backends that several processes can share. A queue in memory is refused, because it is private to its process.
/// No other process would get the jobs of an api, and a worker would wait for jobs for ever.
async fn open_shared_backends(settings: &Settings) -> anyhow::Result<Backends> {
    let backends = open_backends(settings).await?;
    if backends.queue.is_volatile() {
        bail!(
            "queue.url = \"memory:\" is private to one process; set an amqp:// address, or use `cloakroom up` to run everything in one process"
        );
    }
    Ok(backends)
}

/// `cloakroom api`.
///
/// # Errors
/// If the schema is outdated, a backend cannot be opened or the address is taken.
pub(crate) async fn api(settings: Settings) -> anyhow::Result<()> {
    let stop = settings.shutdown.shutdown_signal()?;
    let listener = crate::all_in_one::bind_http(&settings).await?;
    let address = listener.local_addr()?;
    let probing = settings.probes.bind().await?;
    let backends = open_shared_backends(&settings).await?;
    let metrics = crate::metrics_recorder::install_recorder()?;
    let api = Api::open(&crate::fd_limit::fit_connections(&settings, 0), backends.clone(), metrics.clone()).await?;
    // Last, because the password is shown once: a start that fails must not create the administrator.
    if let Some(admin) = api::ensure_admin(&backends.records, &settings.realm).await? {
        crate::all_in_one::print_first_login(&admin, address);
    }
    let probes = ProbeServer { metrics, liveness: None, readiness: ReadinessSource::Api(api.readiness()) };
    let probing = tokio::spawn(probes.serve(probing, stop.clone()));
    let counting = tokio::spawn(crate::stats::sample(backends.clone(), stop.clone()));
    tracing::info!(%address, "the api is up");
    api.serve(listener, stop).await?;
    counting.abort();
    probing.abort();
    backends.queue.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// `cloakroom worker`.
///
/// # Errors
/// If the schema is outdated, a backend cannot be opened or the probes' address is taken.
pub(crate) async fn worker(mut settings: Settings, args: WorkerArgs) -> anyhow::Result<()> {
    if !args.queues.is_empty() {
        settings.worker.queues = args.queues;
    }
    settings.worker.concurrency = args.concurrency.unwrap_or(settings.worker.concurrency);
    let stop = settings.shutdown.shutdown_signal()?;
    let listener = settings.probes.bind().await?;
    let backends = open_shared_backends(&settings).await?;
    let worker = Worker::new(&settings.worker(), backends.clone());
    let sweeper = Sweeper::new(&settings.sweep, backends.clone());
    let metrics = crate::metrics_recorder::install_recorder()?;
    let (liveness, breakers) = (Some(worker.liveness()), worker.breakers());
    let readiness = WorkerReadiness { backends: backends.clone(), breakers, outages: OutageLog::default() };
    let probes = ProbeServer { metrics, liveness, readiness: ReadinessSource::Worker(Arc::new(readiness)) };
    let queues: Vec<&str> = settings.worker.queues.iter().map(|queue| queue.as_str()).collect();
    tracing::info!(queues = queues.join(", "), "the worker is up");
    tokio::join!(
        worker.run(stop.clone()),
        sweeper.run(stop.clone()),
        crate::stats::sample(backends.clone(), stop.clone()),
        probes.serve(listener, stop.clone()),
    );
    // The last outcomes are sent before the process ends.
    backends.queue.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// `cloakroom sweep`. It requires a shared queue: job messages in a queue of this process would be lost when it ends,
/// and would still be recorded as published. `cloakroom up` runs its own sweeper.
///
/// # Errors
/// If the schema is outdated, the queue is not shared or a backend does not answer.
pub(crate) async fn sweep(settings: Settings, args: SweepArgs) -> anyhow::Result<()> {
    let stop = settings.shutdown.shutdown_signal()?;
    let backends = open_shared_backends(&settings).await?;
    let sweeper = Sweeper::new(&settings.sweep, backends.clone());
    if !args.once {
        tracing::info!("the sweeper is up");
        sweeper.run(stop).await;
        return Ok(());
    }
    let swept = sweeper.sweep_once().await?;
    backends.queue.close().await;
    println!(
        "{} uploads expired, {} uploads failed, {} jobs published again, {} deleted files purged, {} blobs deleted, \
         {} orphans deleted from staging",
        swept.expired, swept.failed, swept.republished, swept.purged_files, swept.deleted_blobs, swept.deleted_orphans
    );
    Ok(())
}
