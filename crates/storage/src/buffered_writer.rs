//! Writes an object into a store as its bytes arrive.

use crate::error::StoreError;
use crate::multipart_upload::MultipartWriter;
use crate::store::Store;

/// A writer of one object. It collects chunks into parts, and never holds the whole object. If it is dropped before it
/// is finished, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct BufferedWriter {
    store: Store,
    key: String,
    /// Begun once the buffer has filled for the first time. An object smaller than a part is written by one plain put.
    parts: Option<MultipartWriter>,
    buffer: Vec<u8>,
}

impl BufferedWriter {
    /// Begins an object under a key.
    pub(crate) fn begin(store: &Store, key: String) -> Self {
        Self { store: store.clone(), key, parts: None, buffer: Vec::new() }
    }

    /// Writes the next chunk. Returns when the store has room for more, so a slow store slows the sender down.
    ///
    /// # Errors
    /// Any storage error. The writer is of no use afterwards.
    pub(crate) async fn write(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        let mut chunk = chunk;
        while !chunk.is_empty() {
            let part = self.parts.as_ref().map_or(self.store.first_part_size(), MultipartWriter::part_size);
            let free = part - self.buffer.len();
            let (now, later) = chunk.split_at(free.min(chunk.len()));
            // The buffer grows in explicit steps to one part at most, because automatic doubling could
            // take twice the needed memory, for hundreds of uploads. After the first full part, more
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

    /// Makes all received bytes durable. Returns the key of the object.
    ///
    /// # Errors
    /// Any storage error; then none of the bytes stay in the store.
    pub(crate) async fn finish(mut self) -> Result<String, StoreError> {
        let rest = std::mem::take(&mut self.buffer);
        match self.parts.as_mut() {
            None => self.store.put(&self.key, rest.into()).await?,
            Some(parts) => parts.complete(rest).await?,
        }
        self.parts = None;
        Ok(std::mem::take(&mut self.key))
    }
}

impl Drop for BufferedWriter {
    fn drop(&mut self) {
        // The parts are deleted in the background, because a client that disconnected cannot wait for that.
        if let (Some(parts), Ok(runtime)) = (self.parts.take(), tokio::runtime::Handle::try_current()) {
            parts.abort(&runtime);
        }
    }
}
