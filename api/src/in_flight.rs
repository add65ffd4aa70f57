//! What each user is handing in at the moment. In memory and per process, like throttles: the records know of a picture
//! only when all of it has come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What each user is handing in. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlightUploads(Arc<Mutex<HashMap<String, InFlightTotals>>>);

/// How much of it there is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InFlightTotals {
    pub(crate) uploads: u64,
    /// As far as is known.
    pub(crate) bytes: u64,
}

/// A picture that is on its way in; dropped, it is not any more.
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

    /// One more picture; and what was on its way before it.
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
