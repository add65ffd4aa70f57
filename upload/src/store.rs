//! An object store under a prefix, whichever engine it is: what staging and blobs are both made of.
//!
//! Correctness never rests on conditional writes, which some S3 servers ignore: every key is written once because
//! nobody else knows it, and the records say which key counts.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use serde::{Deserialize, Serialize};

use crate::faults::{Faults, Struck};
use crate::secret::Secret;

/// Where a store is and how to get in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `file:///a/folder` or `s3://bucket/prefix`; empty means a folder below the data directory.
    pub url: Secret,
    /// The S3 server's address, where it is not Amazon's.
    pub endpoint: String,
    /// The S3 region.
    pub region: String,
    /// The S3 key's id; empty means the usual `AWS_…` variables.
    pub access_key_id: String,
    /// The S3 key.
    pub secret_access_key: Secret,
}

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("{place} has no object \"{key}\"")]
    Missing {
        /// Which place.
        place: &'static str,
        /// The key asked for.
        key: String,
    },
    /// The disk or the quota is full.
    #[error("{place} is full: free room or give it more")]
    Full {
        /// Which place.
        place: &'static str,
    },
    /// The address cannot be opened.
    #[error("{place}.url \"{url}\" cannot be opened: {why}")]
    Address {
        /// Which place.
        place: &'static str,
        /// The address, without its secrets.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The engine did not do it, this time.
    #[error("{place}: {source}")]
    Engine {
        /// Which place.
        place: &'static str,
        /// The engine's own words.
        source: object_store::Error,
    },
    /// A test made it fail.
    #[error(transparent)]
    Struck(#[from] Struck),
}

impl StoreError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Missing { .. } | Self::Address { .. })
    }
}

/// One object as a listing shows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) modified_ms: i64,
}

/// A store, opened.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    place: &'static str,
    engine: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Bytes that a streamed upload gathers before it hands them on: what one upload in progress costs in memory.
    part: usize,
    /// The folder, where the engine is a file system.
    folder: Option<PathBuf>,
    faults: Faults,
}

/// Small parts keep two hundred uploads in progress small; a file system takes any size.
const FILE_PART: usize = 128 << 10;
/// The least that S3 takes for any part but the last (Amazon S3 User Guide, "Multipart upload limits").
const S3_PART: usize = 5 << 20;

impl Store {
    pub(crate) fn open(place: &'static str, settings: &StoreSettings, faults: Faults) -> Result<Self, StoreError> {
        let url = settings.url.expose();
        let address = |why: String| StoreError::Address { place, url: settings.url.to_string(), why };
        if let Some(folder) = url.strip_prefix("file:") {
            let folder = PathBuf::from(folder.strip_prefix("//").unwrap_or(folder));
            std::fs::create_dir_all(&folder).map_err(|error| address(error.to_string()))?;
            let engine = LocalFileSystem::new_with_prefix(&folder).map_err(|error| address(error.to_string()))?;
            let engine = Arc::new(engine.with_fsync(true).with_automatic_cleanup(true));
            Ok(Self { place, engine, prefix: Path::default(), part: FILE_PART, folder: Some(folder), faults })
        } else if let Some(rest) = url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let engine = Arc::new(s3(bucket, settings).map_err(|error| address(error.to_string()))?);
            let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| address(error.to_string()))?;
            Ok(Self { place, engine, prefix, part: S3_PART, folder: None, faults })
        } else {
            Err(address("write file:///a/folder or s3://bucket/prefix".to_owned()))
        }
    }

    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let put =
            async { self.engine.put(&self.path(key), bytes.into()).await.map_err(|error| self.error(key, error)) };
        self.faults.watch(self.place, "put", put).await.map(drop)
    }

    /// Begins an upload of unknown length.
    pub(crate) async fn begin(&self, key: &str) -> Result<Box<dyn object_store::MultipartUpload>, StoreError> {
        let begin = async { self.engine.put_multipart(&self.path(key)).await.map_err(|error| self.error(key, error)) };
        self.faults.watch(self.place, "begin", begin).await
    }

    /// Runs a step of an upload begun by [`begin`](Self::begin).
    pub(crate) async fn step<T>(
        &self,
        op: &'static str,
        key: &str,
        step: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        self.faults.watch(self.place, op, async { step.await.map_err(|error| self.error(key, error)) }).await
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        let get = async {
            let found = self.engine.get(&self.path(key)).await.map_err(|error| self.error(key, error))?;
            found.bytes().await.map_err(|error| self.error(key, error))
        };
        self.faults.watch(self.place, "get", get).await
    }

    /// The object in chunks; it has been opened when this returns, so a missing one is known before the first byte.
    pub(crate) async fn stream(
        &self,
        key: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let options = GetOptions { range: range.map(Into::into), ..GetOptions::default() };
        let open =
            async { self.engine.get_opts(&self.path(key), options).await.map_err(|error| self.error(key, error)) };
        let found = self.faults.watch(self.place, "stream", open).await?;
        let place = self.place;
        Ok(found.into_stream().map(move |chunk| chunk.map_err(|source| StoreError::Engine { place, source })).boxed())
    }

    /// Deletes one object; that it is not there is what was wanted.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let delete = async {
            match self.engine.delete(&self.path(key)).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                other => other.map_err(|error| self.error(key, error)),
            }
        };
        self.faults.watch(self.place, "delete", delete).await
    }

    /// Every object whose key begins with the folder `prefix` (empty for all), in no order.
    pub(crate) fn list(&self, prefix: &str) -> BoxStream<'static, Result<Entry, StoreError>> {
        let path = if prefix.is_empty() { self.prefix.clone() } else { self.path(prefix) };
        let root = self.prefix.clone();
        let place = self.place;
        self.engine
            .list(Some(&path))
            .map(move |found| {
                let found = found.map_err(|source| StoreError::Engine { place, source })?;
                let parts = found.location.prefix_match(&root).map(Iterator::collect::<Path>);
                let key = parts.unwrap_or_else(|| found.location.clone()).to_string();
                Ok(Entry { key, modified_ms: found.last_modified.timestamp_millis() })
            })
            .boxed()
    }

    /// Whether the store answers: asks for an object that is not there.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        match self.engine.head(&self.path("is-anybody-there")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error("", error)),
        }
    }

    pub(crate) fn part(&self) -> usize {
        self.part
    }

    /// Removes files that a killed process was still writing and that no listing shows. Returns how many.
    pub(crate) async fn remove_unfinished(&self, older_than: Duration) -> Result<usize, StoreError> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let removed = tokio::task::spawn_blocking(move || unfinished(&folder, older_than)).await;
        Ok(removed.unwrap_or_default())
    }

    fn path(&self, key: &str) -> Path {
        self.prefix.parts().chain(Path::from(key).parts()).collect()
    }

    fn error(&self, key: &str, error: object_store::Error) -> StoreError {
        if let object_store::Error::NotFound { .. } = error {
            return StoreError::Missing { place: self.place, key: key.to_owned() };
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            if matches!(io, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)) {
                return StoreError::Full { place: self.place };
            }
            cause = error.source();
        }
        StoreError::Engine { place: self.place, source: error }
    }
}

/// An S3 client with bounded patience: a request path waits seconds, not the library's three minutes.
fn s3(bucket: &str, settings: &StoreSettings) -> object_store::Result<object_store::aws::AmazonS3> {
    // One provider of TLS for the whole program; that another place was faster to say so is fine.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(ClientOptions::new().with_timeout(Duration::from_secs(30)).with_allow_http(true))
        .with_retry(RetryConfig {
            max_retries: 4,
            retry_timeout: Duration::from_secs(10),
            backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
        });
    if !settings.region.is_empty() {
        builder = builder.with_region(&settings.region);
    }
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(&settings.endpoint);
    }
    if !settings.access_key_id.is_empty() {
        builder = builder.with_access_key_id(&settings.access_key_id);
        builder = builder.with_secret_access_key(settings.secret_access_key.expose());
    }
    builder.build()
}

/// The file engine writes to `key#1` and renames at the end; what bears such a name and is old was left by a kill.
fn unfinished(folder: &FilePath, older_than: Duration) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut removed = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(metadata) = entry.metadata() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        let temporary =
            name.rsplit_once('#').is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let old = metadata.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age >= older_than);
        if metadata.is_dir() {
            removed += unfinished(&path, older_than);
        } else if temporary && old && std::fs::remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    removed
}
