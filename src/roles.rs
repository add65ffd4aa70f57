//! The roles one by one: each a process of its own, as many of each as the load asks for, sharing the four places.

use anyhow::bail;
use api::Api;
use clap::Args;
use upload::{Backends, Clock, FailPoints, OutageLog, QueueName};
use worker::{Sweeper, Worker};

use crate::probes::{ProbeServer, ReadinessSource, WorkerReadiness};
use crate::settings::Settings;

#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Consume only these queues: pictures, variants, renditions, bulk, heavy.
    #[arg(long, value_delimiter = ',', value_parser = parse_queue)]
    queues: Vec<QueueName>,
    /// Jobs at a time over all queues, whatever the settings say.
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
}

#[derive(Args)]
pub(crate) struct SweepArgs {
    /// Do all there is to do now, say what that was, and exit.
    #[arg(long)]
    once: bool,
}

fn parse_queue(word: &str) -> Result<QueueName, String> {
    QueueName::from_name(word)
        .ok_or_else(|| format!("the queues are {}", QueueName::ALL.map(QueueName::as_str).join(", ")))
}

/// The four places, where the schema is what this program expects.
///
/// # Errors
/// Where it is behind, or a place cannot be opened.
pub(crate) async fn open_backends(settings: &Settings) -> anyhow::Result<Backends> {
    crate::migrate::require_current_schema(settings).await?;
    Ok(Backends::open(&settings.backends(), Clock::system(), FailPoints::default()).await?)
}

/// Places that other processes can share. A queue in memory ends at the process, so a role alone would wait for ever.
async fn open_shared_backends(settings: &Settings) -> anyhow::Result<Backends> {
    let places = open_backends(settings).await?;
    if places.queue.is_volatile() {
        bail!("queue.url is memory:, which no other process can see; use amqp://…, or `cloakroom up` for one process");
    }
    Ok(places)
}

/// `cloakroom api`.
///
/// # Errors
/// Where the schema is behind, a place cannot be opened or the address is taken.
pub(crate) async fn api(settings: Settings) -> anyhow::Result<()> {
    let stop = settings.shutdown.shutdown_signal()?;
    let listener = crate::all_in_one::bind_http(&settings).await?;
    let address = listener.local_addr()?;
    let probing = settings.probes.bind().await?;
    let places = open_shared_backends(&settings).await?;
    let metrics = crate::metrics::install_recorder()?;
    let api = Api::open(&crate::fd_limit::fit_connections(&settings, 0), places.clone(), metrics.clone()).await?;
    // Last, because the password is shown once: a start that fails must not have made the administrator.
    if let Some(admin) = api::ensure_admin(&places.records, &settings.realm).await? {
        crate::all_in_one::print_first_login(&admin, address);
    }
    let probes = ProbeServer { metrics, liveness: None, readiness: ReadinessSource::Api(api.readiness()) };
    let probing = tokio::spawn(probes.serve(probing, stop.clone()));
    let counting = tokio::spawn(crate::stats::sample(places.clone(), stop.clone()));
    tracing::info!(%address, "the api is up");
    api.serve(listener, stop).await?;
    counting.abort();
    probing.abort();
    places.queue.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// `cloakroom worker`.
///
/// # Errors
/// Where the schema is behind, a place cannot be opened or the probes' address is taken.
pub(crate) async fn worker(mut settings: Settings, args: WorkerArgs) -> anyhow::Result<()> {
    if !args.queues.is_empty() {
        settings.worker.queues = args.queues;
    }
    settings.worker.concurrency = args.concurrency.unwrap_or(settings.worker.concurrency);
    let stop = settings.shutdown.shutdown_signal()?;
    let listener = settings.probes.bind().await?;
    let places = open_shared_backends(&settings).await?;
    let worker = Worker::new(&settings.worker(), places.clone());
    let sweeper = Sweeper::new(&settings.sweep, places.clone());
    let metrics = crate::metrics::install_recorder()?;
    let (pulse, breakers) = (Some(worker.liveness()), worker.breakers());
    let readiness = WorkerReadiness { backends: places.clone(), breakers, outages: OutageLog::default() };
    let probes = ProbeServer { metrics, liveness: pulse, readiness: ReadinessSource::Worker(readiness) };
    tracing::info!(queues = ?settings.worker.queues, "the worker is up");
    let (worked, (), (), ()) = tokio::join!(
        worker.run(stop.clone()),
        sweeper.run(stop.clone()),
        crate::stats::sample(places.clone(), stop.clone()),
        probes.serve(listener, stop.clone()),
    );
    worked?;
    // The last verdicts are sent before the process goes.
    places.queue.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// `cloakroom sweep`. Of places that others share: what it published into a queue of its own would be lost with it and
/// noted as published all the same. `cloakroom up` sweeps for itself.
///
/// # Errors
/// Where the schema is behind, the queue is nobody else's or a place does not answer.
pub(crate) async fn sweep(settings: Settings, args: SweepArgs) -> anyhow::Result<()> {
    let stop = settings.shutdown.shutdown_signal()?;
    let places = open_shared_backends(&settings).await?;
    let sweeper = Sweeper::new(&settings.sweep, places.clone());
    if !args.once {
        tracing::info!("the sweeper is up");
        sweeper.run(stop).await;
        return Ok(());
    }
    let swept = sweeper.sweep_once().await?;
    places.queue.close().await;
    println!(
        "{} expired, {} failed, {} published again, {} blobs deleted, {} orphans removed from staging",
        swept.expired, swept.failed, swept.republished, swept.deleted_blobs, swept.deleted_orphans
    );
    Ok(())
}
