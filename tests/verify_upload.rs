//! `upload.verify.v1`: the stored bytes of a ready upload are compared with their digests.

use std::time::Duration;

use domain::{Clock, EventKind, Job, UploadId};
use instrument::FailPoints;
use records::JobRow;
use test_support::in_process::{InProcess, backend_settings, prepared_folder};
use test_support::portal::read_picture;

const TIMEOUT: Duration = Duration::from_secs(3600);

/// Enqueues the job, runs it, and returns it if it is dead now.
async fn verify(parts: &InProcess, upload: UploadId) -> Option<JobRow> {
    let message =
        parts.backends.records.enqueue_upload_job(upload, Job::VerifyUpload { upload }, TIMEOUT).await.unwrap();
    let message = message.expect("the upload is ready");
    parts.backends.queue.publish(&message).await.unwrap();
    assert_eq!(parts.worker.run_pending().await.unwrap(), 1);
    parts.backends.records.job(message.id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_lost_bytes_become_dead_letters_and_good_ones_an_event() {
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
}
