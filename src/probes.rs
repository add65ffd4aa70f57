//! `/livez`, `/readyz` and `/metrics` of a process, over minimal HTTP on a separate listener. This listener answers
//! even if clients hold all connections of the api. Clients of the api need no access to the address of the listener.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::ReadinessProbe;
use backends::{BackendError, Backends};
use domain::{Backend, InvalidSetting};
use instrument::OutageLog;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use worker::{CircuitBreakers, Liveness};

/// Section `[probes]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeSettings {
    /// The address; `auto` for [`DEFAULT_LISTEN`] or, if that is taken, any free loopback port; empty for no listener.
    pub(crate) listen: String,
}

/// The address that `auto` tries first.
const DEFAULT_LISTEN: &str = "127.0.0.1:9090";
/// The most concurrent probes. Each ends within [`PROBE_TIMEOUT`].
const MAX_PROBES: usize = 32;

/// The time limit of one probe. No useful prober is slower.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a backend may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers probes from these sources.
#[derive(Clone)]
pub(crate) struct ProbeServer {
    pub(crate) metrics: PrometheusHandle,
    /// The liveness of the worker in this process, if there is one.
    pub(crate) liveness: Option<Liveness>,
    pub(crate) readiness: ReadinessSource,
}

/// Decides the answer to `/readyz`.
#[derive(Clone)]
pub(crate) enum ReadinessSource {
    /// The readiness of the api.
    Api(ReadinessProbe),
    /// The readiness of a worker: all four backends answer, and none of them fails the worker's jobs.
    Worker(Arc<WorkerReadiness>),
}

/// What a worker's readiness is computed from.
pub(crate) struct WorkerReadiness {
    pub(crate) backends: Backends,
    pub(crate) breakers: CircuitBreakers,
    pub(crate) outages: OutageLog,
}

impl ProbeSettings {
    /// Checks the settings without listening.
    ///
    /// # Errors
    /// If the address is invalid.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        match self.listen.as_str() {
            "" | "auto" => Ok(()),
            address => InvalidSetting::require_listen_address("probes.listen", address),
        }
    }

    /// Opens the socket; None if the settings name no address. [`ProbeServer::serve`] does not open it, so that a
    /// process whose probes cannot be reached does not start.
    ///
    /// # Errors
    /// If the address is taken or is not an address of this machine.
    pub(crate) async fn bind(&self) -> anyhow::Result<Option<TcpListener>> {
        let listener = match self.listen.as_str() {
            "" => return Ok(None),
            // Several processes on one machine may run with the defaults. Then the first one has the default address.
            "auto" => match TcpListener::bind(DEFAULT_LISTEN).await {
                Err(error) if error.kind() == ErrorKind::AddrInUse => TcpListener::bind("127.0.0.1:0").await,
                bound => bound,
            },
            address => TcpListener::bind(address).await,
        };
        let listener = listener.with_context(|| format!("probes.listen: {} cannot be listened on", self.listen))?;
        let address = listener.local_addr()?;
        tracing::info!(probes = %address, "probes and metrics are at http://{address}");
        Ok(Some(listener))
    }
}

impl ProbeServer {
    /// Answers until `stop`, if there is a socket.
    pub(crate) async fn serve(self, listener: Option<TcpListener>, stop: CancellationToken) {
        let Some(listener) = listener else { return };
        let permits = Arc::new(Semaphore::new(MAX_PROBES));
        let next = async || {
            let permit = Arc::clone(&permits).acquire_owned().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>((listener.accept().await?, permit))
        };
        while let Some(accepted) = stop.run_until_cancelled(next()).await {
            let Ok(((stream, _), permit)) = accepted else {
                // The process ran out of descriptors, or the prober closed the connection. The next probe may succeed.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let probes = self.clone();
            tokio::spawn(async move {
                tokio::time::timeout(PROBE_TIMEOUT, probes.answer(stream)).await.ok();
                drop(permit);
            });
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = [0; 1024];
        let read = stream.read(&mut head).await?;
        let head = String::from_utf8_lossy(&head[..read]);
        let (status, body) = match head.split(' ').nth(1) {
            Some("/livez") if self.liveness.as_ref().is_none_or(Liveness::is_alive) => ("200 OK", "alive".to_owned()),
            Some("/livez") => ("503 Service Unavailable", "the worker has shown no activity for too long".to_owned()),
            Some("/readyz") => {
                let (ready, report) = self.readiness.report().await;
                (if ready { "200 OK" } else { "503 Service Unavailable" }, report)
            }
            Some("/metrics") => ("200 OK", self.metrics.render()),
            _ => ("404 Not Found", "livez, readyz or metrics".to_owned()),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }
}

impl ReadinessSource {
    async fn report(&self) -> (bool, String) {
        match self {
            Self::Api(probe) => probe.report().await,
            Self::Worker(worker) => worker.report().await,
        }
    }
}

impl WorkerReadiness {
    async fn report(&self) -> (bool, String) {
        let (staging, blobs, records, queue, space) = tokio::join!(
            self.backend_status(Backend::Staging),
            self.backend_status(Backend::Blobs),
            self.backend_status(Backend::Records),
            self.backend_status(Backend::Queue),
            self.backends.check_space(0),
        );
        let mut report =
            BTreeMap::from([("staging", staging), ("blobs", blobs), ("records", records), ("queue", queue)]);
        let ready = report.values().all(|state| *state == "ok");
        // Low space is reported but does not make a worker unready. The reserve of free space is there for the jobs
        // that a worker finishes and for deletions.
        if let Err(low) = space
            && let Some(state) = report.get_mut(low.backend).filter(|state| **state == "ok")
        {
            *state = BackendError::from(low).probe_status();
        }
        (ready, serde_json::to_string(&report).unwrap_or_default())
    }

    /// Returns the status of a backend: `ok` if it answers a ping and no jobs are paused because of it. The cause of
    /// another status is in the log only.
    async fn backend_status(&self, backend: Backend) -> &'static str {
        let name = backend.as_str();
        match tokio::time::timeout(PING_TIMEOUT, self.backends.ping(backend)).await {
            Ok(Ok(())) => {
                self.outages.record(name, None);
                if self.breakers.failing().contains(&backend) { "failing: jobs are paused" } else { "ok" }
            }
            Ok(Err(error)) => {
                self.outages.record(name, Some(&error));
                error.probe_status()
            }
            Err(_) => {
                self.outages.record(name, Some(&"no answer within 1 s"));
                "slow"
            }
        }
    }
}
