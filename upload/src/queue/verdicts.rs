//! Who waits for which job in this process.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::{JobId, Verdict};

type Waiters = HashMap<JobId, Vec<oneshot::Sender<Verdict>>>;

#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts(Arc<Mutex<Waiters>>);

impl Verdicts {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait_for(&self, job: JobId) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        self.waiters().entry(job).or_default().push(sender);
        Waiting { job, receiver, verdicts: self.clone(), joined: None }
    }

    /// Whether anybody in this process waits for the job.
    pub(super) fn awaits(&self, job: JobId) -> bool {
        self.waiters().contains_key(&job)
    }

    pub(super) fn tell(&self, job: JobId, verdict: Verdict) {
        for waiter in self.waiters().remove(&job).unwrap_or_default() {
            waiter.send(verdict.clone()).ok();
        }
    }
}

/// A place in the line of those who wait for one job's verdict. Dropping it leaves the line.
#[derive(Debug)]
pub struct Waiting {
    job: JobId,
    receiver: oneshot::Receiver<Verdict>,
    verdicts: Verdicts,
    /// What makes another process's verdict come here, until this is dropped.
    joined: Option<Box<dyn Any + Send + Sync>>,
}

impl Waiting {
    pub(super) fn joining(mut self, joined: impl Any + Send + Sync) -> Self {
        self.joined = Some(Box::new(joined));
        self
    }

    /// The verdict, if it falls within `patience`.
    pub async fn verdict(mut self, patience: Duration) -> Option<Verdict> {
        tokio::time::timeout(patience, &mut self.receiver).await.ok()?.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.receiver.close();
        let mut waiters = self.verdicts.waiters();
        if let Some(line) = waiters.get_mut(&self.job) {
            line.retain(|waiter| !waiter.is_closed());
            if line.is_empty() {
                waiters.remove(&self.job);
            }
        }
    }
}
