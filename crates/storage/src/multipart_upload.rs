//! Writes an object in parts, for any engine. [`StagedWriter`](crate::StagedWriter) uses it.

use object_store::{MultipartUpload, ObjectStoreExt};
use tokio::runtime::Handle;

use crate::error::StoreError;
use crate::folder::FileWriter;
use crate::part_size::PartSize;
use crate::store::{Store, StoreEngine};

/// An object being written. It is not visible as complete before [`complete`](Self::complete).
#[derive(Debug)]
pub(crate) struct MultipartWriter {
    store: Store,
    key: String,
    engine: MultipartEngine,
    part_size: PartSize,
}

#[derive(Debug)]
enum MultipartEngine {
    Bucket(Box<dyn MultipartUpload>),
    /// None once a step has failed: then the file is deleted.
    Folder(Option<FileWriter>),
}

impl Store {
    /// The size of the first part, with which an object can be created. A smaller object is better written in one put.
    pub(crate) fn first_part_size(&self) -> usize {
        self.part_sizes.first()
    }

    /// Begins an object of unknown length.
    pub(crate) async fn begin_multipart(&self, key: &str) -> Result<MultipartWriter, StoreError> {
        let begin = async {
            Ok::<_, StoreError>(match &self.engine {
                StoreEngine::Folder(folder) => {
                    MultipartEngine::Folder(Some(FileWriter::new(folder, self.file_path(folder, key)?)))
                }
                StoreEngine::Bucket { .. } => {
                    let created = self.client.put_multipart(&self.object_path(key)).await;
                    MultipartEngine::Bucket(created.map_err(|error| self.map_error(key, error))?)
                }
            })
        };
        let engine = self.instrument("begin_multipart", begin).await?;
        Ok(MultipartWriter { store: self.clone(), key: key.to_owned(), engine, part_size: self.part_sizes.next() })
    }
}

impl MultipartWriter {
    /// The size of all parts between the first and the last.
    pub(crate) fn part_size(&self) -> usize {
        self.part_size.bytes
    }

    /// Writes the next part, of [`Store::first_part_size`] or [`Self::part_size`] bytes. Returns a buffer for the
    /// next one.
    ///
    /// # Errors
    /// Any storage error; the object is of no use afterwards.
    pub(crate) async fn write_part(&mut self, part: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let (store, key, engine) = (&self.store, &self.key, &mut self.engine);
        let put = async {
            match engine {
                MultipartEngine::Bucket(upload) => {
                    upload.put_part(part.into()).await.map_err(|error| store.map_error(key, error))?;
                    Ok(Vec::new())
                }
                MultipartEngine::Folder(file) => {
                    let writer = file.take().ok_or_else(|| store.missing(key))?;
                    let (writer, buffer) = writer.write(part).await.map_err(|error| store.folder_error(key, error))?;
                    *file = Some(writer);
                    Ok(buffer)
                }
            }
        };
        store.instrument("write_part", put).await
    }

    /// Writes the last part, and makes the whole object durable under its key.
    ///
    /// # Errors
    /// Any storage error; the object is of no use afterwards. [`StoreError::Missing`] if it was deleted meanwhile.
    pub(crate) async fn complete(&mut self, rest: Vec<u8>) -> Result<(), StoreError> {
        let mut rest = rest;
        if matches!(self.engine, MultipartEngine::Bucket(_)) && !rest.is_empty() {
            rest = self.write_part(rest).await?;
        }
        let (store, key, engine) = (&self.store, &self.key, &mut self.engine);
        let complete = async {
            match engine {
                MultipartEngine::Bucket(upload) => {
                    upload.complete().await.map(drop).map_err(|error| store.map_error(key, error))
                }
                MultipartEngine::Folder(file) => {
                    let writer = file.take().ok_or_else(|| store.missing(key))?;
                    writer.finish(rest).await.map_err(|error| store.map_not_found(key, error))
                }
            }
        };
        store.instrument("complete", complete).await
    }

    /// Deletes what has been written, in the background, because a client that disconnected cannot wait for that.
    pub(crate) fn abort(self, runtime: &Handle) {
        match self.engine {
            MultipartEngine::Bucket(mut upload) => {
                runtime.spawn(async move { upload.abort().await.ok() });
            }
            MultipartEngine::Folder(file) => {
                runtime.spawn_blocking(move || drop(file));
            }
        }
    }
}
