//! What a test leaves behind. [`DataFolder`](crate::process::DataFolder) and
//! [`EngineStack`](crate::engine_stack::EngineStack) look for leftovers when they end, and so does every stack that is
//! made of them. If a test does not delete its own database or queues, the value that owns them fails the test when
//! that value is dropped, and names them.
//!
//! A test that leaves something fails. Work that was not finished is a fault of the program, or of
//! a test that does not check how its work ends.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::{Clock, QueueName, Secret};
use futures::TryStreamExt;
use instrument::FailPoints;
use queue::Queue;
use records::{Records, RecordsSettings};
use storage::Staging;

use crate::test_stores::folder_store;

/// How long a leftover may take to disappear by itself, such as a delivery whose job has just
/// ended.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The check of one data folder at the end of its test.
#[derive(Debug, Default)]
pub struct LeftoverCheck {
    is_off: AtomicBool,
    /// The clock and the queue in memory of the last process on the folder, if it is this process.
    last_process: Mutex<Option<(Clock, Queue)>>,
}

impl LeftoverCheck {
    /// Turns the check off, because the test leaves something on purpose.
    pub fn turn_off(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }

    /// Names the queue and the clock of the process that uses the folder now. A queue of an earlier process is
    /// forgotten, as a queue in memory is lost when its process ends.
    pub fn set_process(&self, clock: Clock, queue: Queue) {
        *self.last_process.lock().unwrap_or_else(PoisonError::into_inner) = Some((clock, queue));
    }

    /// Fails the test if something is left in the folder. The caller is a drop, which cannot await,
    /// so the check runs on a thread of its own.
    pub fn run(&mut self, folder: &Path) {
        if self.is_off.load(Ordering::Relaxed) || std::thread::panicking() {
            return;
        }
        let last_process = self.last_process.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let folder = folder.to_owned();
        let check = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(find_in_folder(folder, last_process))
        });
        assert_none(&check.join().unwrap());
    }
}

/// Fails the test if something was found.
pub fn assert_none(found: &[String]) {
    assert!(
        found.is_empty(),
        "the test leaves {}; finish it, or call `leaves_work` (an engine stack: `clean_up_leftovers`) if the test is about it",
        found.join(" and ")
    );
}

/// What a stack left in its backends: jobs, staged objects that no upload needs, and deliveries of jobs that have
/// ended. Waits for at most [`PATIENCE`], because some of them disappear by themselves.
pub async fn find_in_backends(records: &Records, staging: &Staging, queue: Option<&Queue>) -> Vec<String> {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let search = async {
        loop {
            tick.tick().await;
            if find_now(records, staging, queue).await.is_empty() {
                return;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, search).await {
        Ok(()) => Vec::new(),
        Err(_) => find_now(records, staging, queue).await,
    }
}

async fn find_now(records: &Records, staging: &Staging, queue: Option<&Queue>) -> Vec<String> {
    let mut found = Vec::new();
    let jobs = records.stats().await.unwrap().queued_jobs;
    if jobs > 0 {
        found.push(format!("queued jobs ({jobs})"));
    }
    let staged: Vec<String> = staging.list_older_than(jiff::Timestamp::MAX).try_collect().await.unwrap();
    let needed = records.needed_staged_keys(&staged).await.unwrap();
    let orphans: Vec<&String> = staged.iter().filter(|key| !needed.contains(*key)).collect();
    if !orphans.is_empty() {
        found.push(format!("staged objects that no upload needs: {orphans:?}"));
    }
    // A delivery that was not acknowledged is back in its queue. If jobs are queued, their messages may be there too.
    for name in QueueName::ALL {
        match queue {
            Some(queue) if jobs == 0 => match queue.depth(name).await {
                Ok(0) => {}
                Ok(count) => found.push(format!("unacknowledged deliveries in the queue {name} ({count})")),
                Err(error) => found.push(format!("the queue {name} without an answer ({error})")),
            },
            _ => {}
        }
    }
    found
}

/// What is left in a data folder: processes on it, and everything in its backends, if it has a database.
async fn find_in_folder(folder: PathBuf, last_process: Option<(Clock, Queue)>) -> Vec<String> {
    let mut found = describe(processes_in(&folder));
    let database = folder.join("records.db");
    if database.exists() {
        let (clock, queue) = last_process.map_or((Clock::system(), None), |(clock, queue)| (clock, Some(queue)));
        let settings = RecordsSettings::new(Secret::new(format!("sqlite://{}", database.display())), 1);
        let records = Records::open(&settings, clock, FailPoints::default()).await.unwrap();
        let staging = Staging::open(&folder_store(&folder.join("staging")), FailPoints::default()).unwrap();
        found.extend(find_in_backends(&records, &staging, queue.as_ref()).await);
        records.close().await.unwrap();
    }
    found
}

/// A process that runs in the folder of a test.
struct RunningProcess {
    id: u32,
    command: String,
}

/// The processes whose working directory is this folder. Rule: proc_pid_cwd(5).
fn processes_in(folder: &Path) -> Vec<RunningProcess> {
    let folder = folder.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let inside =
        processes.filter(|process| std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == folder));
    let read = |process: std::fs::DirEntry| {
        let command = std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        let id = process.file_name().to_str()?.parse().ok()?;
        Some(RunningProcess { id, command: command.replace('\0', " ").trim().to_owned() })
    };
    inside.filter_map(read).collect()
}

fn describe(processes: Vec<RunningProcess>) -> Vec<String> {
    processes.into_iter().map(|process| format!("the running process {} ({})", process.id, process.command)).collect()
}

/// Sends SIGTERM to every process in this folder and waits for their end. Returns the processes that do not end.
pub async fn end_processes_in(folder: &Path) -> Vec<String> {
    for process in processes_in(folder) {
        // `kill` fails for a process that has just ended, so its exit status is ignored.
        Command::new("kill").args(["-TERM", &process.id.to_string()]).status().unwrap();
    }
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let end = async {
        while !processes_in(folder).is_empty() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, end).await.ok();
    describe(processes_in(folder))
}

#[cfg(test)]
mod tests {
    use std::process::Child;

    use crate::in_process::{InProcess, prepared_folder};
    use crate::portal::read_picture;
    use crate::process::DataFolder;

    use super::*;

    async fn open(folder: &DataFolder) -> InProcess {
        InProcess::open(folder, Clock::system(), FailPoints::default()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_test_that_finishes_its_work_leaves_nothing() {
        let folder = prepared_folder().await;
        let parts = open(&folder).await;
        parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
        parts.worker.run_pending().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    #[should_panic(expected = "the test leaves queued jobs (1); finish it")]
    async fn the_check_names_a_leftover_job() {
        let folder = prepared_folder().await;
        open(&folder).await.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_left_on_purpose_passes_the_check() {
        let folder = prepared_folder().await;
        open(&folder).await.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
        folder.leaves_work();
    }

    #[tokio::test(flavor = "multi_thread")]
    #[should_panic(expected = "the test leaves staged objects that no upload needs: [\"incoming/")]
    async fn the_check_names_a_leftover_staged_object() {
        let folder = prepared_folder().await;
        let mut writer = open(&folder).await.backends.staging.new_writer();
        writer.write(b"never admitted").await.unwrap();
        writer.finish().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    #[should_panic(expected = "the test leaves unacknowledged deliveries in the queue pictures (1); finish it")]
    async fn the_check_names_an_unacknowledged_delivery() {
        let folder = prepared_folder().await;
        let parts = open(&folder).await;
        let admitted = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
        parts.worker.run_pending().await.unwrap();
        parts.backends.queue.publish(&admitted.message).await.unwrap();
        drop(parts.backends.queue.consume(QueueName::Pictures, 1).try_next().await.unwrap());
    }

    struct KilledOnDrop(Child);

    impl Drop for KilledOnDrop {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    #[should_panic(expected = "(sleep 600); finish it")]
    fn the_check_names_a_leftover_process() {
        let folder = DataFolder::new();
        let sleep = Command::new("sleep").arg("600").current_dir(folder.path()).spawn().unwrap();
        let _process = KilledOnDrop(sleep);
        drop(folder);
    }
}
