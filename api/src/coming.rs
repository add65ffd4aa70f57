//! What each user is handing in at the moment. In memory and per process, like throttles: the records know of a picture
//! only when all of it has come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What each user is handing in. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllComing(Arc<Mutex<HashMap<String, Sum>>>);

/// How much of it there is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) pictures: u64,
    /// As far as is known.
    pub(crate) bytes: u64,
}

/// A picture that is on its way in; dropped, it is not any more.
#[must_use]
pub(crate) struct Coming {
    all: AllComing,
    user: String,
    bytes: u64,
}

impl AllComing {
    fn sums(&self) -> MutexGuard<'_, HashMap<String, Sum>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more picture; and what was on its way before it.
    pub(crate) fn begin(&self, user: &str, bytes: u64) -> (Coming, Sum) {
        let mut sums = self.sums();
        let sum = sums.entry(user.to_owned()).or_default();
        let before = *sum;
        *sum = Sum { pictures: before.pictures + 1, bytes: before.bytes + bytes };
        (Coming { all: self.clone(), user: user.to_owned(), bytes }, before)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut sums = self.all.sums();
        if let Some(sum) = sums.get_mut(&self.user) {
            *sum = Sum { pictures: sum.pictures.saturating_sub(1), bytes: sum.bytes.saturating_sub(self.bytes) };
            if sum.pictures == 0 {
                sums.remove(&self.user);
            }
        }
    }
}
