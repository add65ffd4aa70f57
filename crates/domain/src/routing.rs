//! Which job goes into which queue.

use std::time::Duration;

use crate::job::Job;
use crate::queue_name::QueueName;

/// Decides which jobs go to the queues `bulk` and `heavy`. While other jobs wait, workers run only
/// a share of the jobs in these two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routing {
    /// A picture is heavy if it takes longer than this to render, as
    /// [estimated](crate::estimate_render_time).
    pub heavy_threshold: Duration,
    /// How many jobs of one principal may be in flight before further jobs of that principal go to `bulk`.
    pub bulk_threshold: u32,
}

impl Default for Routing {
    fn default() -> Self {
        Self { heavy_threshold: Duration::from_millis(250), bulk_threshold: 8 }
    }
}

impl Routing {
    /// The queue of a job on a picture that takes about `estimate` to render, if its principal has `in_flight` jobs
    /// in flight, this job included.
    ///
    /// The number of jobs in flight is checked before the cost of the picture. A principal's long
    /// backlog in `heavy` would delay the users that send one heavy picture now and then.
    pub fn queue(&self, job: &Job, in_flight: u64, estimate: Duration) -> QueueName {
        if in_flight > u64::from(self.bulk_threshold) {
            QueueName::Bulk
        } else if self.is_heavy(estimate) {
            QueueName::Heavy
        } else {
            job.queue()
        }
    }

    /// Whether a picture that takes about this long is heavy.
    pub fn is_heavy(&self, estimate: Duration) -> bool {
        estimate > self.heavy_threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::UploadId;

    #[test]
    fn the_queue_of_a_job_depends_on_its_cost_and_its_principals_jobs_in_flight() {
        let routing = Routing { heavy_threshold: Duration::from_millis(250), bulk_threshold: 8 };
        let upload = UploadId::try_from(1001).unwrap();
        let (quick, slow) = (Duration::from_millis(250), Duration::from_millis(251));
        for (in_flight, estimate, queue) in [
            (1, quick, QueueName::Pictures),
            (8, quick, QueueName::Pictures),
            (8, slow, QueueName::Heavy),
            (9, quick, QueueName::Bulk),
            (9, slow, QueueName::Bulk),
        ] {
            assert_eq!(routing.queue(&Job::ProcessPicture { upload }, in_flight, estimate), queue);
        }
        let variant = Job::MakeVariant { upload, generation: 0, variant: "75.png".parse().unwrap() };
        assert_eq!(routing.queue(&variant, 1, slow), QueueName::Heavy);
    }
}
