//! What the soak runs on: a set of processes, what can be done to them, and how the oracle sees their backends.

use std::process::Command;
use std::sync::Arc;

use sea_orm::DatabaseConnection;
use upload::Backends;

use crate::fault_schedule::{FaultMix, FaultStep};
use crate::journal::Journal;
use crate::node::Node;

/// Settings of every process. The times are short, so that a minute has all of a day in it.
pub const SETTINGS: [(&str, &str); 15] = [
    // The counters are read from the public port.
    ("CLOAKROOM__HTTP__METRICS", "true"),
    // An outage of a backend is longer than these attempts together, and shorter than the deadline.
    ("CLOAKROOM__UPLOADS__DEADLINE", "90s"),
    ("CLOAKROOM__WORKER__INITIAL_BACKOFF", "200ms"),
    ("CLOAKROOM__WORKER__MAX_BACKOFF", "1s"),
    ("CLOAKROOM__WORKER__LEASE", "4s"),
    ("CLOAKROOM__WORKER__CONCURRENCY", "2"),
    ("CLOAKROOM__SWEEP__INTERVAL", "500ms"),
    // Longer than an upload may take, outages among it.
    ("CLOAKROOM__SWEEP__ORPHAN_INTERVAL", "20s"),
    ("CLOAKROOM__SWEEP__MIN_ORPHAN_AGE", "60s"),
    // How long a key is held after its api was killed depends on it.
    ("CLOAKROOM__HTTP__BODY_TIMEOUT", "10s"),
    ("CLOAKROOM__UPLOADS__MAX_WAIT", "10s"),
    ("CLOAKROOM__UPLOADS__MAX_UNCLAIMED", "1000000"),
    ("CLOAKROOM__UPLOADS__MAX_UNCLAIMED_BYTES", "1 TiB"),
    ("CLOAKROOM__UPLOADS__MAX_REQUESTS_PER_MINUTE", "10000000"),
    ("CLOAKROOM__LOG__LEVEL", "warn,cloakroom=info"),
];

/// Settings of the last start, when no upload is on its way any more.
pub const FINAL_SETTINGS: [(&str, &str); 2] =
    [("CLOAKROOM__SWEEP__ORPHAN_INTERVAL", "1s"), ("CLOAKROOM__SWEEP__MIN_ORPHAN_AGE", "1s")];

pub trait Deployment {
    fn nodes(&self) -> &[Arc<Node>];

    fn journal(&self) -> &Arc<Journal>;

    /// What can go wrong here: a mix for each track.
    fn fault_mixes(&self) -> Vec<FaultMix>;

    /// A command at the command line, as an operator might give it.
    fn command(&self, arguments: &[&str]) -> Command;

    /// What an operator does before the first start.
    async fn prepare(&self) {}

    /// Does what the schedule says, and undoes it.
    async fn apply_fault(&self, step: &FaultStep);

    /// The backends, not through any proxy.
    async fn open_backends(&self) -> Backends;

    /// The database, not through any proxy.
    async fn open_database(&self) -> DatabaseConnection;

    /// Leaves nothing behind: no process, no database, no queue, no object, no mount.
    async fn tear_down(self);
}

/// One of the processes with that role, by a random number.
pub fn pick_node(nodes: &[Arc<Node>], role: crate::node::NodeRole, target: u64) -> &Arc<Node> {
    let all: Vec<_> = nodes.iter().filter(|node| node.role == role).collect();
    all[usize::try_from(target % all.len() as u64).unwrap()]
}
