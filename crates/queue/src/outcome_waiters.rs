//! The waiters for job outcomes in this process.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{JobId, Outcome};
use tokio::sync::oneshot;

type WaitersByJob = HashMap<JobId, Vec<oneshot::Sender<Outcome>>>;

#[derive(Clone, Debug, Default)]
pub(super) struct OutcomeWaiters(Arc<Mutex<WaitersByJob>>);

impl OutcomeWaiters {
    fn by_job(&self) -> MutexGuard<'_, WaitersByJob> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait_for_outcome(&self, job: JobId) -> OutcomeWaiter {
        let (sender, receiver) = oneshot::channel();
        self.by_job().entry(job).or_default().push(sender);
        OutcomeWaiter { job, receiver, waiters: self.clone(), binding: None }
    }

    /// Whether this process has a waiter for the job.
    pub(super) fn has_waiter(&self, job: JobId) -> bool {
        self.by_job().contains_key(&job)
    }

    pub(super) fn notify(&self, job: JobId, outcome: Outcome) {
        for waiter in self.by_job().remove(&job).unwrap_or_default() {
            waiter.send(outcome.clone()).ok();
        }
    }
}

/// A waiter for one job's outcome. Dropping it ends the wait.
#[derive(Debug)]
pub struct OutcomeWaiter {
    job: JobId,
    receiver: oneshot::Receiver<Outcome>,
    waiters: OutcomeWaiters,
    /// The binding through which outcomes from other processes arrive. They arrive until the binding is dropped.
    binding: Option<Box<dyn Any + Send + Sync>>,
}

impl OutcomeWaiter {
    pub(super) fn with_binding(mut self, binding: Option<Box<dyn Any + Send + Sync>>) -> Self {
        self.binding = binding;
        self
    }

    /// The outcome, if it arrives within `timeout`.
    pub async fn outcome(mut self, timeout: Duration) -> Option<Outcome> {
        tokio::time::timeout(timeout, &mut self.receiver).await.ok()?.ok()
    }
}

impl Drop for OutcomeWaiter {
    fn drop(&mut self) {
        self.receiver.close();
        let mut waiters = self.waiters.by_job();
        if let Some(senders) = waiters.get_mut(&self.job) {
            senders.retain(|waiter| !waiter.is_closed());
            if senders.is_empty() {
                waiters.remove(&self.job);
            }
        }
    }
}
