//! The job `upload.verify.v1` compares the stored bytes of a ready upload with their digests.

use std::time::Duration;

use domain::{Clock, EventKind, Job, UploadId};
use instrument::FailPoints;
use records::JobRow;
use test_support::in_process::{InProcess, backend_settings, prepared_folder};
use test_support::portal::read_picture;
use test_support::process::cloakroom_command;

const TIMEOUT: Duration = Duration::from_secs(3600);

/// Enqueues a job that verifies the upload, and runs the job. Returns the job's row, which remains only if the job is
/// dead.
async fn verify(parts: &InProcess, upload: UploadId) -> Option<JobRow> {
    let message =
        parts.backends.records.enqueue_upload_job(upload, Job::VerifyUpload { upload }, TIMEOUT).await.unwrap();
    let message = message.expect("the upload is ready");
    parts.backends.queue.publish(&message).await.unwrap();
    assert_eq!(parts.worker.run_pending().await.unwrap(), 1);
    parts.backends.records.job(message.id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_finds_damaged_and_missing_bytes() {
    let folder = prepared_folder().await;
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let upload = parts.submit_picture(&read_picture("hubble.jpg")).await.unwrap().id;
    parts.worker.run_pending().await.unwrap();

    assert!(verify(&parts, upload).await.is_none());
    let records = &parts.backends.records;
    let variants = records.variants(upload, 0).await.unwrap();
    let events = records.events(upload).await.unwrap();
    let verified = events.iter().find(|event| event.kind == EventKind::Verified).unwrap();
    assert!(verified.detail.starts_with(&format!("{} objects, ", variants.len() + 1)), "{}", verified.detail);

    let blobs = folder.path().join("blobs");
    assert_eq!(backend_settings(&folder).blobs.url.expose(), format!("file://{}", blobs.display()));
    let damaged = &variants.last().unwrap().key;
    let mut bytes = std::fs::read(blobs.join(damaged)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(blobs.join(damaged), bytes).unwrap();
    let job = verify(&parts, upload).await.expect("a dead letter");
    assert!(job.dead && job.last_error.as_deref().unwrap().contains(damaged), "{job:?}");

    std::fs::remove_file(blobs.join(damaged)).unwrap();
    let job = verify(&parts, upload).await.expect("a dead letter");
    assert!(job.dead && job.last_error.as_deref().unwrap().contains(damaged), "{job:?}");
    let events = records.events(upload).await.unwrap();
    assert!(events.iter().all(|event| !event.public_detail().contains(damaged.as_str())), "keys are internal");

    let run = |args: &[&str]| {
        let done = cloakroom_command(folder.path()).args(args).output().unwrap();
        (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    };
    let (done, explained) = run(&["explain", &upload.to_string()]);
    assert!(
        done && explained.contains("(upload.verify.v1) is a dead letter: ") && explained.contains(damaged),
        "{explained}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_enqueues_a_job_for_uploads_that_are_ready() {
    let folder = prepared_folder().await;
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let upload = parts.submit_picture(&read_picture("hubble.jpg")).await.unwrap().id;
    let verify = || {
        let done = cloakroom_command(folder.path()).args(["verify", &upload.to_string()]).output().unwrap();
        (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    };
    let (done, said) = verify();
    assert!(!done && said.contains("is not ready"), "{said}");
    parts.worker.run_pending().await.unwrap();
    let (done, said) = verify();
    assert!(done && said.contains(&format!("`cloakroom explain {upload}` shows the result")), "{said}");
    let jobs = parts.backends.records.jobs_of(upload).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>(), ["upload.verify.v1"]);
    // The process that runs takes the job from the records.
    parts.recover().await.unwrap();
    assert!(parts.backends.records.jobs_of(upload).await.unwrap().is_empty());
}
