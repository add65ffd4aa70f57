//! What the parts of one process's queue share.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::JobId;
use uuid::Uuid;

use super::connection::BrokerConnection;
use super::message::AmqpMessage;
use super::publisher::Publisher;
use super::topology::Topology;

/// How long a ping may take.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How many delivered messages are remembered with the process that waits for their outcome: far more than are
/// processed at a time.
const MAX_REPLY_TARGETS: usize = 4096;

/// The shared state of one process's queue.
#[derive(Debug)]
pub(super) struct BrokerContext {
    pub(super) topology: Topology,
    /// The id of this process as a waiter.
    pub(super) instance: Uuid,
    pub(super) publisher: Publisher,
    pub(super) consumer_connection: BrokerConnection,
    pub(super) reply_targets: Mutex<ReplyTargets>,
}

/// The processes that wait for the outcomes of jobs delivered here.
#[derive(Debug, Default)]
pub(super) struct ReplyTargets {
    by_job: HashMap<JobId, Uuid>,
    order: VecDeque<JobId>,
}

impl BrokerContext {
    fn reply_targets(&self) -> std::sync::MutexGuard<'_, ReplyTargets> {
        self.reply_targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember_reply_target(&self, message: &AmqpMessage) {
        let Some(process) = message.reply_to else { return };
        let mut waiting = self.reply_targets();
        if waiting.by_job.insert(message.body.id, process).is_none() {
            waiting.order.push_back(message.body.id);
        }
        while waiting.order.len() > MAX_REPLY_TARGETS {
            if let Some(oldest) = waiting.order.pop_front() {
                waiting.by_job.remove(&oldest);
            }
        }
    }

    pub(super) fn reply_target(&self, job: JobId) -> Option<Uuid> {
        self.reply_targets().by_job.get(&job).copied()
    }

    pub(super) fn take_reply_target(&self, job: JobId) -> Option<Uuid> {
        self.reply_targets().by_job.remove(&job)
    }
}
