//! The uploads of each user that are in flight. The counts are in memory and per process, as rate
//! limits are. The records cannot count them, because an upload is in the records only after all of
//! it has been received.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The uploads in flight by user. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlightUploads(Arc<Mutex<HashMap<String, InFlightTotals>>>);

/// The number and the size of a user's uploads in flight.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InFlightTotals {
    pub(crate) uploads: u64,
    /// The bytes of the uploads, as far as they are known.
    pub(crate) bytes: u64,
}

/// Counts one upload as in flight until the guard is dropped.
#[must_use]
pub(crate) struct InFlightGuard {
    in_flight: InFlightUploads,
    user: String,
    bytes: u64,
}

impl InFlightUploads {
    fn totals(&self) -> MutexGuard<'_, HashMap<String, InFlightTotals>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more upload of a user. Returns its guard, and the totals of the user without it.
    pub(crate) fn begin(&self, user: &str, bytes: u64) -> (InFlightGuard, InFlightTotals) {
        let mut totals = self.totals();
        let total = totals.entry(user.to_owned()).or_default();
        let before = *total;
        *total = InFlightTotals { uploads: before.uploads + 1, bytes: before.bytes + bytes };
        (InFlightGuard { in_flight: self.clone(), user: user.to_owned(), bytes }, before)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut totals = self.in_flight.totals();
        if let Some(total) = totals.get_mut(&self.user) {
            *total = InFlightTotals {
                uploads: total.uploads.saturating_sub(1),
                bytes: total.bytes.saturating_sub(self.bytes),
            };
            if total.uploads == 0 {
                totals.remove(&self.user);
            }
        }
    }
}
