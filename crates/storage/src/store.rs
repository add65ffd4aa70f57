//! An object store under a prefix, whatever its engine. Staging and blobs are both built on it.
//!
//! Correctness does not depend on conditional writes, which some S3 servers ignore: every key is written once,
//! because only its writer knows it, and the records say which key counts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use address::read_ca_file;
use bytes::Bytes;
use domain::{Media, chain};
use futures::StreamExt;
use instrument::{FailPoints, FreeSpace, LowSpace};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions};

use crate::error::StoreError;
use crate::folder::{FileSource, Folder};
use crate::idle_timeout::timeout_error;
use crate::new_blob::{BlobContent, NewBlob};
use crate::operations::{READING_OPERATIONS, WRITING_OPERATIONS};
use crate::part_size::PartSizes;
use crate::s3;
use crate::settings::{StoreAddress, StoreSettings};

/// The limit of one operation. A bucket has shorter limits for each request. This one is for a folder on a disk that
/// does not answer, whose thread cannot be stopped: the caller stops waiting, and what the thread writes late is
/// deleted.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

/// A store, opened.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) backend: &'static str,
    pub(crate) client: Arc<dyn ObjectStore>,
    pub(crate) prefix: Path,
    pub(crate) part_sizes: PartSizes,
    pub(crate) engine: StoreEngine,
    /// For a folder: its file system.
    pub(crate) free_space: Option<FreeSpace>,
    /// The limit of one operation.
    pub(crate) operation_timeout: Duration,
    pub(crate) fail_points: FailPoints,
}

/// The features of an engine beyond those that all engines have.
#[derive(Clone, Debug)]
pub(crate) enum StoreEngine {
    /// A folder on this machine.
    Folder(Folder),
    /// A bucket, and the address that tells whether another store is in the same bucket.
    Bucket { s3: s3::S3Clients, address: String },
}

impl Store {
    pub(crate) fn open(
        backend: &'static str,
        settings: &StoreSettings,
        fail_points: FailPoints,
    ) -> Result<Self, StoreError> {
        let invalid = |why: String| StoreError::Address { backend, url: settings.url.to_string(), why };
        match settings.parse_address(backend)? {
            StoreAddress::Folder(folder) => {
                let folder = Folder::open(&folder).map_err(|error| invalid(error.to_string()))?;
                let client = Arc::new(folder.engine());
                let (prefix, sizes) = (Path::default(), PartSizes::for_folder());
                let space = Some(FreeSpace::new(backend, folder.root().to_owned(), settings.min_free));
                let engine = StoreEngine::Folder(folder);
                Ok(Self {
                    backend,
                    client,
                    prefix,
                    part_sizes: sizes,
                    engine,
                    free_space: space,
                    operation_timeout: OPERATION_TIMEOUT,
                    fail_points,
                })
            }
            StoreAddress::Bucket { bucket, prefix, ca_file } => {
                let trusted = ca_file.map(|file| read_ca_file(&file)).transpose().map_err(invalid)?;
                let s3 = s3::open(bucket, settings, trusted.as_deref(), s3::REQUEST_TIMEOUT);
                let s3 = s3.map_err(|error| invalid(chain(&error)))?;
                let address = format!("{}/{bucket} as {}", settings.endpoint, settings.access_key_id);
                let client = Arc::clone(&s3.bounded);
                let engine = StoreEngine::Bucket { s3, address };
                let sizes = PartSizes::for_bucket();
                Ok(Self {
                    backend,
                    client,
                    prefix,
                    part_sizes: sizes,
                    engine,
                    free_space: None,
                    operation_timeout: OPERATION_TIMEOUT,
                    fail_points,
                })
            }
        }
    }

    /// Writes a whole object.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let put = async {
            match &self.engine {
                StoreEngine::Folder(folder) => {
                    let written = folder.write(vec![(self.file_path(folder, key)?, FileSource::Bytes(bytes))]).await;
                    written.map_err(|error| self.folder_error(key, error))
                }
                StoreEngine::Bucket { .. } => {
                    let options = PutOptions { attributes: attributes(key), ..PutOptions::default() };
                    let put = self.client.put_opts(&self.object_path(key), bytes.into(), options).await;
                    put.map(drop).map_err(|error| self.map_error(key, error))
                }
            }
        };
        self.instrument("put", put).await
    }

    /// For a folder: writes, atomically, every object whose bytes are locally available, and returns the rest, which
    /// are in a bucket of `staging` and not in memory. For a bucket: returns all objects unchanged.
    pub(crate) async fn put_batch(&self, staging: &Self, objects: Vec<NewBlob>) -> Result<Vec<NewBlob>, StoreError> {
        let StoreEngine::Folder(folder) = &self.engine else { return Ok(objects) };
        let (mut files, mut not_batched, mut staged) = (Vec::new(), Vec::new(), String::new());
        for NewBlob { key, content } in objects {
            let path = self.file_path(folder, &key)?;
            match (content, &staging.engine) {
                (BlobContent::Bytes(bytes), _)
                | (BlobContent::Staged { in_memory: Some(bytes), .. }, StoreEngine::Bucket { .. }) => {
                    files.push((path, FileSource::Bytes(bytes)));
                }
                (BlobContent::Staged { key, in_memory: held }, StoreEngine::Folder(there)) => {
                    files.push((path, FileSource::File { path: staging.file_path(there, &key)?, held }));
                    staged = key;
                }
                (content, StoreEngine::Bucket { .. }) => not_batched.push(NewBlob { key, content }),
            }
        }
        if !files.is_empty() {
            let put = async {
                folder.write(files).await.map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound if !staged.is_empty() => staging.map_not_found(&staged, error),
                    _ => self.folder_error("", error),
                })
            };
            self.instrument("put", put).await?;
        }
        Ok(not_batched)
    }

    /// Makes a bucket copy the object `key` of `from`, without its bytes passing through this process. Returns false
    /// if the two are not in one bucket, or if the copy failed: then the caller has to transfer the bytes.
    pub(crate) async fn copy(&self, from: &Self, key: &str, to: &str) -> Result<bool, StoreError> {
        let copy = async {
            Ok::<_, StoreError>(match (&self.engine, &from.engine) {
                (StoreEngine::Bucket { address: target, .. }, StoreEngine::Bucket { address: source, .. })
                    if target == source =>
                {
                    self.client.copy(&from.object_path(key), &self.object_path(to)).await.is_ok()
                }
                _ => false,
            })
        };
        self.instrument("copy", copy).await
    }

    /// Returns a URL under which any client can get the object for `valid`; None if the engine has no such URLs.
    pub(crate) async fn signed_url(&self, key: &str, valid: Duration) -> Result<Option<String>, StoreError> {
        let StoreEngine::Bucket { s3, .. } = &self.engine else { return Ok(None) };
        let url = s3.bounded.signed_url(reqwest::Method::GET, &self.object_path(key), valid).await;
        Ok(Some(url.map_err(|error| self.map_error(key, error))?.into()))
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        let get = async {
            let found = self.client.get(&self.object_path(key)).await.map_err(|error| self.map_error(key, error))?;
            found.bytes().await.map_err(|error| self.map_error(key, error))
        };
        self.instrument("get", get).await
    }

    /// Reads a whole object that will not be read again soon.
    pub(crate) async fn get_uncached(&self, key: &str) -> Result<Bytes, StoreError> {
        let StoreEngine::Folder(folder) = &self.engine else { return self.get(key).await };
        let get = async {
            folder.read_uncached(self.file_path(folder, key)?).await.map_err(|error| self.map_not_found(key, error))
        };
        self.instrument("get", get).await
    }

    /// Deletes one object. A missing object is no error.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let delete = async {
            match self.client.delete(&self.object_path(key)).await.map_err(|error| self.map_error(key, error)) {
                Err(StoreError::Missing { .. }) => Ok(()),
                other => other,
            }
        };
        self.instrument("delete", delete).await
    }

    /// Deletes every object whose key begins with `prefix`. Returns how many there were.
    pub(crate) async fn delete_prefix(&self, prefix: &str) -> Result<usize, StoreError> {
        let remove = async {
            match &self.engine {
                StoreEngine::Folder(folder) => {
                    let (directory, stem) = prefix.rsplit_once('/').unwrap_or(("", prefix));
                    let removed = folder.delete_prefix(self.file_path(folder, directory)?, stem.to_owned()).await;
                    removed.map_err(|error| self.folder_error(prefix, error))
                }
                StoreEngine::Bucket { s3, .. } => {
                    let whole =
                        self.prefix.parts().map(|part| format!("{}/", part.as_ref())).collect::<String>() + prefix;
                    let found =
                        s3::list_prefix(&s3.bounded, &whole).await.map_err(|error| self.map_error(prefix, error))?;
                    self.delete_paths(found).await
                }
            }
        };
        self.instrument("delete_prefix", remove).await
    }

    /// Deletes objects, as many in a request as the engine takes.
    async fn delete_paths(&self, paths: Vec<Path>) -> Result<usize, StoreError> {
        let count = paths.len();
        let mut deleted = self.client.delete_stream(futures::stream::iter(paths).map(Ok).boxed());
        while let Some(result) = deleted.next().await {
            match result.map_err(|error| self.map_error("", error)) {
                Ok(_) | Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Checks whether the store would keep its reserve with `incoming` more bytes. Always succeeds for a bucket.
    pub(crate) async fn check_space(&self, incoming: u64) -> Result<(), LowSpace> {
        match &self.free_space {
            Some(space) => space.check(incoming).await,
            None => Ok(()),
        }
    }

    /// Checks that the store answers, by requesting an object that does not exist. By GET, because the answer to HEAD
    /// has no body, which would say whether the object is missing or the bucket.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let key = "is-anybody-there";
        let ping = async {
            match self.client.get(&self.object_path(key)).await.map_err(|error| self.map_error(key, error)) {
                Ok(_) | Err(StoreError::Missing { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        };
        self.instrument("ping", ping).await
    }

    /// Runs one operation, counted, timed and limited.
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

    /// The file of this key in the folder.
    pub(crate) fn file_path(&self, folder: &Folder, key: &str) -> Result<PathBuf, StoreError> {
        folder.path(&self.object_path(key)).map_err(|error| self.map_error(key, error))
    }

    pub(crate) fn missing(&self, key: &str) -> StoreError {
        StoreError::Missing { backend: self.backend, key: key.to_owned() }
    }

    /// Converts the error of a file that was found in the folder before.
    pub(crate) fn map_not_found(&self, key: &str, error: io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::NotFound => {
                self.map_error(key, object_store::Error::NotFound { path: key.to_owned(), source: Box::new(error) })
            }
            _ => self.folder_error(key, error),
        }
    }

    /// Converts the error of an operation in the folder.
    pub(crate) fn folder_error(&self, key: &str, error: io::Error) -> StoreError {
        self.map_error(key, object_store::Error::Generic { store: "folder", source: Box::new(error) })
    }
}

/// The headers that a bucket sends with an object to a redirected client; a folder cannot store any.
fn attributes(key: &str) -> Attributes {
    let media = key.rsplit_once('.').and_then(|(_, extension)| Media::from_extension(extension));
    media.map(|media| (Attribute::ContentType, media.mime().to_owned())).into_iter().collect()
}
