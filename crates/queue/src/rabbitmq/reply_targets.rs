//! The processes that wait for the outcomes of jobs that were delivered to this process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::JobId;
use uuid::Uuid;

use super::message::AmqpMessage;

/// The maximum number of jobs whose waiting process is kept. It is far above the number of concurrent jobs.
const MAX_REPLY_TARGETS: usize = 4096;

/// The waiting process of each job.
#[derive(Debug, Default)]
pub(super) struct ReplyTargets(Mutex<TargetsByJob>);

#[derive(Debug, Default)]
struct TargetsByJob {
    /// The process, and the number of its entry in `order`.
    targets: HashMap<JobId, (Uuid, u64)>,
    /// The entries from the oldest to the newest. An entry is skipped if its job has a newer entry, or is no longer
    /// in `targets`.
    order: VecDeque<(JobId, u64)>,
    last_number: u64,
}

impl ReplyTargets {
    fn by_job(&self) -> MutexGuard<'_, TargetsByJob> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the process that waits for the outcome of this message's job, if there is one.
    pub(super) fn remember(&self, message: &AmqpMessage) {
        let Some(process) = message.reply_to else { return };
        let mut by_job = self.by_job();
        by_job.last_number += 1;
        let number = by_job.last_number;
        by_job.targets.insert(message.body.id, (process, number));
        by_job.order.push_back((message.body.id, number));
        while by_job.order.len() > MAX_REPLY_TARGETS {
            let Some((oldest, number)) = by_job.order.pop_front() else { return };
            if by_job.targets.get(&oldest).is_some_and(|(_, newest)| *newest == number) {
                by_job.targets.remove(&oldest);
            }
        }
    }

    /// Returns the process that waits for the outcome of a job.
    pub(super) fn get(&self, job: JobId) -> Option<Uuid> {
        self.by_job().targets.get(&job).map(|(process, _)| *process)
    }

    /// Removes and returns the process that waits for the outcome of a job.
    pub(super) fn take(&self, job: JobId) -> Option<Uuid> {
        self.by_job().targets.remove(&job).map(|(process, _)| process)
    }
}

#[cfg(test)]
mod tests {
    use domain::{Job, JobMessage, UploadId, ordered_id};

    use super::*;

    #[test]
    fn a_job_that_is_delivered_again_keeps_its_newest_target() {
        let targets = ReplyTargets::default();
        let message = |id: JobId, process: Uuid| {
            let upload = UploadId::try_from(1001).unwrap();
            AmqpMessage { body: JobMessage::new(id, Job::ProcessPicture { upload }), reply_to: Some(process) }
        };
        let (job, first, second) = (ordered_id(), ordered_id(), ordered_id());
        targets.remember(&message(job, first));
        assert_eq!(targets.take(job), Some(first));
        targets.remember(&message(job, second));
        // These jobs are just enough to push out the first entry of `job` and to leave its second entry.
        for _ in 0..MAX_REPLY_TARGETS - 1 {
            targets.remember(&message(ordered_id(), first));
        }
        assert_eq!(targets.get(job), Some(second));
        targets.remember(&message(ordered_id(), first));
        assert_eq!(targets.get(job), None);
        assert_eq!(targets.by_job().targets.len(), MAX_REPLY_TARGETS);
    }
}
