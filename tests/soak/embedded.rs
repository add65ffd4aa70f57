//! One `cloakroom up` on SQLite, two folders and a queue in memory, on a small file system of its own if that can be mounted.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::{Database, DatabaseConnection};
use upload::{Clock, Faults, Places, PlacesSettings, Secret};

use crate::deployment::{Deployment, SETTINGS};
use crate::disk::Disk;
use crate::journal::Journal;
use crate::node::{Node, Role};
use crate::process::{Folder, command};
use crate::schedule::{Fault, FaultMix, Step};

/// So many uploads must be acknowledged within this time after a full disk: a few seconds, on a busy machine too.
const RECOVERED: usize = 6;
const RECOVERY: Duration = Duration::from_secs(30);

pub struct Embedded {
    nodes: Vec<Arc<Node>>,
    journal: Arc<Journal>,
    disk: Option<Disk>,
    /// After the disk, which is mounted on it.
    folder: Arc<Folder>,
}

impl Embedded {
    pub fn new(journal: &Arc<Journal>, seconds: u64) -> Self {
        let folder = Arc::new(Folder::new());
        // What a second of workload takes, and room for the rest.
        let disk = Disk::mount(folder.path(), 160 + seconds / 2);
        if disk.is_none() {
            journal.note("no full disk: only root can mount a small file system");
        }
        let place = Arc::clone(&folder);
        let build = move || {
            let mut command = command(place.path());
            command.arg("up").envs(SETTINGS);
            command
        };
        let nodes = vec![Node::new("up", Role::Up, journal, Box::new(build))];
        Self { nodes, journal: Arc::clone(journal), disk, folder }
    }

    fn url(&self, scheme: &str, name: &str) -> Secret {
        Secret::new(format!("{scheme}://{}", self.folder.path().join(name).display()))
    }

    /// Uploads are acknowledged again without a restart.
    async fn recovers(&self) {
        let count = || self.journal.entries().pictures.len();
        let (before, begun) = (count(), Instant::now());
        while count() < before + RECOVERED {
            if begun.elapsed() > RECOVERY {
                return self.journal.violation(format!(
                    "no {RECOVERED} uploads acknowledged {RECOVERY:?} after the disk had room again"
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A file stands where the folder of the blobs was, as when a network folder is not mounted.
    async fn without_blobs(&self, duration: Duration) {
        let (blobs, aside) = (self.folder.path().join("blobs"), self.folder.path().join("aside"));
        if std::fs::rename(&blobs, &aside).is_err() {
            return;
        }
        std::fs::write(&blobs, "").ok();
        tokio::time::sleep(duration).await;
        std::fs::remove_file(&blobs).ok();
        std::fs::rename(&aside, &blobs).unwrap();
    }
}

impl Deployment for Embedded {
    fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    fn mixes(&self) -> Vec<FaultMix> {
        let seconds = |least, most| (Duration::from_secs(least), Duration::from_secs(most));
        let full = self.disk.is_some().then_some(Fault::FullDisk);
        let first: Vec<Fault> = full.into_iter().chain([Fault::BlobsAway]).collect();
        let others = vec![Fault::Kill(Role::Up), Fault::Pause(Role::Up), Fault::Stop(Role::Up)];
        vec![
            FaultMix { all: first.clone(), first, pause: seconds(3, 8) },
            FaultMix { first: Vec::new(), all: others, pause: seconds(3, 8) },
        ]
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.folder.path());
        command.args(arguments).envs(SETTINGS);
        command
    }

    async fn inflict(&self, step: &Step) {
        match (step.fault, &self.disk) {
            (Fault::Kill(_), _) => self.nodes[0].kill(step.duration).await,
            (Fault::Stop(_), _) => self.nodes[0].restart(step.duration).await,
            (Fault::Pause(_), _) => self.nodes[0].pause_during(tokio::time::sleep(step.duration)).await,
            (Fault::FullDisk, Some(disk)) => {
                // The database's log is short then, and has to grow.
                self.nodes[0].restart(Duration::ZERO).await;
                self.nodes[0]
                    .run_undisturbed(async {
                        disk.fill(step.duration).await;
                        self.recovers().await;
                    })
                    .await;
            }
            (Fault::BlobsAway, _) => self.without_blobs(step.duration).await,
            (fault, _) => unreachable!("{fault:?} is not in a mix of this"),
        }
    }

    async fn places(&self) -> Places {
        let mut settings: PlacesSettings = toml::from_str(upload::DEFAULTS).unwrap();
        settings.staging.url = self.url("file", "staging");
        settings.blobs.url = self.url("file", "blobs");
        settings.records.url = self.url("sqlite", "records.db");
        Places::open(&settings, Clock::system(), Faults::default()).await.unwrap()
    }

    async fn database(&self) -> DatabaseConnection {
        Database::connect(self.url("sqlite", "records.db").expose()).await.unwrap()
    }

    async fn remove(self) {
        for node in &self.nodes {
            node.end().await;
        }
    }
}
