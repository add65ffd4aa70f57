//! `cloakroom jobs`, `explain` and `sweep` beside a process whose queue is in its memory. The commands cannot reach
//! that queue, and must not mistake their own empty queue for it. Also `explain` for every kind of upload.

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
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_retried_by_hand_is_taken_up_by_the_process_that_runs() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let id = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id;
    // The staged bytes are missing for the first attempt and present again for the next one.
    let (staged, aside) = (folder.staged_files().remove(0), folder.path().join("aside"));
    std::fs::rename(&staged, &aside).unwrap();
    parts.worker.run_pending().await.unwrap();
    std::fs::rename(&aside, &staged).unwrap();
    let records = &parts.backends.records;
    let dead = records.jobs(true, 1).await.unwrap().remove(0).id;

    let (good, said) = run_command(&folder, &["jobs", "retry", &dead.to_string()]);
    assert!(good && said.contains("retried by the running cloakroom"), "{said}");
    clock.advance(Duration::from_secs(60));
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().republished, 1);
    assert_eq!(parts.worker.run_pending().await.unwrap(), 1);
    assert_eq!(records.upload(id).await.unwrap().unwrap().state, UploadState::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_neither_judge_nor_fill_the_queue_in_another_process() {
    let folder = prepared_folder().await;
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let admitted = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    parts.backends.records.confirm_published([PublishAttempt::first(admitted.message.id)]).await.unwrap();
    let (good, said) = run_command(&folder, &["explain", &admitted.id.to_string()]);
    assert!(good && said.contains("in the memory of the running cloakroom"), "{said}");
    let (good, said) = run_command(&folder, &["sweep", "--once"]);
    assert!(!good && said.contains("queue.url = \"memory:\" is private"), "{said}");
    folder.leaves_work();
}

/// `cloakroom explain` uses the real time. A time that a process sets with a clock an hour ahead is in the future for
/// `explain`. A lease that a process sets with a clock an hour behind is past for `explain`.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_postponed_or_has_a_worker_is_told() {
    const HOUR: Duration = Duration::from_secs(3600);
    let (folder, now) = (prepared_folder().await, Timestamp::now());
    let parts = InProcess::open(&folder, Clock::manual(now + HOUR), FailPoints::default()).await.unwrap();
    let assert_explained = |id: domain::UploadId, words: &[&str]| {
        let (good, said) = run_command(&folder, &["explain", &id.to_string()]);
        assert!(good && words.iter().all(|words| said.contains(words)), "{said}");
    };
    let postponed = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    let away = UnusableFolder::block(&folder.path().join("blobs"));
    parts.worker.run_pending().await.unwrap();
    away.restore();
    assert_explained(
        postponed.id,
        &["The job is postponed until", "because blobs failed", "The attempt does not count"],
    );
    let leased = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    parts.backends.records.begin_attempt(&leased.message, HOUR).await.unwrap();
    assert_explained(leased.id, &["A worker runs attempt 1"]);
    drop(parts);
    let parts = InProcess::open(&folder, Clock::manual(now - HOUR), FailPoints::default()).await.unwrap();
    let vanished = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    parts.backends.records.begin_attempt(&vanished.message, HOUR / 60).await.unwrap();
    assert_explained(vanished.id, &["The worker that ran its job has shown no activity"]);
    folder.leaves_work();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_and_its_rendition_wait_for_is_told() {
    let (folder, file) = (prepared_folder().await, FileId::generate());
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let assert_waits = |id: domain::UploadId| {
        let (good, said) = run_command(&folder, &["explain", &id.to_string()]);
        assert!(good && said.contains("The job is not published to the queue yet"), "{said}");
    };
    assert_waits(parts.submit_file(&file, &read_picture("astronaut.jpg")).await.unwrap().id);
    parts.worker.run_pending().await.unwrap();
    let version = parts.backends.records.file_versions(&file, None).await.unwrap().remove(0).id;
    let name = RenditionName::parse("Small", RenditionNameRules::V1_2).unwrap();
    let target = UploadTarget::Rendition { version, name, description: String::new(), max_renditions: 9 };
    assert_waits(parts.submit_to_target(target, &read_picture("astronaut.jpg")).await.unwrap().id);
    parts.worker.run_pending().await.unwrap();
}
