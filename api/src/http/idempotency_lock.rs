//! Keeps an idempotency key locked while its request runs. Afterwards it ends the lock, with the response to store or
//! without one.
//!
//! Each request with a key has a task that does this. The lock is short, because a process that dies cannot end its
//! lock. The task renews the lock while the request runs. If the database fails to end a lock, the task tries again
//! with a growing pause. So a short fault does not keep the key locked.

use std::time::Duration;

use domain::{IdempotencyKey, IdempotencyKeyLock};
use records::{Records, RecordsError};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a lock lasts unless it is renewed.
pub(crate) const LOCK_DURATION: Duration = Duration::from_secs(30);

/// The pause after the first failed try to end a lock. Each further pause is twice as long, up to [`MAX_BACKOFF`].
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// How long a client waits until its response is stored. If the database takes longer, the response is stored later.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// The lock of one request. If it is dropped without a response, the key is free again.
pub(crate) struct KeyLock(oneshot::Sender<CompletedResponse>);

struct CompletedResponse {
    key: IdempotencyKey,
    response: String,
    /// Signalled after the first try to store the response.
    attempted: oneshot::Sender<()>,
}

impl KeyLock {
    /// Starts the task that renews a lock and then ends it. The lock lasts `lock_duration` from now.
    pub(crate) fn new(records: Records, lock: IdempotencyKeyLock, lock_duration: Duration) -> Self {
        let (sender, answer) = oneshot::channel();
        tokio::spawn(async move {
            let (answer, until) = renew_until_done(&records, &lock, lock_duration, answer).await;
            release(&records, &lock, answer, until).await;
        });
        Self(sender)
    }

    /// Ends the lock: later requests with the key get this response.
    pub(crate) async fn complete(self, key: IdempotencyKey, response: String) {
        let (attempted, first_attempt) = oneshot::channel();
        if self.0.send(CompletedResponse { key, response, attempted }).is_ok() {
            tokio::time::timeout(STORE_TIMEOUT, first_attempt).await.ok();
        }
    }
}

/// Renews the lock until the request has ended. Returns the response to store, if there is one, and when
/// the lock expires.
async fn renew_until_done(
    records: &Records,
    lock: &IdempotencyKeyLock,
    lock_duration: Duration,
    mut answer: oneshot::Receiver<CompletedResponse>,
) -> (Option<CompletedResponse>, Instant) {
    let (mut until, mut failing) = (Instant::now() + lock_duration, false);
    loop {
        if let Ok(answer) = tokio::time::timeout(lock_duration / 3, &mut answer).await {
            return (answer.ok(), until);
        }
        let asked = Instant::now();
        match records.renew_idempotency_key(lock, lock_duration).await {
            Ok(_) => (until, failing) = (asked + lock_duration, false),
            Err(error) => {
                if !failing {
                    tracing::warn!(error = domain::chain(&error), "an idempotency key could not be renewed");
                }
                failing = true;
            }
        }
    }
}

/// Ends the lock in the records. If that fails, tries again after a pause. Gives up when the lock expires by itself
/// before the next try.
async fn release(records: &Records, lock: &IdempotencyKeyLock, answer: Option<CompletedResponse>, until: Instant) {
    let (response, tried) = answer.map(|answer| ((answer.key, answer.response), answer.attempted)).unzip();
    let (mut tried, mut pause) = (tried, INITIAL_BACKOFF);
    loop {
        let ended = try_release(records, lock, response.as_ref()).await;
        if let Some(tried) = tried.take() {
            tried.send(()).ok();
        }
        let Err(error) = ended else { return };
        if pause == INITIAL_BACKOFF {
            let error = domain::chain(&error);
            tracing::warn!(error, "an idempotency key could not be released; it will be tried again");
        }
        if Instant::now() + pause >= until {
            let error = domain::chain(&error);
            tracing::warn!(error, "an idempotency key was not released before its lock expired");
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_BACKOFF);
    }
}

async fn try_release(
    records: &Records,
    lock: &IdempotencyKeyLock,
    response: Option<&(IdempotencyKey, String)>,
) -> Result<(), RecordsError> {
    match response {
        Some((key, text)) => records.store_idempotent_response(key, text).await,
        None => records.release_idempotency_key(lock).await,
    }
}

#[cfg(test)]
mod tests {
    use domain::{Clock, IdempotencyLockResult, Secret};
    use instrument::FailPoints;
    use jiff::Timestamp;
    use records::RecordsSettings;

    use super::*;

    #[tokio::test]
    async fn a_lock_is_renewed_while_its_request_runs() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("records.db").display());
        migrations::up(&url).await.unwrap();
        let settings = RecordsSettings::new(Secret::new(url), 2);
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let records = Records::open(&settings, clock.clone(), FailPoints::default()).await.unwrap();
        let hold = Duration::from_millis(300);
        let ask = async || records.lock_idempotency_key("user:jane", "k", hold).await.unwrap();
        let IdempotencyLockResult::Acquired(held) = ask().await else { panic!("no other request holds the lock") };
        let lock = KeyLock::new(records.clone(), held, hold);
        let begun = clock.now();
        for _ in 0..5 {
            clock.advance(hold - Duration::from_millis(1));
            let now = clock.now();
            let renewed = async {
                while !matches!(ask().await, IdempotencyLockResult::InFlight { locked_until, .. } if locked_until > now + hold - Duration::from_millis(1))
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), renewed).await.unwrap();
        }
        assert!(matches!(ask().await, IdempotencyLockResult::InFlight { locked_at, .. } if locked_at == begun));
        drop(lock);
        let released = async { while !matches!(ask().await, IdempotencyLockResult::Acquired(_)) {} };
        tokio::time::timeout(Duration::from_secs(30), released).await.unwrap();
    }
}
