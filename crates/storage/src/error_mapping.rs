//! Classifies a store's failure: the object is missing, the disk is full, an operator has to correct something, or
//! the store is not available now.
//!
//! An object counts as missing only if the store says so itself. S3 answers 404 for a missing bucket too, and so does
//! a proxy that does not know the store. A folder whose disk is not mounted has no files either.

use std::error::Error;
use std::io;

use object_store::Error as EngineError;

use crate::engine::FailureKind;
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Converts the engine's error for the object at `key`.
    pub(crate) fn map_error(&self, key: &str, error: EngineError) -> StoreError {
        let backend = self.backend;
        if is_full(&error) {
            return StoreError::Full { backend };
        }
        match self.engine.classify(&self.object_path(key), &error) {
            FailureKind::Missing => StoreError::Missing { backend, key: key.to_owned() },
            FailureKind::Misconfigured(why) => StoreError::Misconfigured { backend, why, detail: error.to_string() },
            FailureKind::Unavailable => StoreError::Engine { backend, source: error },
        }
    }
}

fn is_full(error: &EngineError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io_error_kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(io_error_kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::StoreSettings;
    use domain::Secret;
    use instrument::FailPoints;

    #[test]
    fn a_full_disk_is_reported_as_full() {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings {
            url: Secret::new(format!("file://{}", folder.path().display())),
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            min_free: Default::default(),
        };
        let store = Store::open("staging", &settings, FailPoints::default()).unwrap();
        for (kind, full) in
            [(io::ErrorKind::StorageFull, true), (io::ErrorKind::QuotaExceeded, true), (io::ErrorKind::Other, false)]
        {
            let source = Box::new(io::Error::from(kind));
            let error = store.map_error("incoming/a", EngineError::Generic { store: "folder", source });
            assert_eq!(matches!(error, StoreError::Full { .. }), full, "{error}");
        }
    }
}
