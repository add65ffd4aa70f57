//! How a folder takes bytes durably. [`Store`](super::Store) writes and clears away by this; looking one object up, and
//! reading, listing and deleting it, are object_store's `LocalFileSystem`'s, which has its files under the same names.
//!
//! A file is written straight under its final name, without a temporary one and a rename. That is right because every key
//! is written once, since nobody else knows it, and the records say which key counts: nobody looks at a file before its
//! writer has said that it is whole. What a killed process leaves of one is an object like any other: an orphan where
//! it is staging, under a prefix that its job's row knows where it is blobs.
//!
//! What has returned without an error is on disk: the bytes, the names in their directory, and the names of the
//! directories on the way to it. What fails leaves no file. Each operation is one hop to a thread that may block.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;

/// How often a directory is made again that somebody removes before anything is in it.
const MAX_CREATE_ATTEMPTS: usize = 1000;
/// Directories to remember; uploads of one hour share a few.
const MAX_DURABLE_DIRS: usize = 1024;

/// A folder, opened. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    engine: LocalFileSystem,
    root: Arc<Path>,
    /// Directories whose own names this process has seen to be durable, whoever made them. We remove no directory that
    /// is written to, so they stay so.
    durable_dirs: Arc<Mutex<HashSet<PathBuf>>>,
}

/// Where the bytes of a file come from.
#[derive(Debug)]
pub(super) enum FileSource {
    /// From memory.
    Bytes(Bytes),
    /// From another file, durable already and never changed, which gets a second name where the file system can do that;
    /// otherwise from `held`, or from a copy where nobody holds them.
    File { path: PathBuf, held: Option<Bytes> },
}

impl Folder {
    /// Opens a folder, and makes it where there is none.
    pub(super) fn open(root: &Path) -> object_store::Result<Self> {
        let failed = |error: io::Error| object_store::Error::Generic { store: "folder", source: Box::new(error) };
        create_dir_durably(&std::path::absolute(root).map_err(failed)?).map_err(failed)?;
        let engine = LocalFileSystem::new_with_prefix(root)?;
        let root = std::fs::canonicalize(root).map_err(failed)?;
        Ok(Self { engine, root: root.into(), durable_dirs: Arc::default() })
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What reads, lists and deletes here. It leaves directories alone that become empty: it would remove and make them
    /// all the time, and with them what is known to be durable.
    pub(super) fn engine(&self) -> LocalFileSystem {
        self.engine.clone()
    }

    /// The file that holds what has this key, or the directory of all keys that begin so.
    pub(super) fn path(&self, key: &Key) -> object_store::Result<PathBuf> {
        if key.is_root() { Ok(self.root.to_path_buf()) } else { self.engine.path_to_filesystem(key) }
    }

    /// Whether the directory that all keys like this one lie in is there. Where it is not, a missing file says nothing: the
    /// disk may not be mounted. We remove no such directory.
    pub(super) fn has_top_level_dir(&self, key: &Key) -> bool {
        let mut parts = key.parts();
        match (parts.next(), parts.next()) {
            (Some(first), Some(_)) => self.root.join(first.as_ref()).is_dir(),
            _ => self.root.is_dir(),
        }
    }

    /// Writes new files, all of them or none. [`ErrorKind::NotFound`] says that a source is not there.
    pub(super) async fn write(&self, files: Vec<(PathBuf, FileSource)>) -> io::Result<()> {
        let folder = self.clone();
        let pending = run_blocking(move || folder.write_blocking(files)).await?;
        // Here and not there: whoever stopped waiting has nothing to keep.
        pending.into_iter().for_each(PendingFile::persist);
        Ok(())
    }

    fn write_blocking(&self, files: Vec<(PathBuf, FileSource)>) -> io::Result<Vec<PendingFile>> {
        let directories: BTreeSet<PathBuf> = files.iter().map(|(path, _)| parent_dir(path).to_owned()).collect();
        let filled =
            files.into_iter().map(|(path, source)| self.write_source(path, source)).collect::<io::Result<Vec<_>>>()?;
        let (begun, written): (Vec<PendingFile>, Vec<Option<File>>) = filled.into_iter().unzip();
        // All have been handed to the system by now, which may put together what it writes.
        written.iter().flatten().try_for_each(File::sync_data)?;
        directories.iter().try_for_each(|directory| self.make_durable(directory))?;
        Ok(begun)
    }

    /// Makes a file. None beside it where it is another name of one that is durable already.
    fn write_source(&self, path: PathBuf, source: FileSource) -> io::Result<(PendingFile, Option<File>)> {
        let (source, held) = match source {
            FileSource::Bytes(bytes) => return self.write_bytes(path, &bytes),
            FileSource::File { path, held } => (path, held),
        };
        if self.hard_link(&source, &path).is_ok() {
            return Ok((PendingFile(Some(path)), None));
        }
        if let Some(bytes) = held {
            return self.write_bytes(path, &bytes);
        }
        let mut source = File::open(source)?;
        let (pending, mut file) = self.create(path)?;
        io::copy(&mut source, &mut file)?;
        Ok((pending, Some(file)))
    }

    fn write_bytes(&self, path: PathBuf, bytes: &[u8]) -> io::Result<(PendingFile, Option<File>)> {
        let (pending, mut file) = self.create(path)?;
        file.write_all(bytes)?;
        Ok((pending, Some(file)))
    }

    fn hard_link(&self, source: &Path, path: &Path) -> io::Result<()> {
        self.create_entry(path, || match std::fs::hard_link(source, path) {
            // No directory that we make helps with that.
            Err(error) if is_missing(&error) && !source.exists() => Err(io::Error::other(error)),
            linked => linked,
        })
    }

    /// A new file, which must not be there yet.
    fn create(&self, path: PathBuf) -> io::Result<(PendingFile, File)> {
        let file = self.create_entry(&path, || File::create_new(&path))?;
        Ok((PendingFile(Some(path)), file))
    }

    /// Puts a name into the directory of `path`, which is made where it is missing: never written to, or just removed by
    /// somebody who found it empty.
    fn create_entry<T>(&self, path: &Path, place: impl Fn() -> io::Result<T>) -> io::Result<T> {
        for _ in 0..MAX_CREATE_ATTEMPTS {
            match place() {
                Err(error) if is_missing(&error) => {}
                placed => return placed,
            }
            // Whoever removed it may have removed more.
            self.durable_dirs().clear();
            match create_dir_durably(&self.root).and_then(|()| std::fs::create_dir_all(parent_dir(path))) {
                Err(error) if !is_missing(&error) => return Err(error),
                _ => {}
            }
        }
        Err(io::Error::other(format!("{} was removed each time that it was made", parent_dir(path).display())))
    }

    /// Reads a file that nobody will read again soon: the system's memory is for what is, and for the next file.
    pub(super) async fn read_uncached(&self, path: PathBuf) -> io::Result<Bytes> {
        let read = move || {
            let mut file = File::open(path)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))?;
            file.read_to_end(&mut bytes)?;
            // Advice, which not every system takes.
            #[cfg(target_os = "linux")]
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).ok();
            Ok(bytes.into())
        };
        run_blocking(read).await
    }

    /// Makes the names in a directory durable, and those on the way to it unless they are known to be.
    fn make_durable(&self, directory: &Path) -> io::Result<()> {
        sync_dir(directory)?;
        if self.durable_dirs().contains(directory) {
            return Ok(());
        }
        let above = directory.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
        above.into_iter().try_for_each(sync_dir)?;
        let mut durable = self.durable_dirs();
        if durable.len() >= MAX_DURABLE_DIRS {
            durable.clear();
        }
        durable.insert(directory.to_owned());
        Ok(())
    }

    fn durable_dirs(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable_dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the files of a directory whose names begin with `stem`; where it is empty, everything below the directory
    /// and itself. Returns how many. That they are gone is durable when this returns: no row remembers them any more.
    pub(super) async fn delete_prefix(&self, directory: PathBuf, stem: String) -> io::Result<usize> {
        let folder = self.clone();
        let remove = move || {
            let removed = delete_matching(&directory, &stem)?;
            if stem.is_empty() && directory != *folder.root {
                std::fs::remove_dir(&directory).ok();
            }
            // Even where nothing was left: whoever removed it may have been killed before they came to this. Where the
            // directory is gone as well, it is the next one up that knows.
            let left = directory.ancestors().take_while(|above| above.starts_with(&folder.root));
            let synced = left.map(sync_dir).find(|synced| !synced.as_ref().is_err_and(is_missing));
            synced.unwrap_or(Ok(())).map(|()| removed)
        };
        run_blocking(remove).await
    }
}

/// A file that comes in parts. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub(super) struct FileWriter {
    folder: Folder,
    path: PathBuf,
    pending: Option<(PendingFile, File)>,
}

impl FileWriter {
    /// Nothing is written yet.
    pub(super) fn new(folder: &Folder, path: PathBuf) -> Self {
        Self { folder: folder.clone(), path, pending: None }
    }

    /// Writes a part, and gives back its room.
    pub(super) async fn write(self, mut part: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        run_blocking(move || {
            let mut writer = self;
            writer.write_blocking(&part)?;
            part.clear();
            Ok((writer, part))
        })
        .await
    }

    /// Writes the last part and makes the whole durable.
    pub(super) async fn finish(self, part: Vec<u8>) -> io::Result<()> {
        let writer = run_blocking(move || {
            let mut writer = self;
            writer.write_blocking(&part)?.sync_data()?;
            writer.folder.make_durable(parent_dir(&writer.path))?;
            // It may have been minutes: what somebody took for an orphan meanwhile has no name any more.
            writer.path.symlink_metadata()?;
            Ok(writer)
        });
        writer.await?.pending.into_iter().for_each(|(begun, _)| begun.persist());
        Ok(())
    }

    fn write_blocking(&mut self, part: &[u8]) -> io::Result<&mut File> {
        let pending = self.pending.take().map_or_else(|| self.folder.create(self.path.clone()), Ok)?;
        let (_, file) = self.pending.insert(pending);
        file.write_all(part)?;
        Ok(file)
    }
}

/// A file of ours that is removed again unless it is kept.
#[derive(Debug)]
struct PendingFile(Option<PathBuf>);

impl PendingFile {
    fn persist(mut self) {
        self.0 = None;
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            std::fs::remove_file(path).ok();
        }
    }
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
}

/// Makes a folder and those on the way to it, durably, where they are missing.
fn create_dir_durably(root: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = root.ancestors().take_while(|folder| !folder.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(root)?;
    missing.into_iter().try_for_each(|made| sync_dir(parent_dir(made)))
}

fn delete_matching(directory: &Path, stem: &str) -> io::Result<usize> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if is_missing(&error) => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(stem.as_bytes()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            removed += delete_matching(&entry.path(), "")?;
            std::fs::remove_dir(entry.path()).ok();
            continue;
        }
        match std::fs::remove_file(entry.path()) {
            Err(error) if is_missing(&error) => {}
            done => {
                done?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// What a file or folder lies in.
fn parent_dir(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn sync_dir(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
