//! Writes bytes into a store as they arrive.

use std::time::Duration;

use domain::{HeaderScanner, Media, SNIFF_BYTES, Sha256Hasher, Staged, estimate_render_time};

use crate::error::StoreError;
use crate::multipart_upload::MultipartWriter;
use crate::store::Store;

/// A writer into a store, mostly into staging. It counts, hashes and sniffs the bytes as they pass,
/// and never holds all of them. If it is dropped before it is finished, it leaves nothing behind.
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
            let free = part - self.buffer.len();
            let (now, later) = chunk.split_at(free.min(chunk.len()));
            // The buffer grows by hand to one part at most, because automatic doubling could take
            // twice the needed memory, for hundreds of uploads. After the first full part, more
            // parts are likely, so the buffer gets the size of a part at once.
            let likely = if self.parts.is_some() { free } else { self.buffer.len() };
            self.buffer.reserve_exact(free.min(likely.max(now.len())));
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
    /// Any storage error; then none of the bytes stay in the store.
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
            render_estimate: media.map_or(Duration::ZERO, |media| estimate_render_time(media, found, self.bytes)),
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
