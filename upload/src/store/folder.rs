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
const TRIES: usize = 1000;
/// Directories to remember; uploads of one hour share a few.
const REMEMBERED: usize = 1024;

/// A folder, opened. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    engine: LocalFileSystem,
    root: Arc<Path>,
    /// Directories whose own names this process has seen to be durable, whoever made them. We remove no directory that
    /// is written to, so they stay so.
    durable: Arc<Mutex<HashSet<PathBuf>>>,
}

/// Where the bytes of a file come from.
#[derive(Debug)]
pub(super) enum Source {
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
        found(&std::path::absolute(root).map_err(failed)?).map_err(failed)?;
        let engine = LocalFileSystem::new_with_prefix(root)?;
        let root = std::fs::canonicalize(root).map_err(failed)?;
        Ok(Self { engine, root: root.into(), durable: Arc::default() })
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
    pub(super) fn has_directory_of(&self, key: &Key) -> bool {
        let mut parts = key.parts();
        match (parts.next(), parts.next()) {
            (Some(first), Some(_)) => self.root.join(first.as_ref()).is_dir(),
            _ => self.root.is_dir(),
        }
    }

    /// Writes new files, all of them or none. [`ErrorKind::NotFound`] says that a source is not there.
    pub(super) async fn write(&self, files: Vec<(PathBuf, Source)>) -> io::Result<()> {
        let folder = self.clone();
        let begun = hop(move || folder.write_now(files)).await?;
        // Here and not there: whoever stopped waiting has nothing to keep.
        begun.into_iter().for_each(Begun::keep);
        Ok(())
    }

    fn write_now(&self, files: Vec<(PathBuf, Source)>) -> io::Result<Vec<Begun>> {
        let directories: BTreeSet<PathBuf> = files.iter().map(|(path, _)| directory(path).to_owned()).collect();
        let filled = files.into_iter().map(|(path, source)| self.fill(path, source)).collect::<io::Result<Vec<_>>>()?;
        let (begun, written): (Vec<Begun>, Vec<Option<File>>) = filled.into_iter().unzip();
        // All have been handed to the system by now, which may put together what it writes.
        written.iter().flatten().try_for_each(File::sync_data)?;
        directories.iter().try_for_each(|directory| self.sync(directory))?;
        Ok(begun)
    }

    /// Makes a file. None beside it where it is another name of one that is durable already.
    fn fill(&self, path: PathBuf, source: Source) -> io::Result<(Begun, Option<File>)> {
        let (source, held) = match source {
            Source::Bytes(bytes) => return self.written(path, &bytes),
            Source::File { path, held } => (path, held),
        };
        if self.link(&source, &path).is_ok() {
            return Ok((Begun(Some(path)), None));
        }
        if let Some(bytes) = held {
            return self.written(path, &bytes);
        }
        let mut source = File::open(source)?;
        let (begun, mut file) = self.create(path)?;
        io::copy(&mut source, &mut file)?;
        Ok((begun, Some(file)))
    }

    fn written(&self, path: PathBuf, bytes: &[u8]) -> io::Result<(Begun, Option<File>)> {
        let (begun, mut file) = self.create(path)?;
        file.write_all(bytes)?;
        Ok((begun, Some(file)))
    }

    fn link(&self, source: &Path, path: &Path) -> io::Result<()> {
        self.place(path, || match std::fs::hard_link(source, path) {
            // No directory that we make helps with that.
            Err(error) if gone(&error) && !source.exists() => Err(io::Error::other(error)),
            linked => linked,
        })
    }

    /// A new file, which must not be there yet.
    fn create(&self, path: PathBuf) -> io::Result<(Begun, File)> {
        let file = self.place(&path, || File::create_new(&path))?;
        Ok((Begun(Some(path)), file))
    }

    /// Puts a name into the directory of `path`, which is made where it is missing: never written to, or just removed by
    /// somebody who found it empty.
    fn place<T>(&self, path: &Path, place: impl Fn() -> io::Result<T>) -> io::Result<T> {
        for _ in 0..TRIES {
            match place() {
                Err(error) if gone(&error) => {}
                placed => return placed,
            }
            // Whoever removed it may have removed more.
            self.durable().clear();
            match found(&self.root).and_then(|()| std::fs::create_dir_all(directory(path))) {
                Err(error) if !gone(&error) => return Err(error),
                _ => {}
            }
        }
        Err(io::Error::other(format!("{} was removed each time that it was made", directory(path).display())))
    }

    /// Reads a file that nobody will read again soon: the system's memory is for what is, and for the next file.
    pub(super) async fn read_once(&self, path: PathBuf) -> io::Result<Bytes> {
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
        hop(read).await
    }

    /// Makes the names in a directory durable, and those on the way to it unless they are known to be.
    fn sync(&self, directory: &Path) -> io::Result<()> {
        sync(directory)?;
        if self.durable().contains(directory) {
            return Ok(());
        }
        let above = directory.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
        above.into_iter().try_for_each(sync)?;
        let mut durable = self.durable();
        if durable.len() >= REMEMBERED {
            durable.clear();
        }
        durable.insert(directory.to_owned());
        Ok(())
    }

    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the files of a directory whose names begin with `stem`; where it is empty, everything below the directory
    /// and itself. Returns how many. That they are gone is durable when this returns: no row remembers them any more.
    pub(super) async fn remove(&self, directory: PathBuf, stem: String) -> io::Result<usize> {
        let folder = self.clone();
        let remove = move || {
            let removed = clear(&directory, &stem)?;
            if stem.is_empty() && directory != *folder.root {
                std::fs::remove_dir(&directory).ok();
            }
            // Even where nothing was left: whoever removed it may have been killed before they came to this. Where the
            // directory is gone as well, it is the next one up that knows.
            let left = directory.ancestors().take_while(|above| above.starts_with(&folder.root));
            let synced = left.map(sync).find(|synced| !synced.as_ref().is_err_and(gone));
            synced.unwrap_or(Ok(())).map(|()| removed)
        };
        hop(remove).await
    }
}

/// A file that comes in parts. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub(super) struct Growing {
    folder: Folder,
    path: PathBuf,
    begun: Option<(Begun, File)>,
}

impl Growing {
    /// Nothing is written yet.
    pub(super) fn new(folder: &Folder, path: PathBuf) -> Self {
        Self { folder: folder.clone(), path, begun: None }
    }

    /// Writes a part, and gives back its room.
    pub(super) async fn write(self, mut part: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        hop(move || {
            let mut growing = self;
            growing.write_now(&part)?;
            part.clear();
            Ok((growing, part))
        })
        .await
    }

    /// Writes the last part and makes the whole durable.
    pub(super) async fn finish(self, part: Vec<u8>) -> io::Result<()> {
        let growing = hop(move || {
            let mut growing = self;
            growing.write_now(&part)?.sync_data()?;
            growing.folder.sync(directory(&growing.path))?;
            // It may have been minutes: what somebody took for an orphan meanwhile has no name any more.
            growing.path.symlink_metadata()?;
            Ok(growing)
        });
        growing.await?.begun.into_iter().for_each(|(begun, _)| begun.keep());
        Ok(())
    }

    fn write_now(&mut self, part: &[u8]) -> io::Result<&mut File> {
        let begun = self.begun.take().map_or_else(|| self.folder.create(self.path.clone()), Ok)?;
        let (_, file) = self.begun.insert(begun);
        file.write_all(part)?;
        Ok(file)
    }
}

/// A file of ours that is removed again unless it is kept.
#[derive(Debug)]
struct Begun(Option<PathBuf>);

impl Begun {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            std::fs::remove_file(path).ok();
        }
    }
}

async fn hop<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
}

/// Makes a folder and those on the way to it, durably, where they are missing.
fn found(root: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = root.ancestors().take_while(|folder| !folder.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(root)?;
    missing.into_iter().try_for_each(|made| sync(directory(made)))
}

fn clear(directory: &Path, stem: &str) -> io::Result<usize> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if gone(&error) => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(stem.as_bytes()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            removed += clear(&entry.path(), "")?;
            std::fs::remove_dir(entry.path()).ok();
            continue;
        }
        match std::fs::remove_file(entry.path()) {
            Err(error) if gone(&error) => {}
            done => {
                done?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// What a file or folder lies in.
fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
