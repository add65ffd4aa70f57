//! The trait that every engine of a store implements. A new engine needs one module and one line in the table of
//! `engines`.
//!
//! All errors are the engine's own, and [`StorageEngine::classify`] says what they mean. Every path includes the
//! prefix of the store.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::Media;
use object_store::path::Path;
use object_store::{Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutOptions, Result};

use crate::object_writer::ObjectWriter;
use crate::part_size::PartSizes;

/// An engine. [`Store`](crate::store::Store) counts the operations, limits their time and lets tests fail them. The
/// operations with a default body work for every engine. An engine replaces the operations that it can do better.
#[async_trait]
pub(crate) trait StorageEngine: Debug + Send + Sync {
    /// The client that lists objects, and reads and deletes single objects.
    fn client(&self) -> &dyn ObjectStore;

    /// The sizes of the parts in which large objects are written.
    fn part_sizes(&self) -> &PartSizes;

    /// Deletes every object whose path begins with `prefix`, which may end within a name. Returns their number.
    async fn delete_prefix(&self, prefix: &str) -> Result<usize>;

    /// Tells what an error of an operation at `path` means.
    fn classify(&self, path: &Path, error: &Error) -> FailureKind;

    /// The client for objects that are read slowly, which must not limit the time of a whole response.
    fn streaming_client(&self) -> &dyn ObjectStore {
        self.client()
    }

    /// Writes a whole object. It is durable when this returns.
    async fn put(&self, path: &Path, bytes: Bytes) -> Result<()> {
        let options = PutOptions { attributes: attributes(path), ..PutOptions::default() };
        self.client().put_opts(path, bytes.into(), options).await.map(drop)
    }

    /// Begins an object of unknown length.
    async fn begin_multipart(&self, path: &Path) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(self.client().put_multipart(path).await?))
    }

    /// Reads a whole object that will not be read again soon.
    async fn read_uncached(&self, path: &Path) -> Result<Bytes> {
        self.client().get(path).await?.bytes().await
    }

    /// The writer of several objects in one operation; None if each object is a separate operation.
    fn batch_writer(&self) -> Option<&dyn BatchWriter> {
        None
    }

    /// The file that holds an object, whether or not it exists; None if objects are not files of this machine.
    fn local_file(&self, _path: &Path) -> Option<PathBuf> {
        None
    }

    /// The name of the place inside which the server copies objects. Two engines with equal names
    /// share that place. None if the engine's server does not copy.
    fn copy_scope(&self) -> Option<&str> {
        None
    }

    /// Makes the server copy an object, without its bytes passing through this process; only if both paths are in the
    /// same [`copy_scope`](Self::copy_scope). The copy is whole and durable when this returns.
    async fn copy_inside(&self, from: &Path, to: &Path) -> Result<()> {
        self.client().copy(from, to).await
    }

    /// A URL under which any client can get the object for `valid`; None if the engine has no such URLs.
    async fn signed_url(&self, _path: &Path, _valid: Duration) -> Result<Option<String>> {
        Ok(None)
    }

    /// A folder on the file system that the objects fill; None if the free space is not known.
    fn file_system(&self) -> Option<PathBuf> {
        None
    }
}

/// An engine that writes several objects in one operation.
#[async_trait]
pub(crate) trait BatchWriter: Send + Sync {
    /// Writes new objects, all of them or none. They are durable when this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] means that the file of an [`ObjectSource::File`] does not exist.
    async fn write_batch(&self, objects: Vec<(Path, ObjectSource)>) -> Result<()>;
}

/// Where the bytes of an object come from.
#[derive(Debug)]
pub(crate) enum ObjectSource {
    /// From memory.
    Bytes(Bytes),
    /// From a file of this machine, which is durable and never changes. If the file system supports
    /// it, the object becomes a second name of that file. Otherwise the bytes are written from
    /// `held`, or copied from the file if `held` is None.
    File { path: PathBuf, held: Option<Bytes> },
}

/// What an engine's error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The store itself says that there is no such object.
    Missing,
    /// An operator has to correct something; the text may be public.
    Misconfigured(&'static str),
    /// Any other failure. It may end without a correction.
    Unavailable,
}

/// The attributes of a new object. A bucket sends them as headers to a client that was redirected
/// to it.
fn attributes(path: &Path) -> Attributes {
    let media = path.extension().and_then(Media::from_extension);
    media.map(|media| (Attribute::ContentType, media.mime().to_owned())).into_iter().collect()
}
