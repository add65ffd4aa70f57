//! What lies in a store, one entry after the other: for the sweeper, which looks for what no row knows.

use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use object_store::path::Path;

use super::{Store, StoreError, stream};

/// One object as a listing shows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) modified_ms: i64,
}

impl Store {
    /// Every object, in no order.
    pub(crate) fn list(&self) -> BoxStream<'static, Result<Entry, StoreError>> {
        self.list_in("")
    }

    /// Every object in the folder of this name, in no order.
    pub(crate) fn list_in(&self, folder: &str) -> BoxStream<'static, Result<Entry, StoreError>> {
        let root = self.prefix.clone();
        let store = self.clone();
        stream::patient(self.place, self.engine.list(Some(&self.path(folder))), self.limit)
            .map(move |found| {
                let found = found.map_err(|error| match error {
                    StoreError::Engine { source, .. } => store.error("", source),
                    error => error,
                })?;
                let parts = found.location.prefix_match(&root).map(Iterator::collect::<Path>);
                let key = parts.unwrap_or_else(|| found.location.clone()).to_string();
                Ok(Entry { key, modified_ms: found.last_modified.timestamp_millis() })
            })
            .boxed()
    }
}
