//! Lists a store's objects. With the list, the sweeper finds objects that no row names, and an api
//! finds upload numbers that are already used.

use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;

use crate::error::StoreError;
use crate::idle_timeout::with_idle_timeout;
use crate::store::Store;

/// One listed object.
#[derive(Clone, Debug)]
pub(crate) struct ListedObject {
    pub(crate) key: String,
    pub(crate) modified_ms: i64,
}

impl Store {
    /// Lists every object, in no order.
    pub(crate) fn list(&self) -> BoxStream<'static, Result<ListedObject, StoreError>> {
        self.list_folder("")
    }

    /// Lists every object in the folder of this name, in no order.
    pub(crate) fn list_folder(&self, folder: &str) -> BoxStream<'static, Result<ListedObject, StoreError>> {
        let root = self.prefix.clone();
        let store = self.clone();
        let listed = self.engine.client().list(Some(&self.object_path(folder)));
        with_idle_timeout(self.backend, listed, self.operation_timeout)
            .map(move |found| {
                let found = found.map_err(|error| match error {
                    StoreError::Engine { source, .. } => store.map_error("", source),
                    error => error,
                })?;
                let parts = found.location.prefix_match(&root).map(Iterator::collect::<Path>);
                let key = parts.unwrap_or_else(|| found.location.clone()).to_string();
                Ok(ListedObject { key, modified_ms: found.last_modified.timestamp_millis() })
            })
            .boxed()
    }
}
