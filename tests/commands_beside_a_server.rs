//! Tests `cloakroom jobs`, `explain` and `sweep` while another process runs and has its queue in its memory. The
//! commands cannot reach that queue, and must not take their own empty queue for it. Also tests `explain` for every
//! kind of upload.

use std::time::Duration;

use domain::{Clock, FileId, RenditionName, RenditionNameRules, UploadState, UploadTarget};
use instrument::FailPoints;
use jiff::Timestamp;
use records::PublishAttempt;
use test_support::in_process::{InProcess, prepared_folder};
use test_support::portal::read_picture;
use test_support::process::{DataFolder, cloakroom_command};

use crate::backend_outages::UnusableFolder;

/// Runs a command. Returns whether it succeeded, and its output.
fn run_command(folder: &DataFolder, args: &[&str]) -> (bool, String) {
    let done = cloakroom_command(folder.path()).args(args).output().unwrap();
    let output = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(output).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_takes_a_job_that_a_command_retried() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(Timestamp::now());
    let process = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let id = process.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id;
    // The staged bytes are missing for the first attempt and present again for the next one.
    let (staged, aside) = (folder.staged_files().remove(0), folder.path().join("aside"));
    std::fs::rename(&staged, &aside).unwrap();
    process.worker.run_pending().await.unwrap();
    std::fs::rename(&aside, &staged).unwrap();
    let records = &process.backends.records;
    let dead_job = records.jobs(true, 1).await.unwrap().remove(0).id;

    let (succeeded, output) = run_command(&folder, &["jobs", "retry", &dead_job.to_string()]);
    assert!(succeeded && output.contains("retried by the running cloakroom"), "{output}");
    clock.advance(Duration::from_secs(60));
    assert_eq!(process.sweeper.sweep_once().await.unwrap().republished, 1);
    assert_eq!(process.worker.run_pending().await.unwrap(), 1);
    assert_eq!(records.upload(id).await.unwrap().unwrap().state, UploadState::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_and_sweep_know_that_the_queue_is_in_another_process() {
    let folder = prepared_folder().await;
    let process = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let admitted = process.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    process.backends.records.confirm_published([PublishAttempt::first(admitted.message.id)]).await.unwrap();
    let (succeeded, output) = run_command(&folder, &["explain", &admitted.id.to_string()]);
    assert!(succeeded && output.contains("in the memory of the running cloakroom"), "{output}");
    let (succeeded, output) = run_command(&folder, &["sweep", "--once"]);
    assert!(!succeeded && output.contains("queue.url = \"memory:\" is private"), "{output}");
    folder.leaves_work();
}

/// `cloakroom explain` uses the real time. If the clock of a process is an hour fast, `explain` sees its times in the
/// future. If the clock is an hour slow, `explain` sees that its lease of one minute has expired.
#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_whether_a_job_is_postponed_running_or_abandoned() {
    const HOUR: Duration = Duration::from_secs(3600);
    let (folder, now) = (prepared_folder().await, Timestamp::now());
    let process = InProcess::open(&folder, Clock::manual(now + HOUR), FailPoints::default()).await.unwrap();
    let assert_explained = |id: domain::UploadId, words: &[&str]| {
        let (succeeded, output) = run_command(&folder, &["explain", &id.to_string()]);
        assert!(succeeded && words.iter().all(|words| output.contains(words)), "{output}");
    };
    let postponed = process.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    let unusable_blobs = UnusableFolder::block(&folder.path().join("blobs"));
    process.worker.run_pending().await.unwrap();
    unusable_blobs.restore();
    assert_explained(
        postponed.id,
        &["The job is postponed until", "because blobs failed", "The attempt does not count"],
    );
    let leased = process.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    process.backends.records.begin_attempt(&leased.message, HOUR).await.unwrap();
    assert_explained(leased.id, &["A worker runs attempt 1"]);
    drop(process);
    let process = InProcess::open(&folder, Clock::manual(now - HOUR), FailPoints::default()).await.unwrap();
    let vanished = process.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    process.backends.records.begin_attempt(&vanished.message, HOUR / 60).await.unwrap();
    assert_explained(vanished.id, &["The worker that ran its job has shown no activity"]);
    folder.leaves_work();
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_why_a_file_and_a_rendition_wait() {
    let (folder, file) = (prepared_folder().await, FileId::generate());
    let process = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let assert_waits = |id: domain::UploadId| {
        let (succeeded, output) = run_command(&folder, &["explain", &id.to_string()]);
        assert!(succeeded && output.contains("The job is not published to the queue yet"), "{output}");
    };
    assert_waits(process.submit_file(&file, &read_picture("astronaut.jpg")).await.unwrap().id);
    process.worker.run_pending().await.unwrap();
    let version = process.backends.records.file_versions(&file, None).await.unwrap().remove(0).id;
    let name = RenditionName::parse("Small", RenditionNameRules::V1_2).unwrap();
    let target = UploadTarget::Rendition { version, name, description: String::new(), max_renditions: 9 };
    assert_waits(process.submit_to_target(target, &read_picture("astronaut.jpg")).await.unwrap().id);
    process.worker.run_pending().await.unwrap();
}
