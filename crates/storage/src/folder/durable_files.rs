//! Durable writes to a folder. This module writes files, deletes prefixes, and reads files past the
//! page cache. All other access to single objects is by object_store's `LocalFileSystem`, which
//! uses the same file names.
//!
//! A file is written directly under its final name, without a temporary name and a rename. This is
//! safe for two reasons. Every key is written once, because only its writer knows it, and the
//! records say which key counts. No reader opens a file before its writer has reported it complete.
//!
//! A file left by a killed process is an object like any other. In staging it is an orphan. In
//! blobs its key begins with the prefix of an attempt, which the job's row names.
//!
//! When an operation has returned without an error, these are on disk: the bytes, the names in
//! their directory, and the names of all parent directories. An operation that fails leaves no
//! file. Each operation is one call on a blocking thread.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;

use crate::engine::ObjectSource;

/// How often a directory is created again if another process removes it while it is empty.
const MAX_CREATE_ATTEMPTS: usize = 1000;
/// The maximum number of directories that are remembered as durable. The uploads of one hour share a few directories.
const MAX_DURABLE_DIRS: usize = 1024;

/// A folder, opened. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    client: LocalFileSystem,
    root: Arc<Path>,
    /// Directories whose own names are known to be durable, whichever process made them. Their names stay durable,
    /// because no directory in use is removed.
    durable_dirs: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Folder {
    /// Opens a folder, and creates it if it is missing.
    pub(crate) fn open(root: &Path) -> object_store::Result<Self> {
        let failed = |error: io::Error| object_store::Error::Generic { store: "folder", source: Box::new(error) };
        create_dir_durably(&std::path::absolute(root).map_err(failed)?).map_err(failed)?;
        let client = LocalFileSystem::new_with_prefix(root)?;
        let root = std::fs::canonicalize(root).map_err(failed)?;
        Ok(Self { client, root: root.into(), durable_dirs: Arc::default() })
    }

    /// The path of the folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The client that reads, lists and deletes. It keeps directories that become empty. Otherwise directories would be
    /// removed and created all the time, and none could be remembered as durable.
    pub(crate) fn client(&self) -> &LocalFileSystem {
        &self.client
    }

    /// The path of the file with this key, or of the directory that holds all keys beginning with this key.
    pub(crate) fn path(&self, key: &Key) -> object_store::Result<PathBuf> {
        if key.is_root() { Ok(self.root.to_path_buf()) } else { self.client.path_to_filesystem(key) }
    }

    /// Whether the top-level directory of the key exists. If not, a missing file proves nothing, because the disk may
    /// not be mounted. This program removes no such directory.
    pub(crate) fn has_top_level_dir(&self, key: &Key) -> bool {
        let mut parts = key.parts();
        match (parts.next(), parts.next()) {
            (Some(first), Some(_)) => self.root.join(first.as_ref()).is_dir(),
            _ => self.root.is_dir(),
        }
    }

    /// Writes new files, all of them or none. [`ErrorKind::NotFound`] means that a source does not exist.
    pub(crate) async fn write(&self, files: Vec<(PathBuf, ObjectSource)>) -> io::Result<()> {
        let folder = self.clone();
        let pending = run_blocking(move || folder.write_blocking(files)).await?;
        // The files are persisted here and not on the blocking thread. If the caller has stopped waiting, this line is
        // not reached and the files are deleted.
        pending.into_iter().for_each(PendingFile::persist);
        Ok(())
    }

    fn write_blocking(&self, files: Vec<(PathBuf, ObjectSource)>) -> io::Result<Vec<PendingFile>> {
        let directories: BTreeSet<PathBuf> = files.iter().map(|(path, _)| parent_dir(path).to_owned()).collect();
        let filled =
            files.into_iter().map(|(path, source)| self.write_source(path, source)).collect::<io::Result<Vec<_>>>()?;
        let (pending, written): (Vec<PendingFile>, Vec<Option<File>>) = filled.into_iter().unzip();
        // The first file is synced only after all files have been given to the system, so that the system can combine
        // the writes.
        written.iter().flatten().try_for_each(File::sync_data)?;
        directories.iter().try_for_each(|directory| self.make_durable(directory))?;
        Ok(pending)
    }

    /// Creates a file. Returns the open file, or None if the new file is another name of a durable
    /// file.
    fn write_source(&self, path: PathBuf, source: ObjectSource) -> io::Result<(PendingFile, Option<File>)> {
        let (source, held) = match source {
            ObjectSource::Bytes(bytes) => return self.write_bytes(path, &bytes),
            ObjectSource::File { path, held } => (path, held),
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
            // The source is missing, so creating the directory of `path` would not help.
            Err(error) if is_missing(&error) && !source.exists() => Err(io::Error::other(error)),
            linked => linked,
        })
    }

    /// Creates a new file, which must not exist yet.
    fn create(&self, path: PathBuf) -> io::Result<(PendingFile, File)> {
        let file = self.create_entry(&path, || File::create_new(&path))?;
        Ok((PendingFile(Some(path)), file))
    }

    /// Creates an entry in the directory of `path`. If the directory is missing, creates it too: it
    /// was never used, or another process has just removed it because it was empty.
    fn create_entry<T>(&self, path: &Path, create: impl Fn() -> io::Result<T>) -> io::Result<T> {
        for _ in 0..MAX_CREATE_ATTEMPTS {
            match create() {
                Err(error) if is_missing(&error) => {}
                created => return created,
            }
            // The process that removed this directory may have removed others too, so no directory counts as durable
            // any more.
            self.durable_dirs().clear();
            match create_dir_durably(&self.root).and_then(|()| std::fs::create_dir_all(parent_dir(path))) {
                Err(error) if !is_missing(&error) => return Err(error),
                _ => {}
            }
        }
        Err(io::Error::other(format!(
            "the folder {} was removed each time after it was created",
            parent_dir(path).display()
        )))
    }

    /// Reads a file that will not be read again soon, and keeps it out of the system's page cache, which is for other
    /// files.
    pub(crate) async fn read_uncached(&self, path: PathBuf) -> io::Result<Bytes> {
        let read = move || {
            let mut file = File::open(path)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))?;
            file.read_to_end(&mut bytes)?;
            // This is advice, which not every file system follows.
            #[cfg(target_os = "linux")]
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).ok();
            Ok(bytes.into())
        };
        run_blocking(read).await
    }

    /// Makes the names in a directory durable. Does the same for its parent directories, unless
    /// they are known to be durable.
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

    /// Deletes the files of a directory whose names begin with `stem`. If `stem` is empty, deletes the directory with
    /// everything below it. Returns the number of deleted files. The deletion is durable when this returns, because
    /// afterwards no row names the files any more.
    pub(crate) async fn delete_prefix(&self, directory: PathBuf, stem: String) -> io::Result<usize> {
        let folder = self.clone();
        let remove = move || {
            let removed = delete_matching(&directory, &stem)?;
            if stem.is_empty() && directory != *folder.root {
                std::fs::remove_dir(&directory).ok();
            }
            // The directory is synced even if it had no such file, because an earlier process may
            // have been killed between the deletion and this step. If the directory is gone as
            // well, its nearest existing parent is synced.
            let candidates = directory.ancestors().take_while(|above| above.starts_with(&folder.root));
            let synced = candidates.map(sync_dir).find(|synced| !synced.as_ref().is_err_and(is_missing));
            synced.unwrap_or(Ok(())).map(|()| removed)
        };
        run_blocking(remove).await
    }
}

/// A file written in parts. If the writer is dropped before it is finished, the file is deleted.
#[derive(Debug)]
pub(crate) struct FileWriter {
    folder: Folder,
    path: PathBuf,
    pending: Option<(PendingFile, File)>,
}

impl FileWriter {
    /// Returns a writer that has written nothing yet.
    pub(crate) fn new(folder: &Folder, path: PathBuf) -> Self {
        Self { folder: folder.clone(), path, pending: None }
    }

    /// Writes a part. Returns the part's buffer, emptied, for the next part.
    pub(crate) async fn write(self, mut part: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        run_blocking(move || {
            let mut writer = self;
            writer.write_blocking(&part)?;
            part.clear();
            Ok((writer, part))
        })
        .await
    }

    /// Writes the last part and makes the whole file durable.
    pub(crate) async fn finish(self, part: Vec<u8>) -> io::Result<()> {
        let writer = run_blocking(move || {
            let mut writer = self;
            writer.write_blocking(&part)?.sync_data()?;
            writer.folder.make_durable(parent_dir(&writer.path))?;
            // The upload may have taken minutes. If the sweeper deleted the file as an orphan meanwhile, its name is
            // gone, and this line returns the error.
            writer.path.symlink_metadata()?;
            Ok(writer)
        });
        writer.await?.pending.into_iter().for_each(|(pending, _)| pending.persist());
        Ok(())
    }

    fn write_blocking(&mut self, part: &[u8]) -> io::Result<&mut File> {
        let pending = self.pending.take().map_or_else(|| self.folder.create(self.path.clone()), Ok)?;
        let (_, file) = self.pending.insert(pending);
        file.write_all(part)?;
        Ok(file)
    }
}

/// A new file that is deleted on drop unless it is persisted.
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

/// Creates a folder and its missing parents, durably.
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

/// The parent directory of a path.
fn parent_dir(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn sync_dir(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
