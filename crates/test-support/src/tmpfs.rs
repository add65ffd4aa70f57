//! A small file system in memory, for one test. Mounting it needs root.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A tmpfs, unmounted when it is dropped.
pub struct Tmpfs {
    path: PathBuf,
    /// The folder on which the file system is mounted, if the folder was made for it.
    _folder: Option<tempfile::TempDir>,
}

impl Tmpfs {
    /// Mounts a file system of this size, such as `16m`, on a folder of its own. Prints a message and returns None if
    /// this user may not mount.
    pub fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mounted = Self::mount(folder.path(), size)?;
        mounted._folder = Some(folder);
        Some(mounted)
    }

    /// Mounts a file system of this size on `folder`. Prints a message and returns None if this user may not mount.
    pub fn mount(folder: &Path, size: &str) -> Option<Self> {
        let option = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "cloakroom-test"]).arg(folder).output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self { path: folder.to_owned(), _folder: None });
        }
        eprintln!("skipped: this needs a file system of its own; run it as a user who may mount one");
        None
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills the file system with a file, which is removed when the result is dropped.
    pub fn fill(&self) -> FillerFile {
        let filler = FillerFile(self.path.join("filler"));
        filler.grow();
        filler
    }

    /// Keeps the file system full for this time: space that becomes free meanwhile is filled again.
    pub async fn keep_full(&self, duration: Duration) {
        let filler = FillerFile(self.path.join("filler"));
        let filling = async {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                filler.grow();
                tick.tick().await;
            }
        };
        tokio::time::timeout(duration, filling).await.ok();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // A lazy unmount, so that open files do not keep the mount.
        Command::new("umount").arg("--lazy").arg(&self.path).status().ok();
    }
}

/// A file that takes all space. The file is removed when this value is dropped.
pub struct FillerFile(PathBuf);

impl FillerFile {
    /// Takes the space that has become free.
    fn grow(&self) {
        let mut file = File::options().create(true).append(true).open(&self.0).unwrap();
        for size in [1 << 20, 4 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }
}

impl Drop for FillerFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}
