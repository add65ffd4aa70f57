//! An object store under a prefix, whatever its engine. Staging and blobs are both built on it.
//!
//! Correctness does not depend on conditional writes, which some S3 servers ignore: every key is written once,
//! because only its writer knows it, and the records say which key counts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use instrument::{FailPoints, FreeSpace, LowSpace};
use object_store::path::Path;
use object_store::{Error as EngineError, ObjectStoreExt};

use crate::engine::{ObjectSource, StorageEngine};
use crate::error::StoreError;
use crate::idle_timeout::timeout_error;
use crate::new_blob::{BlobContent, NewBlob};
use crate::operations::{READING_OPERATIONS, WRITING_OPERATIONS};
use crate::settings::StoreSettings;

/// The time limit of one operation. It is for a folder on a disk that does not answer, because a bucket
/// has shorter limits for each request. The thread that waits for the disk cannot be stopped. So
/// the caller stops waiting, and files that the thread writes later are deleted.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

/// A store, opened.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) backend: &'static str,
    pub(crate) engine: Arc<dyn StorageEngine>,
    /// The prefix of all paths of this store.
    pub(crate) prefix: Path,
    /// For a folder: the free space of its file system.
    free_space: Option<FreeSpace>,
    /// The limit of one operation.
    pub(crate) operation_timeout: Duration,
    fail_points: FailPoints,
}

impl Store {
    pub(crate) fn open(
        backend: &'static str,
        settings: &StoreSettings,
        fail_points: FailPoints,
    ) -> Result<Self, StoreError> {
        let (engine, prefix) = settings.open_engine(backend)?;
        let free_space = engine.file_system().map(|folder| FreeSpace::new(backend, folder, settings.min_free));
        Ok(Self { backend, engine, prefix, free_space, operation_timeout: OPERATION_TIMEOUT, fail_points })
    }

    /// Writes a whole object.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let path = self.object_path(key);
        let put = async { self.engine.put(&path, bytes).await.map_err(|error| self.map_error(key, error)) };
        self.instrument("put", put).await
    }

    /// If the engine writes batches, as a folder does: writes all objects whose bytes are on this
    /// machine, or none of them. Returns the other objects, whose bytes are only in a bucket of
    /// `staging`. If the engine does not write batches, returns all objects unchanged.
    pub(crate) async fn put_batch(&self, staging: &Self, objects: Vec<NewBlob>) -> Result<Vec<NewBlob>, StoreError> {
        let Some(writer) = self.engine.batch_writer() else { return Ok(objects) };
        let (mut batch, mut not_batched, mut staged) = (Vec::new(), Vec::new(), String::new());
        for NewBlob { key, content } in objects {
            let source = match content {
                BlobContent::Bytes(bytes) => ObjectSource::Bytes(bytes),
                BlobContent::Staged { key: from, in_memory: held } => {
                    match (staging.engine.local_file(&staging.object_path(&from)), held) {
                        (Some(path), held) => {
                            staged = from;
                            ObjectSource::File { path, held }
                        }
                        (None, Some(bytes)) => ObjectSource::Bytes(bytes),
                        (None, None) => {
                            not_batched
                                .push(NewBlob { key, content: BlobContent::Staged { key: from, in_memory: None } });
                            continue;
                        }
                    }
                }
            };
            batch.push((self.object_path(&key), source));
        }
        if !batch.is_empty() {
            let put = async {
                writer.write_batch(batch).await.map_err(|error| match error {
                    EngineError::NotFound { source, .. } => {
                        staging.map_error(&staged, EngineError::NotFound { path: staged.clone(), source })
                    }
                    error => self.map_error("", error),
                })
            };
            self.instrument("put", put).await?;
        }
        Ok(not_batched)
    }

    /// Makes the server copy the object `key` of the store `from` to the key `to` of this store, without its bytes
    /// passing through this process. Returns false if the two stores are not in one place at one server, or if the copy
    /// failed. The caller then has to transfer the bytes.
    pub(crate) async fn copy(&self, from: &Self, key: &str, to: &str) -> Result<bool, StoreError> {
        let copy = async {
            let scope = self.engine.copy_scope();
            let is_possible = scope.is_some() && scope == from.engine.copy_scope();
            let (source, target) = (from.object_path(key), self.object_path(to));
            Ok(is_possible && self.engine.copy_inside(&source, &target).await.is_ok())
        };
        self.instrument("copy", copy).await
    }

    /// Returns a URL under which any client can get the object for `valid`; None if the engine has no such URLs.
    pub(crate) async fn signed_url(&self, key: &str, valid: Duration) -> Result<Option<String>, StoreError> {
        self.engine.signed_url(&self.object_path(key), valid).await.map_err(|error| self.map_error(key, error))
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        let get = async {
            let found =
                self.engine.client().get(&self.object_path(key)).await.map_err(|error| self.map_error(key, error))?;
            found.bytes().await.map_err(|error| self.map_error(key, error))
        };
        self.instrument("get", get).await
    }

    /// Reads a whole object that will not be read again soon.
    pub(crate) async fn get_uncached(&self, key: &str) -> Result<Bytes, StoreError> {
        let path = self.object_path(key);
        let get = async { self.engine.read_uncached(&path).await.map_err(|error| self.map_error(key, error)) };
        self.instrument("get", get).await
    }

    /// Deletes one object. A missing object is no error.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let delete = async {
            match self.engine.client().delete(&self.object_path(key)).await.map_err(|error| self.map_error(key, error))
            {
                Err(StoreError::Missing { .. }) => Ok(()),
                other => other,
            }
        };
        self.instrument("delete", delete).await
    }

    /// Deletes every object whose key begins with `prefix`. Returns how many there were.
    pub(crate) async fn delete_prefix(&self, prefix: &str) -> Result<usize, StoreError> {
        let full_prefix = self.prefix.parts().map(|part| format!("{}/", part.as_ref())).collect::<String>() + prefix;
        let remove =
            async { self.engine.delete_prefix(&full_prefix).await.map_err(|error| self.map_error(prefix, error)) };
        self.instrument("delete_prefix", remove).await
    }

    /// Checks whether the store would keep its reserve with `incoming` more bytes. Always succeeds for a bucket.
    pub(crate) async fn check_space(&self, incoming: u64) -> Result<(), LowSpace> {
        match &self.free_space {
            Some(space) => space.check(incoming).await,
            None => Ok(()),
        }
    }

    /// Checks that the store answers, by requesting an object that does not exist. The request is a
    /// GET, because only the body of an answer says whether the object or the bucket is missing.
    /// The answer to a HEAD has no body.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let key = "is-anybody-there";
        let ping = async {
            match self.engine.client().get(&self.object_path(key)).await.map_err(|error| self.map_error(key, error)) {
                Ok(_) | Err(StoreError::Missing { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        };
        self.instrument("ping", ping).await
    }

    /// Runs one operation: limits its duration, and counts and times it. A test can make it fail here.
    pub(crate) fn instrument<T>(
        &self,
        op: &'static str,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        debug_assert!(
            WRITING_OPERATIONS.contains(&op) || READING_OPERATIONS.contains(&op),
            "{op} is in neither list of operations"
        );
        let limited = async move {
            let in_time = tokio::time::timeout(self.operation_timeout, operation).await;
            in_time.unwrap_or_else(|_| Err(timeout_error(self.backend, self.operation_timeout)))
        };
        self.fail_points.instrument(self.backend, op, limited)
    }

    pub(crate) fn object_path(&self, key: &str) -> Path {
        self.prefix.parts().chain(Path::from(key).parts()).collect()
    }
}
