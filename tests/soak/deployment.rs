//! The system under test of the soak: a set of processes, the faults that it supports, and access to its backends.

use std::process::Command;
use std::sync::Arc;

use backends::Backends;
use sea_orm::DatabaseConnection;

use crate::fault_schedule::{FaultMix, FaultStep};
use crate::journal::Journal;
use crate::node::Node;

/// Settings of every process. The times are short, so that a minute contains everything that happens in a day.
pub const SETTINGS: [(&str, &str); 15] = [
    // The metrics are read from the public port.
    ("CLOAKROOM__HTTP__METRICS", "true"),
    // An outage of a backend is longer than all attempts with these pauses, and shorter than the
    // deadline.
    ("CLOAKROOM__UPLOADS__DEADLINE", "90s"),
    ("CLOAKROOM__WORKER__INITIAL_BACKOFF", "200ms"),
    ("CLOAKROOM__WORKER__MAX_BACKOFF", "1s"),
    ("CLOAKROOM__WORKER__LEASE", "4s"),
    ("CLOAKROOM__WORKER__CONCURRENCY", "2"),
    ("CLOAKROOM__SWEEP__INTERVAL", "500ms"),
    // The minimum age of orphans is longer than an upload may take, including outages.
    ("CLOAKROOM__SWEEP__ORPHAN_INTERVAL", "20s"),
    ("CLOAKROOM__SWEEP__MIN_ORPHAN_AGE", "60s"),
    // The time for which a key stays locked after its api was killed depends on these settings.
    ("CLOAKROOM__HTTP__BODY_TIMEOUT", "10s"),
    ("CLOAKROOM__UPLOADS__MAX_WAIT", "10s"),
    ("CLOAKROOM__UPLOADS__MAX_UNCLAIMED", "1000000"),
    ("CLOAKROOM__UPLOADS__MAX_UNCLAIMED_BYTES", "1 TiB"),
    ("CLOAKROOM__UPLOADS__MAX_REQUESTS_PER_MINUTE", "10000000"),
    ("CLOAKROOM__LOG__LEVEL", "warn,cloakroom=info"),
];

/// Settings of the last start, when no upload is in flight any more.
pub const FINAL_SETTINGS: [(&str, &str); 2] =
    [("CLOAKROOM__SWEEP__ORPHAN_INTERVAL", "1s"), ("CLOAKROOM__SWEEP__MIN_ORPHAN_AGE", "1s")];

pub trait Deployment {
    fn nodes(&self) -> &[Arc<Node>];

    fn journal(&self) -> &Arc<Journal>;

    /// The possible faults: a mix for each track.
    fn fault_mixes(&self) -> Vec<FaultMix>;

    /// A `cloakroom` command, as an operator might run it.
    fn command(&self, arguments: &[&str]) -> Command;

    /// Does what an operator does before the first start.
    async fn prepare(&self) {}

    /// Applies the fault of a step, and ends the fault after its duration.
    async fn apply_fault(&self, step: &FaultStep);

    /// Opens the backends without any proxy.
    async fn open_backends(&self) -> Backends;

    /// Opens the database without any proxy.
    async fn open_database(&self) -> DatabaseConnection;

    /// Removes every process, database, queue, object and mount.
    async fn tear_down(self);
}

/// One of the processes with this role, selected by a random number.
pub fn pick_node(nodes: &[Arc<Node>], role: crate::node::NodeRole, target: u64) -> &Arc<Node> {
    let all: Vec<_> = nodes.iter().filter(|node| node.role == role).collect();
    all[usize::try_from(target % all.len() as u64).unwrap()]
}
