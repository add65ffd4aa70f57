//! The third place: bytes that we made or checked. Variants are served from here, and what belongs to a file as it came,
//! to be saved and not to be shown; the originals of dropbox pictures never are.
//!
//! A worker writes under a prefix that belongs to one attempt alone ([`Blobs::new_attempt_prefix`]), so that no two ever write the
//! same key; the settling transaction decides whose keys count, and the ledger collects the others.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::try_join_all;
use futures::stream::BoxStream;
use uuid::Uuid;

use crate::UploadId;
use crate::fault_injection::FailPoints;
use crate::free_space::LowSpace;
use crate::object_storage::{BlobContent, NewBlob, Store, StoreError, StoreSettings};
use crate::staging::{StagedWriter, Staging};

/// Uploads with consecutive numbers that share a folder: a thousand files or so.
const UPLOADS_PER_FOLDER: i64 = 256;

/// Folders without a blob after which no higher number is looked for.
const MAX_EMPTY_FOLDERS: i64 = 4;

/// The blobs place.
#[derive(Clone, Debug)]
pub struct Blobs(Store);

impl Blobs {
    /// Opens the place at the address in the settings.
    ///
    /// # Errors
    /// [`StoreError::Address`] where it cannot be opened.
    pub fn open(settings: &StoreSettings, fail_points: FailPoints) -> Result<Self, StoreError> {
        Store::open("blobs", settings, fail_points).map(Self)
    }

    /// A prefix that nobody else writes under, such as `uploads/3/1001-0198…-`; it ends in `-`.
    pub fn new_attempt_prefix(upload: UploadId) -> String {
        format!("{}{}-", upload_prefix(upload), Uuid::now_v7().simple())
    }

    /// The prefixes of all that was ever made of an upload, whose original is kept under `original`.
    pub(crate) fn upload_prefixes(upload: UploadId, original: Option<&str>) -> Vec<String> {
        // Until 2026-11 every upload had a folder of its own. Its key tells, and no other upload's begins so.
        let legacy_prefix = format!("pictures/{upload}/");
        let former = original.is_some_and(|key| key.starts_with(&legacy_prefix)).then_some(legacy_prefix);
        [upload_prefix(upload)].into_iter().chain(former).collect()
    }

    /// Writes all that an attempt made; durable when this returns. A folder takes it in one go. In a bucket each object is
    /// a request, all at the same time: what is staged in the same is copied inside it, otherwise those bytes are sent
    /// that are held, or piece by piece where nobody holds them.
    ///
    /// # Errors
    /// The engine's; [`StoreError::Missing`] where nothing lies in staging. What has been written by then is condemned with its attempt.
    pub async fn put_batch(&self, staging: &Staging, objects: Vec<NewBlob>) -> Result<(), StoreError> {
        let not_batched = self.0.put_batch(staging.store(), objects).await?;
        try_join_all(not_batched.into_iter().map(|object| self.put_one(staging, object))).await.map(drop)
    }

    async fn put_one(&self, staging: &Staging, object: NewBlob) -> Result<(), StoreError> {
        let (staged, held) = match object.content {
            BlobContent::Bytes(bytes) => return self.0.put(&object.key, bytes).await,
            BlobContent::Staged { key, in_memory: held } => (key, held),
        };
        if self.0.copy(staging.store(), &staged, &object.key).await? {
            return Ok(());
        }
        if let Some(bytes) = held {
            return self.0.put(&object.key, bytes).await;
        }
        let mut pieces = staging.stream(&staged).await?;
        let mut copy = StagedWriter::begin(&self.0, object.key);
        while let Some(piece) = pieces.try_next().await? {
            copy.write(&piece).await?;
        }
        copy.finish().await.map(drop)
    }

    /// An address at the store itself under which anybody can get the object for as long as `valid`; None where the
    /// engine has no such thing.
    ///
    /// # Errors
    /// The engine's.
    pub async fn signed_url(&self, key: &str, valid: Duration) -> Result<Option<String>, StoreError> {
        self.0.signed_url(key, valid).await
    }

    /// Reads an object whole, for a worker.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none; otherwise the engine's.
    pub async fn read(&self, key: &str) -> Result<Bytes, StoreError> {
        self.0.get(key).await
    }

    /// An object, or the given bytes of it, in chunks, for a client. It has been opened when this returns.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none; otherwise the engine's.
    pub async fn stream(
        &self,
        key: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        self.0.stream(key, range).await
    }

    /// Deletes everything whose key begins with `new_attempt_prefix`. Returns how much that was. Only the ledger's keeper calls this.
    ///
    /// # Errors
    /// The engine's; what has been deleted by then stays so, and the call can be repeated.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<usize, StoreError> {
        self.0.delete_prefix(prefix).await
    }

    /// The keys of all that lies here, in no order.
    pub fn list_keys(&self) -> BoxStream<'static, Result<String, StoreError>> {
        Box::pin(self.0.list().map_ok(|entry| entry.key))
    }

    /// The highest number of an upload after `last` that has blobs. Lists the folder of `last` and the next ones until
    /// four in a row are empty, so that what it costs does not grow with what is stored.
    pub(crate) async fn highest_upload_id_after(&self, last: i64) -> Result<Option<i64>, StoreError> {
        let (mut folder, mut empty, mut highest) = (last / UPLOADS_PER_FOLDER, 0, None);
        while empty <= MAX_EMPTY_FOLDERS {
            let mut listed = self.0.list_folder(&format!("uploads/{folder}"));
            empty += 1;
            while let Some(entry) = listed.try_next().await? {
                empty = 0;
                highest = highest.max(upload_id_of_key(&entry.key).filter(|number| *number > last));
            }
            folder += 1;
        }
        Ok(highest)
    }

    /// Whether the store would leave its reserve free with `incoming` more bytes. True for a bucket.
    pub(crate) async fn check_space(&self, incoming: u64) -> Result<(), LowSpace> {
        self.0.check_space(incoming).await
    }

    /// Whether the place answers.
    ///
    /// # Errors
    /// The engine's, where it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
}

/// What the keys of all that is made of an upload begin with. Hundreds of uploads share a folder, which as a directory is
/// made once; the `-` keeps 1001 and 10012 apart. `uploads`, since folders below `pictures` were single uploads' once.
fn upload_prefix(upload: UploadId) -> String {
    format!("uploads/{}/{upload}-", upload.get() / UPLOADS_PER_FOLDER)
}

/// The number of the upload that a blob belongs to, by its key; None for a key of the layout before [`upload_prefix`].
fn upload_id_of_key(key: &str) -> Option<i64> {
    let (_, name) = key.strip_prefix("uploads/")?.split_once('/')?;
    name.split_once('-')?.0.parse().ok()
}
