//! A real `cloakroom` process on a folder of its own. It ends when it is dropped.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use domain::Clock;
use queue::Queue;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::leftovers::LeftoverCheck;

/// The login address of the administrator that exists in every test process.
pub const EMAIL: &str = "ada@example.org";
pub const PASSWORD: &str = "correct horse battery staple";
pub const FEDMEMBER: &str = "acmepaymentscorp";

/// A data folder that outlives the processes that use it one after another. Dropping it fails a test that leaves work
/// or a process in the folder.
pub struct DataFolder {
    folder: tempfile::TempDir,
    leftovers: LeftoverCheck,
}

impl Default for DataFolder {
    fn default() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        self.leftovers.run(self.folder.path());
    }
}

impl DataFolder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses this temporary folder as a data folder.
    pub fn at(folder: tempfile::TempDir) -> Self {
        Self { folder, leftovers: LeftoverCheck::default() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Says that the test leaves work or processes on purpose.
    pub fn leaves_work(&self) {
        self.leftovers.turn_off();
    }

    /// Says that this process uses the folder now, with this clock and this queue in memory.
    pub fn set_process(&self, clock: Clock, queue: Queue) {
        self.leftovers.set_process(clock, queue);
    }

    /// Every file in staging, complete or not.
    pub fn staged_files(&self) -> Vec<PathBuf> {
        files_below(&self.path().join("staging"))
    }

    pub fn blob_files(&self) -> Vec<PathBuf> {
        files_below(&self.path().join("blobs"))
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

/// The binary that was built with the running test. It is in the parent of the folder of the test.
fn cloakroom_binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("cloakroom");
    assert!(binary.exists(), "{} is not built: run the tests of the package cloakroom", binary.display());
    binary
}

/// A command that runs the program. The variables of the test's own environment that could configure the program are
/// removed.
pub fn cloakroom_command(folder: &Path) -> Command {
    let mut command = Command::new(cloakroom_binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CLOAKROOM__")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("CLOAKROOM__DATA_DIR", folder)
        .env("CLOAKROOM__HTTP__LISTEN", "127.0.0.1:0")
        .env("CLOAKROOM__REALM__FEDMEMBER", FEDMEMBER)
        .env("CLOAKROOM__REALM__ADMIN_EMAIL", EMAIL)
        .env("CLOAKROOM__REALM__ADMIN_PASSWORD", PASSWORD);
    command
}

/// A running process.
pub struct ServerProcess {
    child: Child,
    /// Whether the drop lets the process finish its work.
    finishes_work: bool,
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    /// Receives the address from the thread that reads the log.
    address_receiver: Mutex<mpsc::Receiver<SocketAddr>>,
}

/// How long a process may take to finish its work after it was told to end.
const MAX_WORK_TIME: Duration = Duration::from_secs(10);

/// Stands for the address of a process that does not listen.
const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl ServerProcess {
    /// Starts `cloakroom up` and returns when it listens.
    pub fn start_all_in_one(folder: &DataFolder, settings: &[(&str, &str)]) -> Self {
        let mut command = cloakroom_command(folder.path());
        command.args(["up"]).envs(settings.iter().copied());
        let mut process = Self::start(command);
        process.finishes_work = true;
        process
    }

    /// Starts a role and returns when it listens or, for a worker or a sweeper, when it is up.
    pub fn start(command: Command) -> Self {
        let mut process = Self::spawn(command);
        // A busy machine may need long; a process that ended is reported at once.
        if let Err(why) = process.wait_until_up(Duration::from_secs(600)) {
            panic!("cloakroom {why} before it was up");
        }
        process
    }

    /// Starts a role and returns at once. Its address is known after [`wait_until_up`](Self::wait_until_up).
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (sender, receiver) = mpsc::channel();
        let lines_so_far = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let entry = serde_json::from_str::<Value>(&line).ok();
                let address = entry.and_then(|entry| entry["address"].as_str()?.parse().ok());
                let is_up = ["the worker is up", "the sweeper is up"].iter().any(|words| line.contains(words));
                lines_so_far.lock().unwrap().push(line);
                if let Some(address) = address.or(is_up.then_some(NO_ADDRESS)) {
                    sender.send(address).ok();
                }
            }
        });
        Self { child, finishes_work: false, address: NO_ADDRESS, log, address_receiver: Mutex::new(receiver) }
    }

    /// Waits until the process listens or, for a worker or a sweeper, is up.
    ///
    /// # Errors
    /// Says whether the process ended first or took longer than `time`.
    pub fn wait_until_up(&mut self, time: Duration) -> Result<(), String> {
        let receiver = self.address_receiver.lock().unwrap();
        self.address = receiver.recv_timeout(time).map_err(|error| match error {
            mpsc::RecvTimeoutError::Disconnected => "ended".to_owned(),
            mpsc::RecvTimeoutError::Timeout => format!("took more than {time:?}"),
        })?;
        Ok(())
    }

    /// The address of the probes and metrics.
    pub fn probes(&self) -> SocketAddr {
        let log = self.log.lock().unwrap();
        let named =
            log.iter().find_map(|line| serde_json::from_str::<Value>(line).ok()?["probes"].as_str()?.parse().ok());
        named.expect("the log names the probes' address")
    }

    /// The status and the body of a request to the probes listener.
    pub async fn probe(&self, path: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(self.probes()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The soft and the hard limit of file descriptors. Rule: proc_pid_limits(5).
    pub fn fd_limits(&self) -> (u64, u64) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap_or(u64::MAX));
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends SIGKILL, so the process cannot clean up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and returns the exit status.
    pub fn stop(self) -> Option<i32> {
        self.terminate();
        self.wait_for_exit()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, named without SIG.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end and returns its exit status.
    pub fn wait_for_exit(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Returns once the log contains these words. Fails the test if that takes more than a minute.
    pub async fn wait_for_log(&self, words: &str) {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let contained = async {
            while !self.log().contains(words) {
                tick.tick().await;
            }
        };
        let patience = Duration::from_secs(60);
        tokio::time::timeout(patience, contained).await.unwrap_or_else(|_| panic!("never said: {words}"));
    }

    /// A line of `/proc/…/status`, in KiB: VmRSS, or VmHWM for the peak.
    pub fn memory_kib(&self, line: &str) -> u64 {
        let mut status = String::new();
        let file = format!("/proc/{}/status", self.child.id());
        std::fs::File::open(file).unwrap().read_to_string(&mut status).unwrap();
        let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')).unwrap();
        value.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Resets the peak of the memory, VmHWM. Rule: proc_pid_clear_refs(5).
    pub fn reset_peak_memory(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn log(&self) -> String {
        // The log is shown even if a test failed while it read the log.
        self.log.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The test has its response before the worker has deleted the staged bytes. So a process that runs all roles
        // may finish its work before it is killed.
        if self.finishes_work && !std::thread::panicking() && self.is_running() {
            self.terminate();
            let end = Instant::now() + MAX_WORK_TIME;
            while self.is_running() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the log of cloakroom\n{}", self.log());
        }
    }
}
