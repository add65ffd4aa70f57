//! Classifies a store's failure: the object is missing, the disk is full, an operator has to correct something, or
//! the store is not available now.
//!
//! An object counts as missing only if the store says so itself. S3 answers 404 for a missing bucket too, and so does
//! a proxy that does not know the store. A folder whose disk is not mounted has no files either.

use std::error::Error;
use std::io;

use object_store::Error as EngineError;

use crate::error::StoreError;
use crate::store::{Store, StoreEngine};

/// S3's error codes that only an operator can correct, with the public message for each.
const MISCONFIGURED: [(&str, &str); 8] = [
    ("NoSuchBucket", NO_BUCKET),
    ("InvalidBucketName", NO_BUCKET),
    ("InvalidAccessKeyId", NOT_ACCEPTED),
    ("SignatureDoesNotMatch", NOT_ACCEPTED),
    ("InvalidToken", NOT_ACCEPTED),
    ("ExpiredToken", NOT_ACCEPTED),
    ("AuthorizationHeaderMalformed", NOT_ACCEPTED),
    ("AccessDenied", DENIED),
];
const NO_BUCKET: &str = "the bucket does not exist";
const NOT_ACCEPTED: &str = "the store does not accept the access key";
const DENIED: &str = "the store denies access";
const NO_FOLDER: &str = "the folder does not exist";

impl Store {
    /// Converts the engine's error for the object at `key`.
    pub(super) fn map_error(&self, key: &str, error: EngineError) -> StoreError {
        let backend = self.backend;
        if is_full(&error) {
            return StoreError::Full { backend };
        }
        let misconfigured = |why| StoreError::Misconfigured { backend, why, detail: error.to_string() };
        match (&self.engine, &error) {
            (StoreEngine::Folder(folder), EngineError::NotFound { .. }) => {
                if folder.has_top_level_dir(&self.object_path(key)) {
                    self.missing(key)
                } else {
                    misconfigured(NO_FOLDER)
                }
            }
            (StoreEngine::Bucket { .. }, _) => {
                let code = s3_error_code(&error);
                if matches!(code.as_deref(), Some("NoSuchKey" | "NoSuchUpload")) {
                    return self.missing(key);
                }
                let known = MISCONFIGURED.iter().find(|(known, _)| code.as_deref() == Some(known));
                let refused =
                    matches!(error, EngineError::PermissionDenied { .. } | EngineError::Unauthenticated { .. });
                match known.map(|(_, why)| *why).or(refused.then_some(DENIED)) {
                    Some(why) => misconfigured(why),
                    None => StoreError::Engine { backend, source: error },
                }
            }
            (StoreEngine::Folder(_), _) => StoreError::Engine { backend, source: error },
        }
    }
}

/// The code in S3's answer. The engine gives only the answer's text.
fn s3_error_code(error: &EngineError) -> Option<String> {
    let text = error.to_string();
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code.trim().to_owned())
}

fn is_full(error: &EngineError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(io, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
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
    fn a_full_disk_is_called_so() {
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
            let error = store.folder_error("incoming/a", kind.into());
            assert_eq!(matches!(error, StoreError::Full { .. }), full, "{error}");
        }
    }
}
