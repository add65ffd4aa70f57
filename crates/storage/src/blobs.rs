//! Blobs: bytes that were rendered or checked. Variants are served from here. The original bytes of
//! files are served as downloads only, and the originals of dropbox pictures never.
//!
//! A worker writes under a prefix that belongs to one attempt ([`blob_keys::new_attempt_prefix`]), so that two attempts
//! never write the same key. The settling transaction decides which attempt's keys count. The prefixes of the other
//! attempts go into the deletion queue.

use std::time::Duration;

use bytes::Bytes;
use domain::blob_keys;
use futures::TryStreamExt;
use futures::future::try_join_all;
use futures::stream::BoxStream;
use instrument::{FailPoints, LowSpace};

use crate::buffered_writer::BufferedWriter;
use crate::error::StoreError;
use crate::new_blob::{BlobContent, NewBlob};
use crate::settings::StoreSettings;
use crate::staging::Staging;
use crate::store::Store;

/// [`Blobs::highest_upload_id_after`] ends its search after this many consecutive empty folders.
const MAX_EMPTY_FOLDERS: i64 = 5;

/// The blob store.
#[derive(Clone, Debug)]
pub struct Blobs(Store);

impl Blobs {
    /// Opens the store at the address in the settings.
    ///
    /// # Errors
    /// [`StoreError::Address`] if it cannot be opened.
    pub fn open(settings: &StoreSettings, fail_points: FailPoints) -> Result<Self, StoreError> {
        Store::open("blobs", settings, fail_points).map(Self)
    }

    /// Writes all objects of an attempt; they are durable when this returns.
    ///
    /// A folder writes all objects whose bytes are on this machine in one operation. For a bucket,
    /// each object is a concurrent request. An object staged in the same bucket is copied inside
    /// it. Otherwise the bytes are sent from memory, or in chunks if they are not in memory.
    ///
    /// # Errors
    /// Any storage error; [`StoreError::Missing`] if staging has no such object. What was written by then is deleted
    /// with its attempt.
    pub async fn put_batch(&self, staging: &Staging, objects: Vec<NewBlob>) -> Result<(), StoreError> {
        let not_batched = self.0.put_batch(staging.store(), objects).await?;
        try_join_all(not_batched.into_iter().map(|object| self.put_one(staging, object))).await.map(drop)
    }

    async fn put_one(&self, staging: &Staging, object: NewBlob) -> Result<(), StoreError> {
        let (staged, in_memory) = match object.content {
            BlobContent::Bytes(bytes) => return self.0.put(&object.key, bytes).await,
            BlobContent::Staged { key, in_memory } => (key, in_memory),
        };
        if self.0.copy(staging.store(), &staged, &object.key).await? {
            return Ok(());
        }
        if let Some(bytes) = in_memory {
            return self.0.put(&object.key, bytes).await;
        }
        let mut pieces = staging.stream(&staged).await?;
        let mut copy = BufferedWriter::begin(&self.0, object.key);
        while let Some(piece) = pieces.try_next().await? {
            copy.write(&piece).await?;
        }
        copy.finish().await.map(drop)
    }

    /// Returns a URL at the store under which any client can get the object for `valid`; None if the engine has no
    /// such URLs.
    ///
    /// # Errors
    /// Any storage error.
    pub async fn signed_url(&self, key: &str, valid: Duration) -> Result<Option<String>, StoreError> {
        self.0.signed_url(key, valid).await
    }

    /// Reads an object whole, for a worker.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; otherwise any storage error.
    pub async fn read(&self, key: &str) -> Result<Bytes, StoreError> {
        self.0.get(key).await
    }

    /// Returns an object, or a range of it, in chunks, for a client. The object is open when this returns.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; otherwise any storage error.
    pub async fn stream(
        &self,
        key: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        self.0.stream(key, range).await
    }

    /// Deletes all objects whose key begins with `prefix`. Returns how many. Only the sweeper calls this, for the
    /// deletion queue.
    ///
    /// # Errors
    /// Any storage error; what was deleted by then stays deleted, and the call can be repeated.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<usize, StoreError> {
        self.0.delete_prefix(prefix).await
    }

    /// Lists the keys of all blobs, in no order.
    pub fn list_keys(&self) -> BoxStream<'static, Result<String, StoreError>> {
        Box::pin(self.0.list().map_ok(|entry| entry.key))
    }

    /// The highest id above `last` of an upload that has blobs; None if there is no such upload.
    /// Lists the folder of `last` and the following folders until `MAX_EMPTY_FOLDERS` in a row are
    /// empty. So the cost does not grow with the number of blobs.
    pub async fn highest_upload_id_after(&self, last: i64) -> Result<Option<i64>, StoreError> {
        let (mut folder, mut empty, mut highest) = (blob_keys::folder(last), 0, None);
        while empty < MAX_EMPTY_FOLDERS {
            let mut listed = self.0.list_folder(&blob_keys::folder_path(folder));
            empty += 1;
            while let Some(entry) = listed.try_next().await? {
                empty = 0;
                highest = highest.max(blob_keys::upload_id(&entry.key).filter(|number| *number > last));
            }
            folder += 1;
        }
        Ok(highest)
    }

    /// Checks whether the store would keep its reserve with `incoming` more bytes. Always succeeds for a bucket.
    pub async fn check_space(&self, incoming: u64) -> Result<(), LowSpace> {
        self.0.check_space(incoming).await
    }

    /// Checks that the store answers.
    ///
    /// # Errors
    /// Any storage error.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytesize::ByteSize;
    use domain::Secret;

    use super::*;

    fn store(folder: &Path) -> StoreSettings {
        StoreSettings {
            url: Secret::new(format!("file://{}", folder.display())),
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            min_free: ByteSize::b(0),
        }
    }

    #[tokio::test]
    async fn the_search_for_higher_ids_ends_after_the_stated_number_of_empty_folders() {
        let data = tempfile::tempdir().unwrap();
        let staging = Staging::open(&store(&data.path().join("staging")), FailPoints::default()).unwrap();
        let last = 1001;
        for (empty_folders, is_found) in [(MAX_EMPTY_FOLDERS - 1, true), (MAX_EMPTY_FOLDERS, false)] {
            let path = data.path().join(format!("{empty_folders} empty"));
            let blobs = Blobs::open(&store(&path), FailPoints::default()).unwrap();
            // The folder of `last` is empty too.
            let folder = blob_keys::folder(last) + empty_folders;
            let id = (last..).find(|id| blob_keys::folder(*id) == folder).unwrap();
            let key = format!("{}/{id}-a/512.jpg", blob_keys::folder_path(folder));
            let content = BlobContent::Bytes(Bytes::from_static(b"bytes"));
            blobs.put_batch(&staging, vec![NewBlob { key, content }]).await.unwrap();
            let found = blobs.highest_upload_id_after(last).await.unwrap();
            assert_eq!(found, is_found.then_some(id), "{empty_folders} empty folders");
        }
    }
}
