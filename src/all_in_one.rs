//! `cloakroom up`: runs the migrations, then api, worker and sweeper in one process. With the defaults it needs nothing
//! but one data directory, which holds an SQLite database and two folders; the queue is in memory.

use std::fs::File;
use std::net::SocketAddr;

use anyhow::Context;
use api::{Api, FirstAdmin};
use backends::Backends;
use domain::Clock;
use instrument::FailPoints;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use worker::{Sweeper, Worker};

use crate::probes::{ProbeServer, ReadinessSource};
use crate::settings::Settings;

/// A complete Cloakroom that listens but does not serve yet.
pub(crate) struct AllInOne {
    pub(crate) address: SocketAddr,
    /// The administrator, if this was the first start.
    pub(crate) admin: Option<FirstAdmin>,
    listener: TcpListener,
    api: Api,
    worker: Worker,
    sweeper: Sweeper,
    probes: ProbeServer,
    probe_listener: Option<TcpListener>,
    backends: Backends,
    /// The lock of the data directory, held while this process uses it.
    _lock: File,
}

impl AllInOne {
    /// Opens all backends, brings the schema up to date and takes over the jobs that an earlier process left.
    ///
    /// # Errors
    /// If another process uses the data directory, a backend cannot be opened or the address is taken.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let lock = lock_data_dir(settings)?;
        let listener = bind_http(settings).await?;
        let address = listener.local_addr()?;
        let probe_listener = settings.probes.bind().await?;
        let metrics = crate::metrics_recorder::install_recorder()?;
        for name in crate::migrate::apply_pending(settings).await? {
            tracing::info!(name, "migration applied");
        }
        let backends = Backends::open(&settings.backends(), Clock::system(), FailPoints::default()).await?;
        let sweeper = Sweeper::new(&settings.sweep, backends.clone());
        if backends.queue.is_volatile() {
            let jobs = backends.records.reset_queued_jobs().await?;
            if jobs > 0 {
                tracing::info!(jobs, "the sweeper will publish again the jobs that the last process left");
            }
        }
        let worker = Worker::new(&settings.worker(), backends.clone());
        let api = Api::open(
            &crate::fd_limit::fit_connections(settings, max_jobs(settings)),
            backends.clone(),
            metrics.clone(),
        )
        .await?;
        let probes = ProbeServer {
            metrics,
            liveness: Some(worker.liveness()),
            readiness: ReadinessSource::Api(api.readiness()),
        };
        // The administrator is created last. Its password is shown once, so a start that fails must not create it.
        let admin = api::ensure_admin(&backends.records, &settings.realm).await?;
        Ok(Self { address, admin, listener, api, worker, sweeper, probes, probe_listener, backends, _lock: lock })
    }

    /// Serves until `stop`, then finishes the work in progress.
    ///
    /// # Errors
    /// If the api cannot continue.
    pub(crate) async fn serve(self, stop: CancellationToken) -> anyhow::Result<()> {
        let (api, (), (), (), ()) = tokio::join!(
            async { self.api.serve(self.listener, stop.clone()).await.inspect_err(|_| stop.cancel()) },
            self.worker.run(stop.clone()),
            self.sweeper.run(stop.clone()),
            crate::stats::sample(self.backends.clone(), stop.clone()),
            self.probes.serve(self.probe_listener, stop.clone()),
        );
        self.backends.queue.close().await;
        api?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Listens on `http.listen`. Connections wait until the api serves them.
///
/// # Errors
/// If the address is taken or is not an address of this machine.
pub(crate) async fn bind_http(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = &settings.http.listen;
    TcpListener::bind(address).await.with_context(|| format!("http.listen: {address} cannot be listened on"))
}

/// The most jobs that this process runs at once.
fn max_jobs(settings: &Settings) -> usize {
    match settings.worker.concurrency {
        0 => 4 * std::thread::available_parallelism().map_or(1, usize::from),
        concurrency => concurrency,
    }
}

/// Locks the data directory, because two processes on one data directory would each treat the other's jobs as its own.
fn lock_data_dir(settings: &Settings) -> anyhow::Result<File> {
    let data = &settings.data_dir;
    std::fs::create_dir_all(data)
        .with_context(|| format!("data_dir: the folder {} cannot be created", data.display()))?;
    let path = data.join("lock");
    let file =
        File::create(&path).with_context(|| format!("data_dir: the folder {} cannot be written to", data.display()))?;
    file.try_lock().with_context(|| {
        format!("data_dir: another cloakroom uses the folder {}; stop it, or set another folder", data.display())
    })?;
    Ok(file)
}

/// Runs `cloakroom up`.
///
/// # Errors
/// As [`AllInOne::open`] and [`AllInOne::serve`].
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = settings.shutdown.shutdown_signal()?;
    let up = AllInOne::open(&settings).await?;
    let address = up.address;
    tracing::info!(%address, data = %settings.data_dir.display(), "cloakroom is up");
    if let Some(admin) = &up.admin {
        print_first_login(admin, address);
    }
    up.serve(stop).await
}

/// Prints how to log in for the first time, with the password. Prints to standard output and not to the log, because
/// the log would keep the password.
pub(crate) fn print_first_login(admin: &FirstAdmin, address: SocketAddr) {
    let password = admin.password.as_deref().unwrap_or("(as set in realm.admin_password)");
    println!("\n  Cloakroom runs for the first time, at http://{address}/\n");
    println!("    e-mail    {}\n    password  {password}\n", admin.email);
    println!(
        "  curl -c jar -H 'content-type: application/json' http://{address}/api/login \\\n       -d '{{\"email\":\"{}\",\"password\":\"…\"}}'\n",
        admin.email
    );
}
