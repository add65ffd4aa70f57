//! Deletes staged bytes that no upload needs. Such bytes are left by a crash during an upload, between staging and
//! admission, or between settling an upload and deleting its staged bytes.

use std::time::Duration;

use backends::BackendError;
use futures::StreamExt;
use storage::StoreError;

use super::Sweeper;

/// The number of keys in one query to the records.
const QUERY_BATCH: usize = 500;

impl Sweeper {
    pub(super) async fn delete_orphans_older_than(&self, age: Duration) -> Result<usize, BackendError> {
        let now = self.backends.records.clock().now();
        let before = now - jiff::SignedDuration::try_from(age).unwrap_or(jiff::SignedDuration::MAX);
        let mut removed = 0;
        let mut old_keys = self.backends.staging.list_older_than(before).chunks(QUERY_BATCH);
        while let Some(keys) = old_keys.next().await {
            let keys: Vec<String> = keys.into_iter().collect::<Result<_, StoreError>>()?;
            let needed = self.backends.records.needed_staged_keys(&keys).await?;
            for key in keys.iter().filter(|key| !needed.contains(*key)) {
                self.backends.staging.delete(key).await?;
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::info!(removed, "deleted orphans from staging");
        }
        Ok(removed)
    }
}
