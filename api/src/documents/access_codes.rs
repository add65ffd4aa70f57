//! Caches which access codes of public links were correct recently, by a digest of link, hash and code. It is in memory
//! and per process. Every request first reads the link from the records, so a deleted or changed link takes effect at
//! once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// How long a correct code is cached.
const TTL: SignedDuration = SignedDuration::from_mins(5);
/// All entries are removed once there are more than this.
const MAX_ENTRIES: usize = 10_000;

/// Codes that were correct. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessCodeCache(Arc<Mutex<HashMap<[u8; 32], Timestamp>>>);

impl AccessCodeCache {
    /// Returns whether this code was correct recently.
    pub(crate) fn contains(&self, proof: &[u8; 32], now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(proof).copied();
        known.is_some_and(|at| now.duration_since(at) < TTL)
    }

    /// Records that this code is correct.
    pub(crate) fn insert(&self, proof: [u8; 32], now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_ENTRIES {
            known.clear();
        }
        known.insert(proof, now);
    }
}
