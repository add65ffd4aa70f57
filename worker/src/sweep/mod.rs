//! The sweeper: repairs and cleans by the same code, on a timer, without input. Any number of them may run.
//!
//! `overdue` settles what nobody settled in time, `relay` publishes what the queue does not know, `expire` lets go of
//! what nobody claimed, `collect` deletes what the ledger condemns, `orphans` finds staged bytes that nobody waits for.

mod collect;
mod expire;
mod orphans;
mod overdue;
mod relay;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use upload::{PlaceError, Places};

use crate::outcome::chain;
use crate::settings::SweepSettings;

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads that expired unclaimed.
    pub expired: usize,
    /// Uploads settled as failed at their deadline.
    pub failed: usize,
    /// Tickets published again.
    pub published: usize,
    /// Blobs deleted.
    pub collected: usize,
    /// Staged objects that nobody waited for, deleted.
    pub orphans: usize,
    /// Remembered answers that are too old to be asked for.
    pub forgotten: usize,
    /// Rows of sessions whose absolute end has passed, removed.
    pub sessions: usize,
}

/// Sweeps the four places.
#[derive(Clone, Debug)]
pub struct Sweeper {
    places: Places,
    settings: SweepSettings,
}

impl Sweeper {
    /// A sweeper of these places.
    pub fn new(settings: &SweepSettings, places: Places) -> Self {
        Self { places, settings: settings.clone() }
    }

    /// Sweeps until `stop`, a round at a time. A round that fails is logged, and the next one tries again.
    pub async fn run(&self, stop: CancellationToken) {
        let mut orphans_at: Option<Instant> = None;
        loop {
            let orphans = orphans_at.is_none_or(|at| at.elapsed() >= self.settings.orphans_every);
            if orphans {
                orphans_at = Some(Instant::now());
            }
            match self.round(orphans).await {
                Ok(swept) if swept == Swept::default() => {}
                Ok(swept) => tracing::info!(
                    expired = swept.expired,
                    failed = swept.failed,
                    published = swept.published,
                    collected = swept.collected,
                    orphans = swept.orphans,
                    forgotten = swept.forgotten,
                    sessions = swept.sessions,
                    "swept"
                ),
                Err(error) => tracing::warn!(error = chain(&error), "a sweep was cut short; the next one goes on"),
            }
            let pause = tokio::time::sleep(self.settings.every);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Does all there is to do now, and says what that was.
    ///
    /// # Errors
    /// Where a place does not answer; what was done before stays done.
    pub async fn once(&self) -> Result<Swept, PlaceError> {
        self.round(true).await
    }

    async fn forget(&self) -> Result<usize, PlaceError> {
        let mut forgotten = 0;
        loop {
            let batch = self.places.records.forget_answers(self.settings.batch).await?;
            forgotten += usize::try_from(batch).unwrap_or_default();
            if batch == 0 {
                return Ok(forgotten);
            }
        }
    }

    async fn remove_ended_sessions(&self) -> Result<usize, PlaceError> {
        let mut removed = 0;
        loop {
            let batch = self.places.records.remove_ended_sessions(self.settings.batch).await?;
            removed += usize::try_from(batch).unwrap_or_default();
            if batch < self.settings.batch {
                return Ok(removed);
            }
        }
    }

    async fn round(&self, orphans: bool) -> Result<Swept, PlaceError> {
        // Nobody is to be called late by a clock that went astray since the last round.
        self.places.records.keep_time().await?;
        // One that fails does not keep the others from going: on a full disk, the later ones are those that make room.
        let mut first = None;
        let mut done = |outcome: Result<usize, PlaceError>| {
            outcome.unwrap_or_else(|error| {
                first.get_or_insert(error);
                0
            })
        };
        let swept = Swept {
            forgotten: done(self.forget().await),
            sessions: done(self.remove_ended_sessions().await),
            failed: done(self.fail_overdue().await),
            published: done(self.relay().await),
            expired: done(self.expire().await),
            orphans: if orphans { done(self.remove_orphans(self.settings.orphan_age).await) } else { 0 },
            collected: done(self.collect().await),
        };
        first.map_or(Ok(swept), Err)
    }

    /// Removes staged bytes that no upload waits for and that are older than `age`. [`run`](Self::run) does this with
    /// the age in the settings; a process that knows that nobody is uploading may be stricter.
    ///
    /// # Errors
    /// Where a place does not answer.
    pub async fn remove_orphans(&self, age: Duration) -> Result<usize, PlaceError> {
        self.orphans(age).await
    }
}
