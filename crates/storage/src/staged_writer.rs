//! Writes uploaded bytes into staging as they arrive.

use std::time::Duration;

use domain::{HeaderScanner, Media, SNIFF_BYTES, Sha256Hasher, Staged, estimate_render_time};

use crate::buffered_writer::BufferedWriter;
use crate::error::StoreError;
use crate::store::Store;

/// A writer into staging. It counts, hashes and sniffs the bytes as they pass, and never holds all of them. If it is
/// dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub struct StagedWriter {
    writer: BufferedWriter,
    head: Vec<u8>,
    header_scanner: HeaderScanner,
    hasher: Sha256Hasher,
    bytes: u64,
}

impl StagedWriter {
    /// Begins an object under a key.
    pub(crate) fn begin(store: &Store, key: String) -> Self {
        Self {
            writer: BufferedWriter::begin(store, key),
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
        self.writer.write(chunk).await
    }

    /// Makes all received bytes durable under one key.
    ///
    /// # Errors
    /// Any storage error; then none of the bytes stay in the store.
    pub async fn finish(self) -> Result<Staged, StoreError> {
        let media = self.media();
        let header = media.and_then(|media| self.header_scanner.header(media, &self.head));
        Ok(Staged {
            key: self.writer.finish().await?,
            bytes: self.bytes,
            sha256: self.hasher.finish(),
            media,
            render_estimate: media.map_or(Duration::ZERO, |media| estimate_render_time(media, header, self.bytes)),
        })
    }
}
