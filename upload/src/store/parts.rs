//! An object that comes in parts, into whichever engine: what an [`Intake`](crate::Intake) writes to.

use object_store::{MultipartUpload, ObjectStoreExt};
use tokio::runtime::Handle;

use super::folder::Growing;
use super::sizes::PartSize;
use super::{Home, Store, StoreError};

/// An object on its way. Nothing of it can be seen as whole before [`complete`](Self::complete).
#[derive(Debug)]
pub(crate) struct Parts {
    store: Store,
    key: String,
    way: Way,
    size: PartSize,
}

#[derive(Debug)]
enum Way {
    Bucket(Box<dyn MultipartUpload>),
    /// None once a step has failed: then the file is gone.
    Folder(Option<Growing>),
}

impl Store {
    /// The size of a first part, with which an object can be begun. What is smaller is better put at once.
    pub(crate) fn first_part(&self) -> usize {
        self.sizes.first()
    }

    /// Begins an object of unknown length.
    pub(crate) async fn begin(&self, key: &str) -> Result<Parts, StoreError> {
        let begin = async {
            Ok::<_, StoreError>(match &self.home {
                Home::Folder(folder) => Way::Folder(Some(Growing::new(folder, self.file(folder, key)?))),
                Home::Bucket { .. } => {
                    let begun = self.engine.put_multipart(&self.path(key)).await;
                    Way::Bucket(begun.map_err(|error| self.error(key, error))?)
                }
            })
        };
        let way = self.watch("begin", begin).await?;
        Ok(Parts { store: self.clone(), key: key.to_owned(), way, size: self.sizes.next() })
    }
}

impl Parts {
    /// The size of all parts after the first and before the last.
    pub(crate) fn size(&self) -> usize {
        self.size.bytes
    }

    /// Writes the next part, of [`Store::first_part`] or [`Self::size`] bytes. Returns room for the next one.
    ///
    /// # Errors
    /// The engine's; the object is of no use afterwards.
    pub(crate) async fn put(&mut self, part: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let (store, key, way) = (&self.store, &self.key, &mut self.way);
        let put = async {
            match way {
                Way::Bucket(upload) => {
                    upload.put_part(part.into()).await.map_err(|error| store.error(key, error))?;
                    Ok(Vec::new())
                }
                Way::Folder(file) => {
                    let growing = file.take().ok_or_else(|| store.missing(key))?;
                    let (growing, room) = growing.write(part).await.map_err(|error| store.failed(key, error))?;
                    *file = Some(growing);
                    Ok(room)
                }
            }
        };
        store.watch("part", put).await
    }

    /// Writes the last part, and makes the whole durable under its key.
    ///
    /// # Errors
    /// The engine's; the object is of no use afterwards. [`StoreError::Missing`] where somebody removed it meanwhile.
    pub(crate) async fn complete(&mut self, rest: Vec<u8>) -> Result<(), StoreError> {
        let mut rest = rest;
        if matches!(self.way, Way::Bucket(_)) && !rest.is_empty() {
            rest = self.put(rest).await?;
        }
        let (store, key, way) = (&self.store, &self.key, &mut self.way);
        let complete = async {
            match way {
                Way::Bucket(upload) => upload.complete().await.map(drop).map_err(|error| store.error(key, error)),
                Way::Folder(file) => {
                    let growing = file.take().ok_or_else(|| store.missing(key))?;
                    growing.finish(rest).await.map_err(|error| store.lost(key, error))
                }
            }
        };
        store.watch("complete", complete).await
    }

    /// Takes away what has been written, in the background: whoever went away cannot wait for that.
    pub(crate) fn abandon(self, runtime: &Handle) {
        match self.way {
            Way::Bucket(mut upload) => {
                runtime.spawn(async move { upload.abort().await.ok() });
            }
            Way::Folder(file) => {
                runtime.spawn_blocking(move || drop(file));
            }
        }
    }
}
