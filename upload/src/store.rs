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
use object_store::aws::AmazonS3;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutOptions};
use serde::{Deserialize, Serialize};

mod s3;

use crate::Media;
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
    home: Home,
    faults: Faults,
}

/// What an engine is beyond what all of them can do.
#[derive(Clone, Debug)]
enum Home {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket, and what says that another store is in the same.
    Bucket { s3: Arc<AmazonS3>, address: String },
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
            Ok(Self { place, engine, prefix: Path::default(), part: FILE_PART, home: Home::Folder(folder), faults })
        } else if let Some(rest) = url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let engine = Arc::new(s3::open(bucket, settings).map_err(|error| address(error.to_string()))?);
            let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| address(error.to_string()))?;
            let home = format!("{}/{bucket} as {}", settings.endpoint, settings.access_key_id);
            let home = Home::Bucket { s3: Arc::clone(&engine), address: home };
            Ok(Self { place, engine, prefix, part: S3_PART, home, faults })
        } else {
            Err(address("write file:///a/folder or s3://bucket/prefix".to_owned()))
        }
    }

    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let options = PutOptions { attributes: self.attributes(key), ..PutOptions::default() };
        let put = async {
            let put = self.engine.put_opts(&self.path(key), bytes.into(), options).await;
            put.map_err(|error| self.error(key, error))
        };
        self.faults.watch(self.place, "put", put).await.map(drop)
    }

    /// Makes what `from` has under `key` ours under `to` without its bytes passing through this process. False where the
    /// two have nothing in common, or where it did not work out: then they have to.
    pub(crate) async fn take_over(&self, from: &Self, key: &str, to: &str) -> Result<bool, StoreError> {
        let take = async {
            Ok::<_, StoreError>(match (&self.home, &from.home) {
                (Home::Bucket { address: here, .. }, Home::Bucket { address: there, .. }) if here == there => {
                    self.engine.copy(&from.path(key), &self.path(to)).await.is_ok()
                }
                (Home::Folder(here), Home::Folder(there)) => {
                    let (source, root, target) = (there.join(key), here.clone(), here.join(to));
                    tokio::task::spawn_blocking(move || link(&source, &root, &target).is_ok()).await.unwrap_or(false)
                }
                _ => false,
            })
        };
        self.faults.watch(self.place, "take_over", take).await
    }

    /// An address under which anybody can get the object for as long as `valid`; None where the engine has no such thing.
    pub(crate) async fn signed(&self, key: &str, valid: Duration) -> Result<Option<String>, StoreError> {
        let Home::Bucket { s3, .. } = &self.home else { return Ok(None) };
        let url = s3.signed_url(reqwest::Method::GET, &self.path(key), valid).await;
        Ok(Some(url.map_err(|error| self.error(key, error))?.into()))
    }

    /// What a bucket says of the object to whoever is sent there; a folder has nowhere to keep it.
    fn attributes(&self, key: &str) -> Attributes {
        let media = key.rsplit_once('.').and_then(|(_, extension)| Media::from_extension(extension));
        match (&self.home, media) {
            (Home::Bucket { .. }, Some(media)) => {
                Attributes::from_iter([(Attribute::ContentType, media.mime().to_owned())])
            }
            _ => Attributes::default(),
        }
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

    /// Deletes all of these, as many to a request as the engine takes.
    pub(crate) async fn delete_all(&self, keys: &[String]) -> Result<(), StoreError> {
        let paths: Vec<_> = keys.iter().map(|key| Ok(self.path(key))).collect();
        let delete = async {
            let mut deleted = self.engine.delete_stream(futures::stream::iter(paths).boxed());
            while let Some(one) = deleted.next().await {
                match one {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(self.error("", error)),
                }
            }
            Ok(())
        };
        self.faults.watch(self.place, "delete_all", delete).await
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
        // A bucket has a lifecycle rule for that (docs/operating.md).
        let Home::Folder(folder) = self.home.clone() else { return Ok(0) };
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

/// Gives a file a second name in another folder of the same file system, durably. Its bytes are durable already, the
/// names of the folders on the way to it may not be.
fn link(source: &FilePath, root: &FilePath, target: &FilePath) -> std::io::Result<()> {
    let folders = || target.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    if let Some(folder) = folders().next() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::hard_link(source, target)?;
    folders().try_for_each(|folder| std::fs::File::open(folder)?.sync_all())
}
