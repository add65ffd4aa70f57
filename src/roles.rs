//! The roles one by one: each a process of its own, as many of each as the load asks for, sharing the four places.

use anyhow::bail;
use api::Api;
use clap::Args;
use upload::{Clock, Faults, Lane, OutageLog, Places};
use worker::{Sweeper, Worker};

use crate::probes::{Probes, Ready, WorkerReadiness};
use crate::settings::Settings;

#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Consume only these queues: pictures, variants, renditions, bulk, heavy.
    #[arg(long, value_delimiter = ',', value_parser = lane)]
    queues: Vec<Lane>,
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

fn lane(word: &str) -> Result<Lane, String> {
    Lane::named(word).ok_or_else(|| format!("the queues are {}", Lane::ALL.map(Lane::as_str).join(", ")))
}

/// The four places, where the schema is what this program expects.
///
/// # Errors
/// Where it is behind, or a place cannot be opened.
pub(crate) async fn places(settings: &Settings) -> anyhow::Result<Places> {
    crate::migrate::require(settings).await?;
    Ok(Places::open(&settings.places(), Clock::system(), Faults::default()).await?)
}

/// Places that other processes can share. A queue in memory ends at the process, so a role alone would wait for ever.
async fn shared_places(settings: &Settings) -> anyhow::Result<Places> {
    let places = places(settings).await?;
    if places.queue.forgets() {
        bail!("queue.url is memory:, which no other process can see; use amqp://…, or `cloakroom up` for one process");
    }
    Ok(places)
}

/// `cloakroom api`.
///
/// # Errors
/// Where the schema is behind, a place cannot be opened or the address is taken.
pub(crate) async fn api(settings: Settings) -> anyhow::Result<()> {
    let stop = settings.shutdown.until_told_to_stop()?;
    let listener = crate::up::listen(&settings).await?;
    let address = listener.local_addr()?;
    let probing = settings.probes.bind().await?;
    let places = shared_places(&settings).await?;
    let metrics = crate::metrics::begin()?;
    let api = Api::open(&crate::descriptors::fit(&settings, 0), places.clone(), metrics.clone()).await?;
    // Last, because the password is shown once: a start that fails must not have made the administrator.
    if let Some(admin) = api::ensure_admin(&places.records, &settings.realm).await? {
        crate::up::introduce(&admin, address);
    }
    let probes = Probes { metrics, pulse: None, ready: Ready::Api(api.readiness()) };
    let probing = tokio::spawn(probes.serve(probing, stop.clone()));
    let counting = tokio::spawn(crate::gauges::keep(places.clone(), stop.clone()));
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
    let stop = settings.shutdown.until_told_to_stop()?;
    let listener = settings.probes.bind().await?;
    let places = shared_places(&settings).await?;
    let worker = Worker::new(&settings.worker(), places.clone());
    let sweeper = Sweeper::new(&settings.sweep, places.clone());
    let metrics = crate::metrics::begin()?;
    let (pulse, breakers) = (Some(worker.pulse()), worker.breakers());
    let readiness = WorkerReadiness { places: places.clone(), breakers, outages: OutageLog::default() };
    let probes = Probes { metrics, pulse, ready: Ready::Worker(readiness) };
    tracing::info!(queues = ?settings.worker.queues, "the worker is up");
    let (worked, (), (), ()) = tokio::join!(
        worker.run(stop.clone()),
        sweeper.run(stop.clone()),
        crate::gauges::keep(places.clone(), stop.clone()),
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
    let stop = settings.shutdown.until_told_to_stop()?;
    let places = shared_places(&settings).await?;
    let sweeper = Sweeper::new(&settings.sweep, places.clone());
    if !args.once {
        tracing::info!("the sweeper is up");
        sweeper.run(stop).await;
        return Ok(());
    }
    let swept = sweeper.once().await?;
    places.queue.close().await;
    println!(
        "{} expired, {} failed, {} published again, {} blobs deleted, {} orphans removed from staging",
        swept.expired, swept.failed, swept.published, swept.collected, swept.orphans
    );
    Ok(())
}
