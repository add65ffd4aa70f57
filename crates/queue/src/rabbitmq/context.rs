//! The state that the consumers and publishers of one process share.

use std::time::Duration;

use uuid::Uuid;

use super::connection::BrokerConnection;
use super::publisher::Publisher;
use super::reply_targets::ReplyTargets;
use super::topology::Topology;

/// How long a ping may take.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The state of the queue in one process.
#[derive(Debug)]
pub(super) struct QueueContext {
    pub(super) topology: Topology,
    /// The id of this process: the routing key for outcomes that are sent to it.
    pub(super) instance: Uuid,
    pub(super) publisher: Publisher,
    pub(super) consumer_connection: BrokerConnection,
    pub(super) reply_targets: ReplyTargets,
}
