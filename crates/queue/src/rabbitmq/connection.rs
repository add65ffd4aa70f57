//! A connection to the broker that reconnects: one task maintains it as long as the [`BrokerConnection`] lives.
//!
//! A process has two connections, one to publish and one to consume. They are separate because a broker that is short
//! of memory or disk stops reading from every connection that publishes. Acknowledgements on such a connection would
//! have to wait.
//!
//! lapin's own recovery is not used. A channel is either on a live connection or is discarded. Messages that were
//! unconfirmed or unacknowledged on a discarded channel are published or delivered again. This is easier to verify
//! than a channel that lapin has restored.

use std::sync::Arc;
use std::time::Duration;

use address::read_ca_file;
use domain::random_id;
use futures::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::watch;

use super::topology::Topology;
use crate::broker_address::BrokerAddress;
use crate::error::QueueError;

/// How long one step of the protocol may take before the peer counts as lost.
const PROTOCOL_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after the first failed connection; it doubles up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(3);
/// How often the connection's status is read. lapin reports a lost connection at the next frame. Reading the status
/// also finds a connection that was lost while no frame was sent.
const STATUS_POLL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct BrokerConnection {
    state: watch::Receiver<ConnectionState>,
    topology: Topology,
    maintainer: tokio::task::AbortHandle,
}

#[derive(Clone)]
enum ConnectionState {
    Up(Arc<Connection>),
    Down(String),
}

impl std::fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Up(_) => f.write_str("up"),
            Self::Down(why) => write!(f, "down: {why}"),
        }
    }
}

impl BrokerConnection {
    /// Begins to connect, and maintains the connection as long as this value lives. The broker shows `name` to its
    /// operator.
    pub(super) fn new(address: BrokerAddress, name: &'static str, topology: Topology) -> Self {
        let (sender, state) = watch::channel(ConnectionState::Down("not connected yet".to_owned()));
        let maintainer = tokio::spawn(maintain(address, name, topology.clone(), sender)).abort_handle();
        Self { state, topology, maintainer }
    }

    /// Opens a channel; waits up to `timeout` for the connection.
    pub(super) async fn channel(&self, timeout: Duration) -> Result<Channel, QueueError> {
        let connection = self.connection(timeout).await?;
        with_timeout(connection.create_channel()).await
    }

    /// Whether the broker has blocked all publishers.
    pub(super) fn is_blocked(&self) -> bool {
        matches!(&*self.state.borrow(), ConnectionState::Up(connection) if connection.status().blocked())
    }

    /// Declares the topology again, because a queue may have been deleted.
    pub(super) async fn declare(&self) -> Result<(), QueueError> {
        declare(&*self.connection(Duration::ZERO).await?, &self.topology).await
    }

    /// Closes the connection explicitly, so that the broker need not find out that this process is gone.
    pub(super) async fn close(&self) {
        self.maintainer.abort();
        let ConnectionState::Up(connection) = self.state.borrow().clone() else { return };
        with_timeout(connection.close(200, "goodbye".into())).await.ok();
    }

    async fn connection(&self, timeout: Duration) -> Result<Arc<Connection>, QueueError> {
        let mut state = self.state.clone();
        let up = async {
            let live = |state: &ConnectionState| matches!(state, ConnectionState::Up(connection) if connection.status().connected());
            match state.wait_for(live).await.as_deref() {
                Ok(ConnectionState::Up(connection)) => Ok(Arc::clone(connection)),
                _ => Err(QueueError::Closed),
            }
        };
        match tokio::time::timeout(timeout, up).await {
            Ok(found) => found,
            Err(_) => Err(match &*self.state.borrow() {
                ConnectionState::Up(_) => QueueError::Unreachable("the connection was lost".to_owned()),
                ConnectionState::Down(why) => QueueError::Unreachable(why.clone()),
            }),
        }
    }
}

impl Drop for BrokerConnection {
    fn drop(&mut self) {
        self.maintainer.abort();
    }
}

/// Runs one step of the protocol with a timeout.
pub(super) async fn with_timeout<T>(call: impl Future<Output = lapin::Result<T>>) -> Result<T, QueueError> {
    match tokio::time::timeout(PROTOCOL_TIMEOUT, call).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(QueueError::Unreachable(format!("no answer within {} s", PROTOCOL_TIMEOUT.as_secs()))),
    }
}

async fn maintain(
    address: BrokerAddress,
    name: &'static str,
    topology: Topology,
    state: watch::Sender<ConnectionState>,
) {
    let mut pause = MIN_BACKOFF;
    let mut failures = 0_u64;
    loop {
        match connect(&address, name, &topology).await {
            Ok(connection) => {
                tracing::info!(connection = name, failures, "connected to the queue");
                (pause, failures) = (MIN_BACKOFF, 0);
                let connection = Arc::new(connection);
                state.send_replace(ConnectionState::Up(Arc::clone(&connection)));
                closed(&connection).await;
                tracing::warn!(connection = name, "the connection to the queue was lost");
                metrics::counter!("cloakroom_queue_connections_lost_total").increment(1);
                state.send_replace(ConnectionState::Down("the connection was lost".to_owned()));
            }
            Err(error) => {
                // Logged once per outage, not once per attempt.
                if failures == 0 {
                    tracing::warn!(connection = name, %error, "the queue cannot be reached; connecting is retried");
                }
                failures += 1;
                state.send_replace(ConnectionState::Down(error.to_string()));
                // Half of the pause is random, so that not all processes reconnect to a restarted broker at the same
                // moment.
                let random_fraction = f64::from(random_id().as_bytes()[0]) / 255.0;
                tokio::time::sleep(pause.mul_f64(0.5 + random_fraction / 2.0)).await;
                pause = (pause * 2).min(MAX_BACKOFF);
            }
        }
    }
}

async fn connect(address: &BrokerAddress, name: &str, topology: &Topology) -> Result<Connection, QueueError> {
    let name = format!("cloakroom {name} {}", std::process::id());
    let options = ConnectionProperties::default().with_connection_name(name.into());
    // The file is read for each connection, because a certificate authority may be replaced while this process runs.
    let trusted = address.ca_file.as_deref().map(read_ca_file).transpose().map_err(QueueError::Unreachable)?;
    let tls = OwnedTLSConfig { identity: None, cert_chain: trusted };
    let runtime = lapin::runtime::default_runtime()?;
    let connect = Connection::connect_uri_with_config(address.uri.clone(), options, tls, runtime);
    let connection = with_timeout(connect).await?;
    declare(&connection, topology).await?;
    Ok(connection)
}

async fn declare(connection: &Connection, topology: &Topology) -> Result<(), QueueError> {
    let channel = with_timeout(connection.create_channel()).await?;
    // This timeout is longer than that of other steps, because an empty broker takes a moment to elect a leader for
    // each queue.
    match tokio::time::timeout(4 * PROTOCOL_TIMEOUT, topology.declare(&channel)).await {
        Ok(declared) => declared?,
        Err(_) => return Err(QueueError::Unreachable("the queues could not be declared in time".to_owned())),
    }
    with_timeout(channel.close(200, "declared".into())).await.ok();
    Ok(())
}

/// Returns when the connection is closed.
async fn closed(connection: &Connection) {
    let mut events = Box::pin(connection.events_listener());
    while connection.status().connected() {
        tokio::time::timeout(STATUS_POLL, events.next()).await.ok();
    }
}
