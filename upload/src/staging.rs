//! Staging: uploaded bytes as received. They are not validated and never served.
//!
//! The api writes here while the client sends. The worker reads the bytes and deletes them once the upload is
//! settled. An object here that no upload waits for is an orphan, and the sweeper deletes it.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use uuid::Uuid;

use crate::digest::Sha256Hasher;
use crate::fault_injection::FailPoints;
use crate::free_space::LowSpace;
use crate::object_storage::{MultipartWriter, Store, StoreError, StoreSettings};
use crate::render_cost::{self, HeaderScanner};
use crate::{Media, SNIFF_BYTES};

/// The staging store.
#[derive(Clone, Debug)]
pub struct Staging(Store);

/// Staged bytes, complete and durable.
#[derive(Clone, Debug)]
pub struct Staged {
    /// The key.
    pub key: String,
    /// The number of bytes.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
    /// The media type sniffed from the first [`SNIFF_BYTES`].
    pub media: Option<Media>,
    /// The estimated time to render, from the header; zero if the bytes are no picture.
    pub render_estimate: Duration,
}

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
        StagedWriter::begin(&self.0, format!("incoming/{}", Uuid::now_v7().simple()))
    }

    /// Reads a staged object whole, because a decoder needs it in one piece and pictures are bounded. Only the worker
    /// reads staged objects.
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
    pub(crate) async fn check_space(&self, incoming: u64) -> Result<(), LowSpace> {
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

/// A writer into staging: counts, hashes and sniffs the bytes as they pass, and never holds them whole. Dropped
/// unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct StagedWriter {
    store: Store,
    key: String,
    /// Begun once the buffer has filled for the first time. An object smaller than a part is one plain put.
    parts: Option<MultipartWriter>,
    buffer: Vec<u8>,
    head: Vec<u8>,
    header_scanner: HeaderScanner,
    hasher: Sha256Hasher,
    bytes: u64,
}

impl StagedWriter {
    /// Begins an object under a key.
    pub(crate) fn begin(store: &Store, key: String) -> Self {
        Self {
            store: store.clone(),
            key,
            parts: None,
            buffer: Vec::new(),
            head: Vec::new(),
            header_scanner: HeaderScanner::default(),
            hasher: Sha256Hasher::new(),
            bytes: 0,
        }
    }

    /// The number of bytes received so far.
    pub fn bytes_received(&self) -> u64 {
        self.bytes
    }

    /// The sniffed media type, once at least [`SNIFF_BYTES`] or all bytes were received.
    pub fn media(&self) -> Option<Media> {
        Media::sniff(&self.head)
    }

    /// Writes the next chunk. Returns when the store has room for more, so a slow store slows the client down.
    ///
    /// # Errors
    /// Any storage error. The writer is of no use afterwards.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(chunk);
        self.bytes += chunk.len() as u64;
        let missing = SNIFF_BYTES.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..missing]);
        self.header_scanner.feed(chunk);
        let mut chunk = chunk;
        while !chunk.is_empty() {
            let part = self.parts.as_ref().map_or(self.store.first_part_size(), MultipartWriter::part_size);
            let room = part - self.buffer.len();
            let (now, later) = chunk.split_at(room.min(chunk.len()));
            // Grown by hand to one part at most, because doubling would hold twice what is needed, for hundreds of
            // uploads. Once a part is full, more parts are likely.
            let likely = if self.parts.is_some() { room } else { self.buffer.len() };
            self.buffer.reserve_exact(room.min(likely.max(now.len())));
            self.buffer.extend_from_slice(now);
            chunk = later;
            if self.buffer.len() == part {
                self.flush_part().await?;
            }
        }
        Ok(())
    }

    /// Writes the buffered bytes to the store as a part.
    async fn flush_part(&mut self) -> Result<(), StoreError> {
        let part = std::mem::take(&mut self.buffer);
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => self.parts.insert(self.store.begin_multipart(&self.key).await?),
        };
        self.buffer = parts.write_part(part).await?;
        Ok(())
    }

    /// Makes all received bytes durable under one key.
    ///
    /// # Errors
    /// Any storage error; then nothing stays.
    pub async fn finish(mut self) -> Result<Staged, StoreError> {
        let rest = std::mem::take(&mut self.buffer);
        match self.parts.as_mut() {
            None => self.store.put(&self.key, rest.into()).await?,
            Some(parts) => parts.complete(rest).await?,
        }
        self.parts = None;
        let media = self.media();
        let found = media.and_then(|media| self.header_scanner.header(media, &self.head));
        Ok(Staged {
            key: std::mem::take(&mut self.key),
            bytes: self.bytes,
            sha256: self.hasher.finish(),
            media,
            render_estimate: media
                .map_or(Duration::ZERO, |media| render_cost::estimate_render_time(media, found, self.bytes)),
        })
    }
}

impl Drop for StagedWriter {
    fn drop(&mut self) {
        // In the background, because a client that disconnected cannot wait for the clean-up.
        if let (Some(parts), Ok(runtime)) = (self.parts.take(), tokio::runtime::Handle::try_current()) {
            parts.abort(&runtime);
        }
    }
}
