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
use upload::{Places, WrongSetting};
use worker::Pulse;

/// Section `[probes]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeSettings {
    /// The address; empty for none.
    pub(crate) listen: String,
}

/// A watcher that is slower than this is none.
const PATIENCE: Duration = Duration::from_secs(3);

/// What there is to tell.
#[derive(Clone)]
pub(crate) struct Probes {
    pub(crate) places: Places,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) pulse: Pulse,
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
        let soon = Duration::from_secs(1);
        let word = |answered: bool| if answered { "ok" } else { "down" };
        let places = &self.places;
        let (staging, queue, blobs, records) = tokio::join!(
            async { tokio::time::timeout(soon, places.staging.ping()).await.is_ok_and(|answer| answer.is_ok()) },
            async { tokio::time::timeout(soon, places.queue.ping()).await.is_ok_and(|answer| answer.is_ok()) },
            async { tokio::time::timeout(soon, places.blobs.ping()).await.is_ok_and(|answer| answer.is_ok()) },
            async { tokio::time::timeout(soon, places.records.ping()).await.is_ok_and(|answer| answer.is_ok()) },
        );
        let report = BTreeMap::from([
            ("staging", word(staging)),
            ("queue", word(queue)),
            ("blobs", word(blobs)),
            ("records", word(records)),
        ]);
        let ready = staging && queue && blobs && records;
        let body = serde_json::to_string(&report).unwrap_or_default();
        (if ready { "200 OK" } else { "503 Service Unavailable" }, body)
    }
}
