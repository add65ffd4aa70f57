//! Disks that fail for real: a small file system that is filled up, and a limit to the size of a process's files.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk that fails when told to.
pub(crate) enum Disk {
    /// A file system of its own, with a file that fills it.
    Small(PathBuf),
    /// The limit to the size of this process's files.
    Limited,
}

impl Disk {
    /// Leaves room for so many more bytes.
    pub(crate) fn leave(&self, bytes: u64) {
        match self {
            Self::Small(folder) => {
                let mut ballast = OpenOptions::new().create(true).append(true).open(folder.join("ballast")).unwrap();
                while ballast.write_all(&[0; 4096]).is_ok() {}
                let len = ballast.metadata().unwrap().len();
                ballast.set_len(len.next_multiple_of(4096) - bytes.next_multiple_of(4096)).unwrap();
            }
            Self::Limited => limit(&format!("{bytes}:unlimited")),
        }
    }

    pub(crate) fn free(&self) {
        match self {
            Self::Small(folder) => std::fs::remove_file(folder.join("ballast")).unwrap(),
            Self::Limited => limit("unlimited:unlimited"),
        }
    }
}

fn limit(size: &str) {
    let (process, size) = (std::process::id().to_string(), format!("--fsize={size}"));
    assert!(Command::new("prlimit").args(["--pid", &process, &size]).status().unwrap().success());
}

/// A file system of its own, as small as is asked for. None if this process may not mount one.
pub(crate) struct Mounted(tempfile::TempDir);

impl Mounted {
    pub(crate) fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: this needs a file system of its own; run it as a user who may mount one");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.0.path()).status().ok();
    }
}
