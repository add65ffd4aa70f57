//! Publishes jobs that a command has enqueued.

use backends::Backends;
use domain::JobMessage;
use queue::QueueError;
use records::PublishAttempt;

/// What publishes a job.
pub(crate) enum PublishedBy {
    /// This command has published it.
    Command,
    /// The running process takes it from the records, as it takes any job that its queue does not hold. An in-memory
    /// queue would be this command's own and end with it.
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
