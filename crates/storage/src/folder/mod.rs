//! A folder on this machine, or on a file system that several machines mount.
//!
//! `durable_files` writes files and deletes prefixes. An object counts as missing only if its file
//! is missing and the directory is there. So nothing counts as missing if the disk is not mounted.

mod durable_files;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, Result};

use self::durable_files::{FileWriter, Folder};
use crate::engine::{BatchWriter, FailureKind, ObjectSource, StorageEngine};
use crate::engine_address::EngineKind;
use crate::object_writer::ObjectWriter;
use crate::part_size::PartSizes;

/// `file:///a/folder`.
pub(crate) const KIND: EngineKind = EngineKind {
    scheme: "file",
    form: "file:///a/folder",
    params: &[],
    check: |_| Ok(()),
    open: |address| {
        let root = Path::new(address.place.strip_prefix("//").unwrap_or(address.place));
        let folder = Folder::open(root).map_err(|error| error.to_string())?;
        Ok((
            Arc::new(FolderEngine { folder, part_sizes: PartSizes::with_large(PART, LARGE_PART, MAX_LARGE) }),
            Key::default(),
        ))
    },
};

/// The usual size of a part, in bytes: small, so that two hundred uploads in progress take little memory. A file system
/// takes parts of any size.
const PART: usize = 128 << 10;
/// The size of a part for at most [`MAX_LARGE`] writers at a time, in bytes. The larger size halves the number of calls
/// on blocking threads.
const LARGE_PART: usize = 256 << 10;
/// The number of writers with large parts at a time.
const MAX_LARGE: usize = 8;

const NO_FOLDER: &str = "the folder does not exist";

/// The engine of one folder.
#[derive(Debug)]
struct FolderEngine {
    folder: Folder,
    part_sizes: PartSizes,
}

#[async_trait]
impl StorageEngine for FolderEngine {
    fn client(&self) -> &dyn ObjectStore {
        self.folder.client()
    }

    fn part_sizes(&self) -> &PartSizes {
        &self.part_sizes
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<usize> {
        let (directory, stem) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        self.folder.delete_prefix(self.folder.path(&Key::from(directory))?, stem.to_owned()).await.map_err(failed)
    }

    fn classify(&self, path: &Key, error: &Error) -> FailureKind {
        match error {
            Error::NotFound { .. } if self.folder.has_top_level_dir(path) => FailureKind::Missing,
            Error::NotFound { .. } => FailureKind::Misconfigured(NO_FOLDER),
            _ => FailureKind::Unavailable,
        }
    }

    async fn put(&self, path: &Key, bytes: Bytes) -> Result<()> {
        let file = (self.folder.path(path)?, ObjectSource::Bytes(bytes));
        self.folder.write(vec![file]).await.map_err(failed)
    }

    async fn begin_multipart(&self, path: &Key) -> Result<Box<dyn ObjectWriter>> {
        let writer = FileWriter::new(&self.folder, self.folder.path(path)?);
        Ok(Box::new(FolderWriter { key: path.clone(), writer: Some(writer) }))
    }

    async fn read_uncached(&self, path: &Key) -> Result<Bytes> {
        let read = self.folder.read_uncached(self.folder.path(path)?).await;
        read.map_err(|error| failed_or_not_found(path, error))
    }

    fn batch_writer(&self) -> Option<&dyn BatchWriter> {
        Some(self)
    }

    fn local_file(&self, path: &Key) -> Option<PathBuf> {
        self.folder.path(path).ok()
    }

    fn file_system(&self) -> Option<PathBuf> {
        Some(self.folder.root().to_owned())
    }
}

#[async_trait]
impl BatchWriter for FolderEngine {
    async fn write_batch(&self, objects: Vec<(Key, ObjectSource)>) -> Result<()> {
        let has_files = objects.iter().any(|(_, source)| matches!(source, ObjectSource::File { .. }));
        let files = objects.into_iter().map(|(key, source)| Ok((self.folder.path(&key)?, source)));
        let written = self.folder.write(files.collect::<Result<_>>()?).await;
        written.map_err(|error| if has_files { failed_or_not_found(&Key::default(), error) } else { failed(error) })
    }
}

/// An object being written as a file.
#[derive(Debug)]
struct FolderWriter {
    key: Key,
    /// None once a step has failed: then the file is deleted.
    writer: Option<FileWriter>,
}

impl FolderWriter {
    fn take(&mut self) -> Result<FileWriter> {
        self.writer.take().ok_or_else(|| failed_or_not_found(&self.key, io::ErrorKind::NotFound.into()))
    }
}

#[async_trait]
impl ObjectWriter for FolderWriter {
    fn takes_rest(&self) -> bool {
        true
    }

    async fn write_part(&mut self, part: Vec<u8>) -> Result<Vec<u8>> {
        let (writer, buffer) = self.take()?.write(part).await.map_err(failed)?;
        self.writer = Some(writer);
        Ok(buffer)
    }

    async fn complete(&mut self, rest: Vec<u8>) -> Result<()> {
        self.take()?.finish(rest).await.map_err(|error| failed_or_not_found(&self.key, error))
    }

    async fn abort(self: Box<Self>) {
        tokio::task::spawn_blocking(move || drop(self)).await.ok();
    }
}

fn failed(error: io::Error) -> Error {
    Error::Generic { store: "folder", source: Box::new(error) }
}

/// Converts the error of an operation on a file that should exist. Here, "not found" means that the file is missing.
fn failed_or_not_found(key: &Key, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path: key.to_string(), source: Box::new(error) },
        _ => failed(error),
    }
}
