//! The third place: bytes that we made or checked. Variants are served from here, and what belongs to a file as it came,
//! to be saved and not to be shown; the originals of dropbox pictures never are.
//!
//! A worker writes under a prefix that belongs to one attempt alone ([`Blobs::prefix`]), so that no two ever write the
//! same key; the settling transaction decides whose keys count, and the ledger collects the others.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use uuid::Uuid;

use crate::UploadId;
use crate::faults::Faults;
use crate::staging::{Intake, Staging};
use crate::store::{Store, StoreError, StoreSettings};

/// The blobs place.
#[derive(Clone, Debug)]
pub struct Blobs(Store);

impl Blobs {
    /// Opens the place at the address in the settings.
    ///
    /// # Errors
    /// [`StoreError::Address`] where it cannot be opened.
    pub fn open(settings: &StoreSettings, faults: Faults) -> Result<Self, StoreError> {
        Store::open("blobs", settings, faults).map(Self)
    }

    /// A prefix, ending in `/`, that nobody else writes under.
    pub fn prefix(upload: UploadId) -> String {
        format!("{}{}/", Self::all_of(upload), Uuid::now_v7().simple())
    }

    /// The prefix of all that was ever made of an upload.
    pub(crate) fn all_of(upload: UploadId) -> String {
        format!("pictures/{upload}/")
    }

    /// Writes an object whole; it is durable when this returns.
    ///
    /// # Errors
    /// The engine's.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.0.put(key, bytes).await
    }

    /// Makes staged bytes a blob: by a copy inside the store where both places share one; otherwise by writing them, those
    /// that the caller holds, or piece by piece where nobody does. Durable when this returns.
    ///
    /// # Errors
    /// The engine's; [`StoreError::Missing`] where nothing lies in staging.
    pub async fn promote(
        &self,
        staging: &Staging,
        staged: &str,
        key: &str,
        held: Option<Bytes>,
    ) -> Result<(), StoreError> {
        if self.0.take_over(staging.store(), staged, key).await? {
            return Ok(());
        }
        if let Some(bytes) = held {
            return self.0.put(key, bytes).await;
        }
        let mut pieces = staging.stream(staged).await?;
        let mut copy = Intake::begin(&self.0, key.to_owned());
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
    pub async fn signed(&self, key: &str, valid: Duration) -> Result<Option<String>, StoreError> {
        self.0.signed(key, valid).await
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

    /// Deletes everything under a prefix, or one object. Only the ledger's keeper calls this.
    ///
    /// # Errors
    /// The engine's; what has been deleted by then stays so, and the call can be repeated.
    pub async fn remove_all(&self, prefix: &str) -> Result<usize, StoreError> {
        let keys: Vec<String> = self.0.list(prefix).map_ok(|entry| entry.key).try_collect().await?;
        if !keys.is_empty() {
            self.0.delete_all(&keys).await?;
        }
        Ok(keys.len())
    }

    /// The keys of all that lies here, in no order.
    pub fn keys(&self) -> BoxStream<'static, Result<String, StoreError>> {
        Box::pin(self.0.list("").map_ok(|entry| entry.key))
    }

    /// Whether the place answers.
    ///
    /// # Errors
    /// The engine's, where it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
}
