//! Publishes jobs that a command has enqueued.

use backends::Backends;
use domain::JobMessage;
use queue::QueueError;
use records::PublishAttempt;

/// What publishes a job.
pub(crate) enum PublishedBy {
    /// This command has published the job.
    Command,
    /// The running process will publish the job. The queue is in the memory of that process, which this command cannot
    /// reach. The sweeper of that process takes the job from the records, like every job that the queue does not hold.
    RunningProcess,
    /// The sweeper will publish the job, because the queue failed.
    Sweeper(QueueError),
}

/// Publishes a job, and records that the queue has confirmed it.
///
/// # Errors
/// If the records cannot be asked.
pub(crate) async fn publish(
    backends: &Backends,
    message: &JobMessage,
    attempt: PublishAttempt,
) -> anyhow::Result<PublishedBy> {
    if backends.queue.is_volatile() {
        return Ok(PublishedBy::RunningProcess);
    }
    match backends.queue.publish(message).await {
        Ok(()) => {
            backends.records.confirm_published([attempt]).await?;
            Ok(PublishedBy::Command)
        }
        Err(error) => Ok(PublishedBy::Sweeper(error)),
    }
}
