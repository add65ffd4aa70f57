//! A small separate file system that can be filled up. It needs root.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A tmpfs, unmounted when it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a tmpfs. None if this user may not mount.
    pub fn mount(folder: &Path, mebibytes: u64) -> Option<Self> {
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "cloakroom-soak"]).arg(folder).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Keeps the file system full for this time: space that becomes free meanwhile is filled again.
    pub async fn fill(&self, duration: Duration) {
        let path = self.0.join("ballast");
        let ballast = FillerFile(path.clone());
        let filling = async {
            let mut file = File::create(&path).unwrap();
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                for size in [1 << 20, 4 << 10, 1] {
                    while file.write_all(&vec![1; size]).is_ok() {}
                }
                tick.tick().await;
            }
        };
        tokio::time::timeout(duration, filling).await.ok();
        drop(ballast);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A lazy unmount, so that open files do not keep the mount.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// A file that is removed when it is dropped.
struct FillerFile(PathBuf);

impl Drop for FillerFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}
