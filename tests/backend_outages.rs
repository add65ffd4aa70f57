//! Tests temporary backend failures in one process on embedded engines, with a clock that the test moves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::{Backend, Clock, UploadId, UploadState};
use instrument::{FailPointSwitch, FailPoints};
use test_support::in_process::{InProcess, prepared_folder, worker_settings};
use test_support::portal::read_picture;
use test_support::process::DataFolder;
use tokio_util::sync::CancellationToken;
use worker::Worker;

const SECOND: Duration = Duration::from_secs(1);

/// A folder that not even root can use, because a file is in its place.
pub struct UnusableFolder {
    folder: PathBuf,
    aside: PathBuf,
}

impl UnusableFolder {
    pub fn block(folder: &Path) -> Self {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).unwrap();
        std::fs::write(folder, b"in the way").unwrap();
        Self { folder: folder.to_owned(), aside }
    }

    pub fn restore(self) {
        std::fs::remove_file(&self.folder).unwrap();
        std::fs::rename(&self.aside, &self.folder).unwrap();
    }
}

/// A store fails for a minute while 30 jobs wait. If attempts counted during the outage, all jobs
/// would be dead after five attempts with delays of 1, 2, 4 and 8 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_outage_of_a_minute_costs_no_attempt() {
    for (name, backend) in [("blobs", Backend::Blobs), ("staging", Backend::Staging)] {
        let folder = prepared_folder().await;
        let clock = Clock::manual(jiff::Timestamp::now());
        let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..30 {
            waiting.push(parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap());
        }
        let outage = UnusableFolder::block(&folder.path().join(name));
        let (mut paused, mut attempts) = (0, 0);
        for _ in 0..60 {
            attempts += parts.worker.run_pending().await.unwrap();
            paused += usize::from(parts.worker.breakers().failing() == [backend]);
            clock.advance(SECOND);
            // The sweep queues every due job again. It runs more often than in a real minute, because the delays of the
            // queue are in real time.
            parts.sweeper.sweep_once().await.unwrap();
        }
        let records = &parts.backends.records;
        assert_eq!(records.stats().await.unwrap().dead_jobs, 0, "{name}: none of 30 is dead");
        assert!(paused > 50, "{name}: paused in {paused} of 60 seconds");
        assert!(attempts < 80, "{name}: {attempts} attempts were begun during the outage");
        outage.restore();
        assert_all_ready(&parts, &clock, waiting.iter().map(|admitted| admitted.id)).await;
        assert!(parts.worker.breakers().failing().is_empty());
        assert!(folder.staged_files().is_empty());
    }
}

/// Asserts that all uploads are ready within the longest delay after the backend's recovery, by the test's clock.
async fn assert_all_ready(parts: &InProcess, clock: &Clock, uploads: impl Iterator<Item = UploadId>) {
    for _ in 0..60 {
        parts.worker.run_pending().await.unwrap();
        clock.advance(SECOND);
        parts.sweeper.sweep_once().await.unwrap();
    }
    for id in uploads {
        let upload = parts.backends.records.upload(id).await.unwrap().unwrap();
        assert_eq!(upload.state, UploadState::Ready, "{:?}", upload.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_past_its_deadline_names_the_failing_backend_and_can_be_retried() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let admitted = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    let outage = UnusableFolder::block(&folder.path().join("blobs"));
    for _ in 0..61 {
        parts.worker.run_pending().await.unwrap();
        clock.advance(10 * SECOND);
        parts.sweeper.sweep_once().await.unwrap();
    }
    let records = &parts.backends.records;
    let reason = records.upload(admitted.id).await.unwrap().unwrap().reason.unwrap();
    assert!(
        reason.code.as_str() == "deadline" && reason.message.contains("the storage for finished files failed"),
        "{reason:?}"
    );
    assert!(!reason.message.contains(&folder.path().display().to_string()), "{reason:?}");
    let pauses: Vec<String> =
        records.events(admitted.id).await.unwrap().into_iter().map(|event| event.detail).collect();
    for pause in ["again in 1000 ms", "again in 2000 ms", "again in 4000 ms"] {
        assert!(pauses.iter().any(|said| said.contains(pause)), "{pause}: {pauses:?}");
    }
    outage.restore();
    let retried = records.retry_job(admitted.message.id, 600 * SECOND).await.unwrap().unwrap();
    parts.backends.queue.publish(&retried.message).await.unwrap();
    assert_all_ready(&parts, &clock, [admitted.id].into_iter()).await;
}

/// Bytes that are missing in a working store are reported as lost at once. Bytes in a store that fails are not.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_lost_only_if_a_working_store_does_not_have_them() {
    let folder = prepared_folder().await;
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let (lost, kept) = (submit_picture(&parts).await, submit_picture(&parts).await);
    let staged: Vec<PathBuf> = folder.staged_files();
    let upload = parts.backends.records.upload(lost).await.unwrap().unwrap();
    std::fs::remove_file(staged.iter().find(|file| file.ends_with(&upload.staged_key)).unwrap()).unwrap();
    // The bytes disappear with the whole folder, as when its disk is not mounted.
    let (there, aside) = (folder.path().join("staging"), folder.path().join("aside"));
    std::fs::rename(&there, &aside).unwrap();
    parts.worker.run_pending().await.unwrap();
    assert_eq!(parts.backends.records.stats().await.unwrap().dead_jobs, 0);
    std::fs::rename(&aside, &there).unwrap();
    drop(parts);
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    parts.recover().await.unwrap();
    let state = async |id| parts.backends.records.upload(id).await.unwrap().unwrap();
    let reason = state(lost).await.reason.unwrap();
    assert!(reason.code.as_str() == "bytes_lost" && !reason.message.contains("incoming/"), "{reason:?}");
    assert_eq!(state(kept).await.state, UploadState::Ready);
}

async fn submit_picture(parts: &InProcess) -> UploadId {
    parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id
}

/// If a queue lost its messages, they are published again after a tenth of the deadline, and not after the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_survive_a_queue_that_lost_its_messages() {
    let folder: DataFolder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let admitted = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
        parts.backends.records.confirm_published([records::PublishAttempt::first(admitted.message.id)]).await.unwrap();
        waiting.push(admitted.id);
    }
    drop(parts);
    // A new queue in memory does not have the old queue's messages.
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    clock.advance(59 * SECOND);
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().republished, 0, "the messages may still be in the queue");
    clock.advance(SECOND);
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().republished, 5);
    assert_all_ready(&parts, &clock, waiting.into_iter()).await;
}

/// The records fail while an attempt ends. Each job has one attempt, so a job would be dead if the outage counted.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_fail_while_a_job_ends_cost_no_attempt() {
    for ops in [["settle_ready"].as_slice(), &["settle_ready", "postpone"]] {
        let (folder, switch) = (prepared_folder().await, FailPointSwitch::default());
        let clock = Clock::manual(jiff::Timestamp::now());
        let parts = InProcess::open(&folder, clock.clone(), switch.fail_points()).await.unwrap();
        let mut settings = worker_settings();
        settings.worker.max_attempts = 1;
        let worker = Worker::new(&settings, parts.backends.clone());
        ops.iter().for_each(|op| switch.start_failing("records", op));
        let admitted = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { worker.run(stop).await }
        });
        switch.wait_for_hits("records", ops[ops.len() - 1], 1).await;
        switch.clear();
        let settled = async {
            let mut tick = tokio::time::interval(Duration::from_millis(200));
            loop {
                tick.tick().await;
                // The clock moves slowly enough for the worker to record its result before the lease expires.
                clock.advance(SECOND);
                parts.sweeper.sweep_once().await.unwrap();
                let upload = parts.backends.records.upload(admitted.id).await.unwrap().unwrap();
                if upload.state != UploadState::Accepted {
                    return upload;
                }
            }
        };
        let upload = tokio::time::timeout(90 * SECOND, settled).await.expect("the upload is settled");
        assert_eq!(upload.state, UploadState::Ready, "{ops:?}: {:?}", upload.reason);
        stop.cancel();
        running.await.unwrap();
    }
}

/// If the processing of a picture takes too long, the picture is at fault. So its attempts are used up, and no backend
/// is reported as failing.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_takes_too_long_uses_up_its_attempts() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let mut settings = worker_settings();
    (settings.worker.render_timeout, settings.worker.max_attempts) = (Duration::ZERO, 2);
    let worker = Worker::new(&settings, parts.backends.clone());
    let id = submit_picture(&parts).await;
    for _ in 0..20 {
        worker.run_pending().await.unwrap();
        clock.advance(10 * SECOND);
        parts.sweeper.sweep_once().await.unwrap();
    }
    let upload = parts.backends.records.upload(id).await.unwrap().unwrap();
    assert_eq!((upload.state, upload.reason.unwrap().code.as_str()), (UploadState::Failed, "gave_up"));
    assert!(worker.breakers().failing().is_empty());
}

/// A job whose store does not answer is returned to the queue at the time limit of a job (`worker.job_timeout`).
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_hangs_is_given_back() {
    let (folder, switch) = (prepared_folder().await, FailPointSwitch::default());
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), switch.fail_points()).await.unwrap();
    let mut settings = worker_settings();
    (settings.worker.job_timeout, settings.worker.lease) = (Duration::from_millis(300), Duration::from_millis(150));
    let worker = Worker::new(&settings, parts.backends.clone());
    let id = submit_picture(&parts).await;
    switch.start_blocking("staging", "get");
    tokio::time::timeout(60 * SECOND, worker.run_pending()).await.expect("the job is given back").unwrap();
    assert!(parts.backends.records.processing_job(id).await.unwrap().is_some());
    switch.clear();
    // The message for the next attempt is delayed by real time. The sweeper publishes another one
    // earlier.
    clock.advance(60 * SECOND);
    assert_all_ready(&parts, &clock, [id].into_iter()).await;
}
