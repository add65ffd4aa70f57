//! Staging: uploaded bytes as received. They are not validated and never served.
//!
//! The api writes here while the client sends. The worker reads the bytes and deletes them once the upload is
//! settled. An object here that no upload waits for is an orphan, and the sweeper deletes it.

use bytes::Bytes;
use domain::ordered_id;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use instrument::{FailPoints, LowSpace};
use jiff::Timestamp;

use crate::error::StoreError;
use crate::settings::StoreSettings;
use crate::staged_writer::StagedWriter;
use crate::store::Store;

/// The staging store.
#[derive(Clone, Debug)]
pub struct Staging(Store);

impl Staging {
    /// Opens the store at the address in the settings.
    ///
    /// # Errors
    /// [`StoreError::Address`] if it cannot be opened.
    pub fn open(settings: &StoreSettings, fail_points: FailPoints) -> Result<Self, StoreError> {
        Store::open("staging", settings, fail_points).map(Self)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0
    }

    /// Returns a writer for bytes under a new key. Nothing stays unless [`StagedWriter::finish`] succeeds.
    pub fn new_writer(&self) -> StagedWriter {
        StagedWriter::begin(&self.0, format!("incoming/{}", ordered_id().simple()))
    }

    /// Reads a whole staged object, because a decoder needs a picture in one piece. The size of
    /// pictures is limited. Only the worker reads staged objects.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; otherwise any storage error.
    pub async fn read(&self, key: &str) -> Result<Bytes, StoreError> {
        self.0.get_uncached(key).await
    }

    /// Reads a staged object in chunks, for bytes that are only counted, hashed and copied.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; otherwise any storage error.
    pub async fn stream(&self, key: &str) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        self.0.stream(key, None).await
    }

    /// Deletes a staged object. A missing object is no error.
    ///
    /// # Errors
    /// Any storage error.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key).await
    }

    /// Lists the keys of all objects that were staged before `instant`, in no order.
    pub fn list_older_than(&self, instant: Timestamp) -> BoxStream<'static, Result<String, StoreError>> {
        let before = instant.as_millisecond();
        self.0
            .list()
            .try_filter_map(move |entry| async move { Ok((entry.modified_ms < before).then_some(entry.key)) })
            .boxed()
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
