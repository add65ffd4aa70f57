//! What a process without an api tells those who watch it: `/livez`, `/readyz` and `/metrics` over the least HTTP there
//! is. The api has its own, richer ones.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use upload::{Backend, OutageLog, PlaceError, Places, WrongSetting};
use worker::{Breakers, Pulse};

/// Section `[probes]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeSettings {
    /// The address; empty for none.
    pub(crate) listen: String,
}

/// A watcher that is slower than this is none.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a backend may take to answer a ping.
const SOON: Duration = Duration::from_secs(1);

/// What there is to tell.
#[derive(Clone)]
pub(crate) struct Probes {
    pub(crate) places: Places,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) pulse: Pulse,
    pub(crate) breakers: Breakers,
    pub(crate) outages: OutageLog,
}

impl ProbeSettings {
    /// Looks at them without listening.
    ///
    /// # Errors
    /// Where the address is none.
    pub(crate) fn check(&self) -> Result<(), WrongSetting> {
        if self.listen.is_empty() { Ok(()) } else { WrongSetting::unless_address("probes.listen", &self.listen) }
    }

    /// The socket to answer at, None where the settings name no address. Apart from answering, so that a process whose
    /// probes nobody could reach does not begin.
    ///
    /// # Errors
    /// Where the address is taken or not this machine's.
    pub(crate) async fn bind(&self) -> anyhow::Result<Option<TcpListener>> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let bound = TcpListener::bind(&self.listen).await;
        bound.map(Some).with_context(|| format!("probes.listen: {} cannot be listened on", self.listen))
    }
}

impl Probes {
    /// Answers until `stop`, where there is a socket.
    pub(crate) async fn serve(self, listener: Option<TcpListener>, stop: CancellationToken) {
        let Some(listener) = listener else { return };
        while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
            let probes = self.clone();
            tokio::spawn(async move { tokio::time::timeout(PATIENCE, probes.answer(stream)).await.ok() });
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = [0; 1024];
        let read = stream.read(&mut head).await?;
        let head = String::from_utf8_lossy(&head[..read]);
        let (status, body) = match head.split(' ').nth(1) {
            Some("/livez") if self.pulse.beats() => ("200 OK", "alive".to_owned()),
            Some("/livez") => ("503 Service Unavailable", "no consumer has shown a sign of life".to_owned()),
            Some("/readyz") => self.ready().await,
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

    async fn ready(&self) -> (&'static str, String) {
        let (staging, blobs, records, queue, space) = tokio::join!(
            self.ask(Backend::Staging),
            self.ask(Backend::Blobs),
            self.ask(Backend::Records),
            self.ask(Backend::Queue),
            self.places.check_space(0),
        );
        let mut report =
            BTreeMap::from([("staging", staging), ("blobs", blobs), ("records", records), ("queue", queue)]);
        let ready = report.values().all(|state| *state == "ok");
        // Named and no reason to be out of service: a worker finishes and deletes from the reserve.
        if let Err(low) = space
            && let Some(state) = report.get_mut(low.place).filter(|state| **state == "ok")
        {
            *state = PlaceError::from(low).state();
        }
        let body = serde_json::to_string(&report).unwrap_or_default();
        (if ready { "200 OK" } else { "503 Service Unavailable" }, body)
    }

    /// Whether a backend works, by a ping and by the jobs that failed because of it. Why it does not is for the log.
    async fn ask(&self, backend: Backend) -> &'static str {
        let place = backend.as_str();
        match tokio::time::timeout(SOON, self.places.ping(backend)).await {
            Ok(Ok(())) => {
                self.outages.note(place, None);
                if self.breakers.failing().contains(&backend) { "failing: jobs are paused" } else { "ok" }
            }
            Ok(Err(error)) => {
                self.outages.note(place, Some(&error));
                error.state()
            }
            Err(_) => {
                self.outages.note(place, Some(&"no answer within 1 s"));
                "slow"
            }
        }
    }
}
