//! Disks that really fail: a small file system that is filled up, and a limit on the size of the files of a process.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// A disk on which writes fail once the test has limited its space.
pub enum FailingDisk {
    /// A separate file system, with a file that fills it.
    SmallFileSystem(PathBuf),
    /// A limit on the size of this process's files.
    FileSizeLimit,
}

impl FailingDisk {
    /// Leaves this number of bytes free or, with a limit on the size of files, lets no file grow beyond it.
    pub fn leave_free(&self, bytes: u64) {
        match self {
            Self::SmallFileSystem(folder) => {
                let mut ballast = OpenOptions::new().create(true).append(true).open(folder.join("ballast")).unwrap();
                while ballast.write_all(&[0; 4096]).is_ok() {}
                let len = ballast.metadata().unwrap().len();
                ballast.set_len(len.next_multiple_of(4096) - bytes.next_multiple_of(4096)).unwrap();
            }
            Self::FileSizeLimit => limit(&format!("{bytes}:unlimited")),
        }
    }

    pub fn free_all(&self) {
        match self {
            Self::SmallFileSystem(folder) => std::fs::remove_file(folder.join("ballast")).unwrap(),
            Self::FileSizeLimit => limit("unlimited:unlimited"),
        }
    }
}

fn limit(size: &str) {
    let (process, size) = (std::process::id().to_string(), format!("--fsize={size}"));
    assert!(Command::new("prlimit").args(["--pid", &process, &size]).status().unwrap().success());
}
