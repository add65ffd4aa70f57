//! The first place: bytes as they came, believed by nobody and served to nobody.
//!
//! The api writes here while the client sends; the worker reads and, once the upload is settled, takes them away. An
//! object here that no upload waits for is an orphan, and the sweeper removes it.

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

/// The staging place.
#[derive(Clone, Debug)]
pub struct Staging(Store);

/// Bytes that lie in staging, complete and durable.
#[derive(Clone, Debug)]
pub struct Staged {
    /// Where.
    pub key: String,
    /// How many.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
    /// What they look like, by their first [`SNIFF_BYTES`].
    pub media: Option<Media>,
    /// About how long they take to render, by their header; nothing where they are no picture.
    pub render_estimate: Duration,
}

impl Staging {
    /// Opens the place at the address in the settings.
    ///
    /// # Errors
    /// [`StoreError::Address`] where it cannot be opened.
    pub fn open(settings: &StoreSettings, fail_points: FailPoints) -> Result<Self, StoreError> {
        Store::open("staging", settings, fail_points).map(Self)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0
    }

    /// Begins to take in bytes under a key of their own. Nothing stays unless [`StagedWriter::finish`] succeeds.
    pub fn new_writer(&self) -> StagedWriter {
        StagedWriter::begin(&self.0, format!("incoming/{}", Uuid::now_v7().simple()))
    }

    /// Reads staged bytes whole: pictures are bounded, and a decoder wants them in one piece. It is for the worker, who is
    /// the only one to read them.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where nothing lies there; otherwise the engine's.
    pub async fn read(&self, key: &str) -> Result<Bytes, StoreError> {
        self.0.get_uncached(key).await
    }

    /// Reads staged bytes in chunks: what is only counted, hashed and copied has no need to be in one piece.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where nothing lies there; otherwise the engine's.
    pub async fn stream(&self, key: &str) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        self.0.stream(key, None).await
    }

    /// Takes the bytes away; that they are gone already is no error.
    ///
    /// # Errors
    /// The engine's.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key).await
    }

    /// The keys of all that has lain here since before `instant`, in no order.
    pub fn list_older_than(&self, instant: Timestamp) -> BoxStream<'static, Result<String, StoreError>> {
        let before = instant.as_millisecond();
        self.0
            .list()
            .try_filter_map(move |entry| async move { Ok((entry.modified_ms < before).then_some(entry.key)) })
            .boxed()
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

/// An upload on its way into staging: counted, hashed and sniffed as it passes, never whole in memory. Dropped
/// unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct StagedWriter {
    store: Store,
    key: String,
    /// Begun once the buffer has filled for the first time: what is smaller than a part is one plain put.
    parts: Option<MultipartWriter>,
    buffer: Vec<u8>,
    head: Vec<u8>,
    header_scanner: HeaderScanner,
    hasher: Sha256Hasher,
    bytes: u64,
}

impl StagedWriter {
    /// Begins to write under a key.
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

    /// How many bytes have come so far.
    pub fn bytes_received(&self) -> u64 {
        self.bytes
    }

    /// What they look like, once at least [`SNIFF_BYTES`] or all of them have come.
    pub fn media(&self) -> Option<Media> {
        Media::sniff(&self.head)
    }

    /// Takes the next chunk; returns when the store has room for more, so a slow store slows the client down.
    ///
    /// # Errors
    /// The engine's. The intake is of no use afterwards.
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
            // Grown by hand up to a part and no further: doubling would hold twice what is needed, hundreds of times. Once
            // a part is full, more of them follow.
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

    /// Gives what has gathered to the store, as a part.
    async fn flush_part(&mut self) -> Result<(), StoreError> {
        let part = std::mem::take(&mut self.buffer);
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => self.parts.insert(self.store.begin_multipart(&self.key).await?),
        };
        self.buffer = parts.write_part(part).await?;
        Ok(())
    }

    /// Makes all that came durable under one key.
    ///
    /// # Errors
    /// The engine's; then nothing stays.
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
        // A client that went away cannot wait for the clean-up.
        if let (Some(parts), Ok(runtime)) = (self.parts.take(), tokio::runtime::Handle::try_current()) {
            parts.abort(&runtime);
        }
    }
}
