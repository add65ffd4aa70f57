//! The open connections: how many there are, how many each client network holds, and which of them are idle.
//!
//! A connection is idle while no request is in progress on it. That is before its first request, and from the end of
//! writing a response until the head of the next request is complete. If a slot is needed, the connection that has been
//! idle for the longest time is closed. A connection with a request in progress is never closed for a slot.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::client_network::ClientNetwork;

/// The least time between two log lines about refused connections.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The registry of open connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Connections(Arc<ConnectionsInner>);

struct ConnectionsInner {
    max: usize,
    max_per_network: usize,
    table: Mutex<ConnectionTable>,
    /// Signalled when a connection was closed or became idle: the accept loop may find a slot now.
    changed: Notify,
}

#[derive(Default)]
struct ConnectionTable {
    /// The last number given to a connection, or to a position in `idle`.
    last_number: u64,
    entries: HashMap<u64, ConnectionEntry>,
    /// Connections that were told to close and still hold their descriptor.
    closing: usize,
    /// The ids of the idle connections, by position. The connection that became idle first has the lowest position.
    idle: BTreeMap<u64, u64>,
    networks: HashMap<ClientNetwork, NetworkConnections>,
    /// Requests in progress by the client that trusted proxies name.
    clients: HashMap<ClientNetwork, usize>,
    /// The refusals since the last log line about them.
    refused: u64,
    logged_at: Option<Instant>,
}

struct ConnectionEntry {
    network: Option<ClientNetwork>,
    requests: usize,
    /// The connection's position among the idle connections, if it is idle.
    idle: Option<u64>,
    /// Cancelled when the connection must close to make room for another one.
    closed: CancellationToken,
}

/// The connections of one network: how many are open, and the ids of the idle ones by position.
#[derive(Default)]
struct NetworkConnections {
    open: usize,
    idle: BTreeMap<u64, u64>,
}

/// The result of a request for a slot.
enum SlotAdmission {
    Admitted(ConnectionSlot),
    Refused,
    /// All slots are taken. Ask again after a change.
    Full,
}

impl Connections {
    /// Creates a registry for at most `max` connections, and `max_per_network` of one client network.
    pub(crate) fn new(max: usize, max_per_network: usize) -> Self {
        Self(Arc::new(ConnectionsInner { max, max_per_network, table: Mutex::default(), changed: Notify::new() }))
    }

    /// Waits for a slot for a new connection. `network` is `None` for a trusted proxy, which has no limit of its own.
    /// Returns None if the network has reached its limit and all its connections have requests in progress.
    pub(crate) async fn admit(&self, network: Option<ClientNetwork>) -> Option<ConnectionSlot> {
        loop {
            // If a slot becomes free between the check and the wait, `Notify` keeps the notification, and the wait ends
            // at once.
            match self.try_admit(network) {
                SlotAdmission::Admitted(slot) => return Some(slot),
                SlotAdmission::Refused => return None,
                SlotAdmission::Full => self.0.changed.notified().await,
            }
        }
    }

    fn try_admit(&self, network: Option<ClientNetwork>) -> SlotAdmission {
        let mut table = self.0.table();
        if let Some(network) = network {
            let open = table.networks.get(&network).map_or(0, |connections| connections.open);
            if open >= self.0.max_per_network {
                let longest_idle =
                    table.networks.get(&network).and_then(|connections| connections.idle.values().next().copied());
                let Some(longest_idle) = longest_idle else {
                    // Each of the open connections has a request in progress.
                    table.record_refusal(network, open);
                    return SlotAdmission::Refused;
                };
                table.close(longest_idle);
            }
        }
        if table.entries.len() >= self.0.max {
            if table.closing == 0 {
                table.close_longest_idle();
            }
            return SlotAdmission::Full;
        }
        let id = table.next_number();
        let closed = CancellationToken::new();
        if let Some(network) = network {
            table.networks.entry(network).or_default().open += 1;
        }
        table.entries.insert(id, ConnectionEntry { network, requests: 0, idle: None, closed: closed.clone() });
        table.make_idle(id);
        metrics::gauge!("cloakroom_connections_open").increment(1.0);
        let inside = ConnectionInner { id, shared: Arc::clone(&self.0), closed, unflushed: false.into() };
        SlotAdmission::Admitted(ConnectionSlot(ConnectionHandle(Arc::new(inside))))
    }

    /// Closes the connection that has been idle for the longest time. Returns whether there was such a
    /// connection.
    pub(crate) fn close_longest_idle(&self) -> bool {
        self.0.table().close_longest_idle()
    }
}

impl ConnectionsInner {
    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionTable {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn make_idle(&mut self, id: u64) {
        let place = self.next_number();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.idle.is_some() || entry.requests > 0 || entry.closed.is_cancelled() {
            return;
        }
        entry.idle = Some(place);
        self.idle.insert(place, id);
        if let Some(network) = entry.network {
            self.networks.entry(network).or_default().idle.insert(place, id);
        }
    }

    fn make_busy(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(place) = entry.idle.take() else { return };
        self.idle.remove(&place);
        if let Some(connections) = entry.network.and_then(|network| self.networks.get_mut(&network)) {
            connections.idle.remove(&place);
        }
    }

    /// Closes a connection. Its network may open another connection at once, but the slot becomes
    /// free only when the closed connection is gone.
    fn close(&mut self, id: u64) {
        self.make_busy(id);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.closed.cancel();
        let network = entry.network.take();
        self.closing += 1;
        self.release_network(network);
        metrics::counter!("cloakroom_connections_closed_idle_total").increment(1);
    }

    fn close_longest_idle(&mut self) -> bool {
        let longest_idle = self.idle.values().next().copied();
        longest_idle.inspect(|id| self.close(*id)).is_some()
    }

    fn release_network(&mut self, network: Option<ClientNetwork>) {
        let Some(network) = network else { return };
        if let Some(connections) = self.networks.get_mut(&network) {
            connections.open -= 1;
            if connections.open == 0 {
                self.networks.remove(&network);
            }
        }
    }

    fn remove(&mut self, id: u64) {
        self.make_busy(id);
        let Some(entry) = self.entries.remove(&id) else { return };
        if entry.closed.is_cancelled() {
            self.closing -= 1;
        }
        self.release_network(entry.network);
        metrics::gauge!("cloakroom_connections_open").decrement(1.0);
    }

    /// Logs refusals at most once a minute, because a client that is refused tries again.
    fn record_refusal(&mut self, network: ClientNetwork, requests: usize) {
        metrics::counter!("cloakroom_connections_refused_total").increment(1);
        self.refused += 1;
        if self.logged_at.is_some_and(|at| at.elapsed() < LOG_INTERVAL) {
            return;
        }
        tracing::warn!(
            %network,
            refused = self.refused,
            "{network} has {requests} requests in progress; more are refused (http.max_connections_per_address)"
        );
        (self.refused, self.logged_at) = (0, Some(Instant::now()));
    }
}

/// A connection's slot, which is free again when this value is dropped. The connection is dropped
/// before its slot.
pub(crate) struct ConnectionSlot(ConnectionHandle);

/// The handle by which the socket and the requests of a connection report to the registry.
#[derive(Clone)]
pub(crate) struct ConnectionHandle(Arc<ConnectionInner>);

struct ConnectionInner {
    id: u64,
    shared: Arc<ConnectionsInner>,
    closed: CancellationToken,
    /// Whether a response has ended that may still be in the write buffer.
    unflushed: AtomicBool,
}

/// Why a request is refused.
pub(crate) enum RequestLimitError {
    /// The connection has been closed to make room for another one.
    Closed,
    /// The client that the trusted proxies name has reached its limit of requests in progress.
    ClientLimit,
}

impl ConnectionSlot {
    pub(crate) fn handle(&self) -> ConnectionHandle {
        self.0.clone()
    }

    /// Waits until the connection must close to make room for another one.
    pub(crate) async fn closed(&self) {
        self.0.0.closed.cancelled().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let ConnectionInner { id, shared, .. } = &*self.0.0;
        shared.table().remove(*id);
        shared.changed.notify_one();
    }
}

impl ConnectionHandle {
    /// Begins a request. It is in progress until the last clone of the returned value is dropped. `client` is the
    /// network of the client that trusted proxies name, if they name one.
    pub(crate) fn begin(&self, client: Option<ClientNetwork>) -> Result<RequestInProgress, RequestLimitError> {
        let ConnectionInner { id, shared, .. } = &*self.0;
        let mut table = shared.table();
        if table.entries.get(id).is_none_or(|entry| entry.closed.is_cancelled()) {
            return Err(RequestLimitError::Closed);
        }
        if let Some(client) = client {
            let requests = table.clients.get(&client).copied().unwrap_or_default();
            if requests >= shared.max_per_network {
                table.record_refusal(client, requests);
                return Err(RequestLimitError::ClientLimit);
            }
            table.clients.insert(client, requests + 1);
        }
        table.make_busy(*id);
        if let Some(entry) = table.entries.get_mut(id) {
            entry.requests += 1;
        }
        Ok(RequestInProgress(Arc::new(RequestEntry { connection: self.clone(), client })))
    }

    /// Records that everything in the write buffer has been written.
    pub(super) fn flushed(&self) {
        if self.0.unflushed.swap(false, Ordering::AcqRel) {
            self.mark_idle();
        }
    }

    /// Records that the connection is idle, unless it has a request in progress or must close.
    fn mark_idle(&self) {
        self.0.shared.table().make_idle(self.0.id);
        self.0.shared.changed.notify_one();
    }
}

/// A request in progress, held by its body and by the body of its response.
#[derive(Clone)]
pub(crate) struct RequestInProgress(Arc<RequestEntry>);

impl RequestInProgress {
    /// Records that the response body has ended. Its last bytes are still to be written.
    pub(super) fn response_ended(&self) {
        self.0.connection.0.unflushed.store(true, Ordering::Release);
    }
}

struct RequestEntry {
    connection: ConnectionHandle,
    client: Option<ClientNetwork>,
}

impl Drop for RequestEntry {
    fn drop(&mut self) {
        let ConnectionInner { id, shared, unflushed, .. } = &*self.connection.0;
        let mut table = shared.table();
        if let Some(entry) = table.entries.get_mut(id) {
            entry.requests -= 1;
        }
        if let Some(client) = self.client
            && let Some(requests) = table.clients.get_mut(&client)
        {
            *requests -= 1;
            if *requests == 0 {
                table.clients.remove(&client);
            }
        }
        drop(table);
        if !unflushed.load(Ordering::Acquire) {
            self.connection.mark_idle();
        }
    }
}

#[cfg(test)]
mod tests;
