//! A deployment of one `cloakroom up` on SQLite, two folders and a queue in memory. Its data is on a small file system,
//! if one can be mounted.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backends::{Backends, BackendsSettings};
use domain::{Clock, Secret};
use instrument::FailPoints;
use sea_orm::{Database, DatabaseConnection};
use test_support::process::{DataFolder, cloakroom_command};
use test_support::tmpfs::Tmpfs;

use crate::deployment::{Deployment, SETTINGS};
use crate::fault_schedule::{FaultKind, FaultMix, FaultStep};
use crate::journal::Journal;
use crate::node::{Node, NodeRole};

/// The number of uploads that must be acknowledged within `RECOVERY_TIMEOUT` after the disk has room again. They need a
/// few seconds, even on a busy machine.
const MIN_ACCEPTED: usize = 6;
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

pub struct EmbeddedDeployment {
    nodes: Vec<Arc<Node>>,
    journal: Arc<Journal>,
    disk: Option<Tmpfs>,
    /// The folder on which `disk` is mounted. It is declared after `disk`, so that it is dropped after the unmount.
    folder: Arc<DataFolder>,
}

impl EmbeddedDeployment {
    pub fn new(journal: &Arc<Journal>, seconds: u64) -> Self {
        let folder = Arc::new(DataFolder::new());
        // Half a mebibyte for each second of workload, and a reserve of 160 MiB.
        let disk = Tmpfs::mount(folder.path(), &format!("{}m", 160 + seconds / 2));
        if disk.is_none() {
            journal.log("this run has no full disk, because only root can mount a small file system");
        }
        let data = Arc::clone(&folder);
        let build = move || {
            let mut command = cloakroom_command(data.path());
            command.arg("up").envs(SETTINGS);
            command
        };
        let nodes = vec![Node::new("up", NodeRole::Up, journal, Box::new(build))];
        Self { nodes, journal: Arc::clone(journal), disk, folder }
    }

    fn url(&self, scheme: &str, name: &str) -> Secret {
        Secret::new(format!("{scheme}://{}", self.folder.path().join(name).display()))
    }

    /// Checks that uploads are acknowledged again without a restart.
    async fn check_recovery(&self) {
        let count = || self.journal.entries().pictures.len();
        let (before, begun) = (count(), Instant::now());
        while count() < before + MIN_ACCEPTED {
            if begun.elapsed() > RECOVERY_TIMEOUT {
                return self.journal.record_violation(format!(
                    "fewer than {MIN_ACCEPTED} uploads acknowledged {RECOVERY_TIMEOUT:?} after the disk had room again"
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Puts a file in the place of the blobs folder, as when a network folder is not mounted.
    async fn hide_blob_folder(&self, duration: Duration) {
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

impl Deployment for EmbeddedDeployment {
    fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    fn fault_mixes(&self) -> Vec<FaultMix> {
        let seconds = |least, most| (Duration::from_secs(least), Duration::from_secs(most));
        let full = self.disk.is_some().then_some(FaultKind::FullDisk);
        let first: Vec<FaultKind> = full.into_iter().chain([FaultKind::BlobsAway]).collect();
        let others = vec![FaultKind::Kill(NodeRole::Up), FaultKind::Pause(NodeRole::Up), FaultKind::Stop(NodeRole::Up)];
        vec![
            FaultMix { all: first.clone(), required_first: first, pause: seconds(3, 8) },
            FaultMix { required_first: Vec::new(), all: others, pause: seconds(3, 8) },
        ]
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cloakroom_command(self.folder.path());
        command.args(arguments).envs(SETTINGS);
        command
    }

    async fn apply_fault(&self, step: &FaultStep) {
        match (step.fault, &self.disk) {
            (FaultKind::Kill(_), _) => self.nodes[0].kill(step.duration).await,
            (FaultKind::Stop(_), _) => self.nodes[0].restart(step.duration).await,
            (FaultKind::Pause(_), _) => self.nodes[0].pause_during(tokio::time::sleep(step.duration)).await,
            (FaultKind::FullDisk, Some(disk)) => {
                // The restart shortens the database's log, so that the log has to grow while the disk is full.
                self.nodes[0].restart(Duration::ZERO).await;
                self.nodes[0]
                    .run_undisturbed(async {
                        disk.keep_full(step.duration).await;
                        self.check_recovery().await;
                    })
                    .await;
            }
            (FaultKind::BlobsAway, _) => self.hide_blob_folder(step.duration).await,
            (fault, _) => unreachable!("{fault:?} is not in a mix of this deployment"),
        }
    }

    async fn open_backends(&self) -> Backends {
        let mut settings: BackendsSettings = toml::from_str(backends::DEFAULTS).unwrap();
        settings.staging.url = self.url("file", "staging");
        settings.blobs.url = self.url("file", "blobs");
        settings.records.url = self.url("sqlite", "records.db");
        Backends::open(&settings, Clock::system(), FailPoints::default()).await.unwrap()
    }

    async fn open_database(&self) -> DatabaseConnection {
        Database::connect(self.url("sqlite", "records.db").expose()).await.unwrap()
    }

    async fn tear_down(self) {
        for node in &self.nodes {
            node.kill_for_good().await;
        }
    }
}
