//! Publishes jobs that a command has enqueued.

use backends::Backends;
use domain::JobMessage;
use queue::QueueError;
use records::PublishAttempt;

/// What publishes a job.
pub(crate) enum PublishedBy {
    /// This command has published it.
    Command,
    /// The running process will publish it. Its queue is in its memory, which this command cannot reach. So its sweeper
    /// takes the job from the records, like every job that the queue does not hold.
    RunningProcess,
    /// The sweeper will publish it, because the queue failed.
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
