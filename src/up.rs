//! `cloakroom up`: migrate, then api, worker and sweeper in one process. With the defaults that is SQLite, two folders
//! and an in-process queue below one data directory, and nothing else.

use std::fs::File;
use std::net::SocketAddr;

use anyhow::Context;
use api::{Api, FirstAdmin};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use upload::{Clock, Faults, Places};
use worker::{Sweeper, Worker};

use crate::probes::{Probes, Ready};
use crate::settings::Settings;

/// A whole Cloakroom, open and listening but not serving yet.
pub(crate) struct Up {
    pub(crate) address: SocketAddr,
    /// The administrator, if this was the first start.
    pub(crate) admin: Option<FirstAdmin>,
    listener: TcpListener,
    api: Api,
    worker: Worker,
    sweeper: Sweeper,
    probes: Probes,
    probing: Option<TcpListener>,
    places: Places,
    /// Held as long as the data directory is ours.
    _lock: File,
}

impl Up {
    /// Opens everything, brings the schema up to date and takes up again what an earlier process left.
    ///
    /// # Errors
    /// Where the data directory is another process's, a place cannot be opened or the address is taken.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let lock = lock(settings)?;
        let listener = listen(settings).await?;
        let address = listener.local_addr()?;
        let probing = settings.probes.bind().await?;
        let metrics = crate::metrics::begin()?;
        for name in crate::migrate::up(settings).await? {
            tracing::info!(name, "migrated");
        }
        let places = Places::open(&settings.places(), Clock::system(), Faults::default()).await?;
        let sweeper = Sweeper::new(&settings.sweep, places.clone());
        if places.queue.forgets() {
            let jobs = places.records.reopen_promises().await?;
            if jobs > 0 {
                tracing::info!(jobs, "taking up again what the last process left");
            }
        }
        let worker = Worker::new(&settings.worker(), places.clone());
        let api =
            Api::open(&crate::descriptors::fit(settings, jobs(settings)), places.clone(), metrics.clone()).await?;
        let probes = Probes { metrics, pulse: Some(worker.pulse()), ready: Ready::Api(api.readiness()) };
        // Last, because the password is shown once: a start that fails must not have made the administrator.
        let admin = api::ensure_admin(&places.records, &settings.realm).await?;
        Ok(Self { address, admin, listener, api, worker, sweeper, probes, probing, places, _lock: lock })
    }

    /// Serves until `stop`, then finishes what is under way.
    ///
    /// # Errors
    /// Where one of the roles cannot go on.
    pub(crate) async fn serve(self, stop: CancellationToken) -> anyhow::Result<()> {
        let (api, worker, (), (), ()) = tokio::join!(
            async { self.api.serve(self.listener, stop.clone()).await.inspect_err(|_| stop.cancel()) },
            async { self.worker.run(stop.clone()).await.inspect_err(|_| stop.cancel()) },
            self.sweeper.run(stop.clone()),
            crate::gauges::keep(self.places.clone(), stop.clone()),
            self.probes.serve(self.probing, stop.clone()),
        );
        self.places.queue.close().await;
        api?;
        worker?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Listens on `http.listen`. Connections wait until they are served.
///
/// # Errors
/// If the address is taken or is none of this machine's.
pub(crate) async fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = &settings.http.listen;
    TcpListener::bind(address).await.with_context(|| format!("http.listen: {address} cannot be listened on"))
}

/// How many jobs this process runs at once, at most.
fn jobs(settings: &Settings) -> usize {
    match settings.worker.concurrency {
        0 => 4 * std::thread::available_parallelism().map_or(1, usize::from),
        concurrency => concurrency,
    }
}

/// Two processes on one data directory would each think the other's jobs its own.
fn lock(settings: &Settings) -> anyhow::Result<File> {
    let data = &settings.data_dir;
    std::fs::create_dir_all(data).with_context(|| format!("data_dir: {} cannot be made", data.display()))?;
    let path = data.join("lock");
    let file = File::create(&path).with_context(|| format!("data_dir: {} cannot be written to", data.display()))?;
    file.try_lock().with_context(|| {
        format!("data_dir: another cloakroom runs on {}; stop it or name another folder", data.display())
    })?;
    Ok(file)
}

/// `cloakroom up`.
///
/// # Errors
/// As [`Up::open`] and [`Up::serve`].
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = settings.shutdown.until_told_to_stop()?;
    let up = Up::open(&settings).await?;
    let address = up.address;
    tracing::info!(%address, data = %settings.data_dir.display(), "cloakroom is up");
    if let Some(admin) = &up.admin {
        introduce(admin, address);
    }
    up.serve(stop).await
}

/// Says how to log in, once, to standard output: a log would keep the password.
pub(crate) fn introduce(admin: &FirstAdmin, address: SocketAddr) {
    let password = admin.password.as_deref().unwrap_or("(as you set it)");
    println!("\n  Cloakroom is up for the first time, at http://{address}/\n");
    println!("    email     {}\n    password  {password}\n", admin.email);
    println!(
        "  curl -c jar -H 'content-type: application/json' http://{address}/api/login \\\n       -d '{{\"email\":\"{}\",\"password\":\"…\"}}'\n",
        admin.email
    );
}
