//! Staged bytes that no upload waits for: left by a crash while they came, between staging and the records, or between
//! settling and unstaging.

use std::time::Duration;

use futures::StreamExt;
use upload::{PlaceError, StoreError};

use super::Sweeper;

/// Keys to ask the records about at once.
const ASK: usize = 500;

impl Sweeper {
    pub(super) async fn orphans(&self, age: Duration) -> Result<usize, PlaceError> {
        let now = self.places.records.clock().now();
        let before = now - jiff::SignedDuration::try_from(age).unwrap_or(jiff::SignedDuration::MAX);
        let mut removed = 0;
        let mut old = self.places.staging.older_than(before).chunks(ASK);
        while let Some(keys) = old.next().await {
            let keys: Vec<String> = keys.into_iter().collect::<Result<_, StoreError>>()?;
            let needed = self.places.records.needed_in_staging(&keys).await?;
            for key in keys.iter().filter(|key| !needed.contains(*key)) {
                self.places.staging.remove(key).await?;
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::info!(removed, "deleted staged bytes that nobody waits for");
        }
        Ok(removed)
    }
}
