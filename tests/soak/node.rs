//! A process of the system under test. A fault that ends it also starts it again, as a supervisor
//! would do.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use test_support::process::ServerProcess;

use crate::journal::Journal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    Api,
    Worker,
    /// All roles in one process.
    Up,
}

/// How long a process may take from SIGTERM to its end: the time in docs/operating.md, doubled for a busy machine.
const STOP_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a process may take to start, including outages of its backends.
const START_TIMEOUT: Duration = Duration::from_secs(120);

type CommandBuilder = Box<dyn Fn() -> Command + Send + Sync>;

pub struct Node {
    pub name: String,
    pub role: NodeRole,
    build_command: CommandBuilder,
    /// Additional settings of the following starts, as environment variables.
    extra_settings: Mutex<Vec<(&'static str, &'static str)>>,
    /// A fault holds this lock, so that only one fault at a time affects the process.
    process: tokio::sync::Mutex<Option<ServerProcess>>,
    /// The address for probes and, if the process has an api, for requests.
    address: Mutex<Option<SocketAddr>>,
    log: PathBuf,
    journal: Arc<Journal>,
}

impl Node {
    pub fn new(name: &str, role: NodeRole, journal: &Arc<Journal>, build: CommandBuilder) -> Arc<Self> {
        let log = journal.folder.join(format!("{name}.log"));
        let (name, journal) = (name.to_owned(), Arc::clone(journal));
        let (process, address, extra) = (tokio::sync::Mutex::new(None), Mutex::new(None), Mutex::default());
        Arc::new(Self { name, role, build_command: build, extra_settings: extra, process, address, log, journal })
    }

    pub fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap()
    }

    pub fn has_api(&self) -> bool {
        self.role != NodeRole::Worker
    }

    /// Sets additional settings for the following starts.
    pub fn set_extra_settings(&self, extra: &[(&'static str, &'static str)]) {
        *self.extra_settings.lock().unwrap() = extra.to_vec();
    }

    /// Starts the process, and repeats this until it succeeds or `START_TIMEOUT` is over.
    pub async fn start(&self) {
        let mut process = self.process.lock().await;
        self.start_locked(&mut process).await;
    }

    async fn start_locked(&self, process_slot: &mut Option<ServerProcess>) {
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            let mut command = (self.build_command)();
            command.envs(self.extra_settings.lock().unwrap().iter().copied());
            // The port of a worker's probes is chosen here, because a worker does not report which port it was given.
            let probes = (self.role == NodeRole::Worker).then(free_address);
            if let Some(address) = probes {
                command.env("CLOAKROOM__PROBES__LISTEN", address.to_string());
            }
            let started = tokio::task::spawn_blocking(move || {
                let mut process = ServerProcess::spawn(command);
                let up = process.wait_until_up(START_TIMEOUT);
                (process, up)
            });
            let (process, up) = started.await.unwrap();
            if up.is_ok() {
                *self.address.lock().unwrap() = Some(probes.unwrap_or(process.address));
                *process_slot = Some(process);
                return;
            }
            self.keep_log(&process);
            // A supervisor would also wait before the next start.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.journal.record_violation(format!("{} did not start within {START_TIMEOUT:?}", self.name));
    }

    /// Sends SIGKILL, and starts the process again after `away`.
    pub async fn kill(&self, away: Duration) {
        let mut process_slot = self.process.lock().await;
        *self.address.lock().unwrap() = None;
        if let Some(process) = process_slot.take() {
            process.signal("KILL");
            self.keep_log(&process);
        }
        tokio::time::sleep(away).await;
        self.start_locked(&mut process_slot).await;
    }

    /// Sends SIGTERM, and starts the process again `away` after its end.
    pub async fn restart(&self, away: Duration) {
        let mut process_slot = self.process.lock().await;
        self.stop_locked(&mut process_slot).await;
        tokio::time::sleep(away).await;
        self.start_locked(&mut process_slot).await;
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn stop(&self) {
        let mut process_slot = self.process.lock().await;
        self.stop_locked(&mut process_slot).await;
    }

    async fn stop_locked(&self, process_slot: &mut Option<ServerProcess>) {
        let Some(mut process) = process_slot.take() else { return };
        process.terminate();
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let ended = async {
            while process.is_running() {
                tick.tick().await;
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, ended).await.is_err() {
            self.journal.record_violation(format!("{} did not end within {STOP_TIMEOUT:?} of SIGTERM", self.name));
        }
        *self.address.lock().unwrap() = None;
        self.keep_log(&process);
    }

    /// Sends SIGSTOP, and SIGCONT when `meanwhile` is over.
    pub async fn pause_during<T>(&self, meanwhile: impl Future<Output = T>) -> T {
        let process_slot = self.process.lock().await;
        let paused = process_slot.as_ref().map(PauseGuard::new);
        let value = meanwhile.await;
        drop(paused);
        value
    }

    /// Runs a future while no fault of another track affects the process.
    pub async fn run_undisturbed(&self, future: impl Future<Output = ()>) {
        let _locked = self.process.lock().await;
        future.await;
    }

    /// Sends SIGKILL without a new start; the log is kept.
    pub async fn kill_for_good(&self) {
        *self.address.lock().unwrap() = None;
        if let Some(process) = self.process.lock().await.take() {
            process.signal("KILL");
            self.keep_log(&process);
        }
    }

    fn keep_log(&self, process: &ServerProcess) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        writeln!(file.unwrap(), "{}", process.log()).unwrap();
    }
}

/// Stops a process with SIGSTOP until it is dropped.
struct PauseGuard<'a>(&'a ServerProcess);

impl<'a> PauseGuard<'a> {
    fn new(process: &'a ServerProcess) -> Self {
        process.signal("STOP");
        Self(process)
    }
}

impl Drop for PauseGuard<'_> {
    fn drop(&mut self) {
        self.0.signal("CONT");
    }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
