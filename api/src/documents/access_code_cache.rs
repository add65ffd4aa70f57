//! Which access codes of public links were right a moment ago, by a digest of link, hash and code. In memory and per
//! process; a link that was taken back or changed is asked about in the records before this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// How long a code that was right is known to be.
const TTL: SignedDuration = SignedDuration::from_mins(5);
/// All are forgotten once there are more than this.
const MAX_ENTRIES: usize = 10_000;

/// Codes that were right. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessCodeCache(Arc<Mutex<HashMap<[u8; 32], Timestamp>>>);

impl AccessCodeCache {
    /// Whether this was right a moment ago.
    pub(crate) fn contains(&self, proof: &[u8; 32], now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(proof).copied();
        known.is_some_and(|at| now.duration_since(at) < TTL)
    }

    /// This is right.
    pub(crate) fn insert(&self, proof: [u8; 32], now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_ENTRIES {
            known.clear();
        }
        known.insert(proof, now);
    }
}
