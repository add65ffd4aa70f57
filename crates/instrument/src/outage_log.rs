//! Logs when a backend stops answering and when it answers again, once per outage.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

/// The backends that do not answer at the moment. Clones share the set.
#[derive(Clone, Debug, Default)]
pub struct OutageLog(Arc<Mutex<BTreeSet<&'static str>>>);

impl OutageLog {
    /// Records the result of a request to a backend: the failure with all causes, or None if the backend answered.
    /// Logs only the first failure of an outage and the first answer after it.
    pub fn record(&self, backend: &'static str, failure: Option<&dyn Display>) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(error) if failing.insert(backend) => {
                tracing::warn!(backend, %error, "{backend} does not answer: {error}");
            }
            None if failing.remove(backend) => tracing::info!(backend, "{backend} answers again"),
            _ => {}
        }
    }
}
