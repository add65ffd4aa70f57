//! Writes an object in parts, for any engine. [`BufferedWriter`](crate::buffered_writer::BufferedWriter) uses it.

use tokio::runtime::Handle;

use crate::error::StoreError;
use crate::object_writer::ObjectWriter;
use crate::part_size::PartSize;
use crate::store::Store;

/// An object being written. It does not count as complete before [`complete`](Self::complete) has returned.
#[derive(Debug)]
pub(crate) struct MultipartWriter {
    store: Store,
    key: String,
    writer: Box<dyn ObjectWriter>,
    part_size: PartSize,
}

impl Store {
    /// The size of the first part, in bytes. An object with fewer bytes is written in one put
    /// instead.
    pub(crate) fn first_part_size(&self) -> usize {
        self.engine.part_sizes().first()
    }

    /// Begins an object of unknown length.
    pub(crate) async fn begin_multipart(&self, key: &str) -> Result<MultipartWriter, StoreError> {
        let path = self.object_path(key);
        let begin = async { self.engine.begin_multipart(&path).await.map_err(|error| self.map_error(key, error)) };
        let writer = self.instrument("begin_multipart", begin).await?;
        Ok(MultipartWriter {
            store: self.clone(),
            key: key.to_owned(),
            writer,
            part_size: self.engine.part_sizes().next(),
        })
    }
}

impl MultipartWriter {
    /// The size of all parts between the first and the last.
    pub(crate) fn part_size(&self) -> usize {
        self.part_size.bytes
    }

    /// Writes the next part, of [`Store::first_part_size`] or [`Self::part_size`] bytes. Returns a buffer for the
    /// part after it.
    ///
    /// # Errors
    /// Any storage error; the object is of no use afterwards.
    pub(crate) async fn write_part(&mut self, part: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let (store, key, writer) = (&self.store, &self.key, &mut self.writer);
        let put = async { writer.write_part(part).await.map_err(|error| store.map_error(key, error)) };
        store.instrument("write_part", put).await
    }

    /// Writes the last part, and makes the whole object durable under its key.
    ///
    /// # Errors
    /// Any storage error; the object is of no use afterwards. [`StoreError::Missing`] if the object was deleted
    /// meanwhile.
    pub(crate) async fn complete(&mut self, rest: Vec<u8>) -> Result<(), StoreError> {
        let mut rest = rest;
        if !self.writer.takes_rest() && !rest.is_empty() {
            rest = self.write_part(rest).await?;
        }
        let (store, key, writer) = (&self.store, &self.key, &mut self.writer);
        let complete = async { writer.complete(rest).await.map_err(|error| store.map_error(key, error)) };
        store.instrument("complete", complete).await
    }

    /// Deletes what has been written, in the background, because a client that disconnected cannot wait for that.
    pub(crate) fn abort(self, runtime: &Handle) {
        runtime.spawn(self.writer.abort());
    }
}
