//! Unclaimed pictures expire, unsettled uploads fail, and unneeded bytes are deleted. The tests move the clock by hand.

use std::time::Duration;

use domain::{Clock, EventKind, ExpectedVersion, Resource, Service, UploadState};
use instrument::{FailPointSwitch, FailPoints};
use records::{ClaimRefusal, Claimant};
use test_support::in_process::{InProcess, OWNER, prepared_folder};
use test_support::portal::read_picture;

const DAY: Duration = Duration::from_secs(86_400);

fn resource() -> Resource {
    Resource { service: Service::Users, id: OWNER.to_owned() }
}

fn claimant() -> Claimant {
    Claimant { user: OWNER.to_owned(), admin: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclaimed_picture_expires_and_its_bytes_are_deleted() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let unclaimed = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id;
    let claimed = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id;
    parts.worker.run_pending().await.unwrap();
    let records = &parts.backends.records;
    assert_eq!(records.claim(claimed, &resource(), &claimant(), None, ExpectedVersion::Any).await.unwrap(), Ok(()));

    clock.advance(DAY - Duration::from_millis(1));
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().expired, 0, "not a millisecond early");
    clock.advance(Duration::from_millis(1));
    // The picture has expired, although no sweep has run yet.
    assert_eq!(
        records.claim(unclaimed, &resource(), &claimant(), None, ExpectedVersion::Any).await.unwrap(),
        Err(ClaimRefusal::Expired)
    );
    let swept = parts.sweeper.sweep_once().await.unwrap();
    assert_eq!((swept.expired, swept.deleted_blobs), (1, 4));

    let gone = records.upload(unclaimed).await.unwrap().unwrap();
    assert_eq!(gone.state, UploadState::Expired);
    assert_eq!(gone.reason.unwrap().code.as_str(), "unclaimed", "the upload has the reason");
    assert_eq!(records.upload(claimed).await.unwrap().unwrap().state, UploadState::Ready);
    assert_eq!(folder.blob_files().len(), 4, "the claimed picture keeps its blobs");
    assert_eq!(
        records.claim(unclaimed, &resource(), &claimant(), None, ExpectedVersion::Any).await.unwrap(),
        Err(ClaimRefusal::Expired)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_part_of_a_sweep_does_not_stop_the_later_parts() {
    let folder = prepared_folder().await;
    let (clock, switch) = (Clock::manual(jiff::Timestamp::now()), FailPointSwitch::default());
    let parts = InProcess::open(&folder, clock.clone(), switch.fail_points()).await.unwrap();
    let id = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id;
    parts.worker.run_pending().await.unwrap();
    clock.advance(DAY);
    for op in ["delete_expired_idempotency_keys", "delete_ended_sessions", "fail_overdue", "take_due_messages"] {
        switch.start_failing("records", op);
    }
    parts.sweeper.sweep_once().await.unwrap_err();
    assert_eq!(parts.backends.records.upload(id).await.unwrap().unwrap().state, UploadState::Expired);
    assert_eq!(folder.blob_files().len(), 0, "the last part of the sweep, the deletions, ran");
    switch.clear();
    parts.sweeper.sweep_once().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_either_claimed_or_expired() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id);
    }
    parts.worker.run_pending().await.unwrap();
    clock.advance(DAY - Duration::from_millis(20));
    let claims = ids.iter().map(|id| {
        let (records, clock, id) = (parts.backends.records.clone(), clock.clone(), *id);
        tokio::spawn(async move {
            clock.advance(Duration::from_millis(2));
            records.claim(id, &resource(), &claimant(), None, ExpectedVersion::Any).await.unwrap()
        })
    });
    let (claims, swept) = tokio::join!(futures::future::join_all(claims), parts.sweeper.sweep_once());
    swept.unwrap();
    parts.sweeper.sweep_once().await.unwrap();
    for (id, claim) in ids.iter().zip(claims) {
        let upload = parts.backends.records.upload(*id).await.unwrap().unwrap();
        match claim.unwrap() {
            Ok(()) => {
                assert!(upload.claim.is_some() && upload.state != UploadState::Expired, "{id} was claimed and expired")
            }
            Err(_) => assert!(
                upload.claim.is_none() && upload.state == UploadState::Expired,
                "{id} is neither claimed nor expired"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_fails_at_its_deadline() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let admitted = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    let waiting = parts.backends.queue.wait_for_outcome(admitted.message.id);
    clock.advance(Duration::from_secs(600));
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().failed, 1);
    let outcome = waiting.outcome(Duration::from_secs(5)).await;
    assert!(
        matches!(outcome, Some(domain::Outcome::Failed(reason)) if reason.code.as_str() == "deadline"),
        "a waiting client gets the outcome"
    );
    // The late delivery changes nothing.
    parts.worker.run_pending().await.unwrap();
    let upload = parts.backends.records.upload(admitted.id).await.unwrap().unwrap();
    assert_eq!((upload.state, upload.reason.unwrap().code.as_str()), (UploadState::Failed, "deadline"));
    assert!(folder.blob_files().is_empty());
    assert_eq!(parts.backends.records.stats().await.unwrap().dead_jobs, 1, "the job is kept for operators");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_the_queue_lost_is_published_again() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let id = {
        let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
        parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id
    };
    // A new queue in memory does not have the old queue's job messages.
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    assert_eq!(
        parts.sweeper.sweep_once().await.unwrap().republished,
        0,
        "the api gets a moment to publish the job itself"
    );
    clock.advance(Duration::from_secs(11));
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().republished, 1);
    assert_eq!(parts.worker.run_pending().await.unwrap(), 1);
    assert_eq!(parts.backends.records.upload(id).await.unwrap().unwrap().state, UploadState::Ready);
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().republished, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_in_staging_are_deleted() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let mut orphan = parts.backends.staging.new_writer();
    orphan.write(b"never admitted").await.unwrap();
    orphan.finish().await.unwrap();
    parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap();
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().deleted_orphans, 0, "an api may be about to admit it");
    assert_eq!(folder.staged_files().len(), 2);
    // The test's clock decides the age of a file. Now every file is older than the minimum age of
    // zero.
    clock.advance(Duration::from_secs(60));
    assert_eq!(parts.sweeper.delete_orphans(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(folder.staged_files().len(), 1, "the bytes that an upload needs stay");
    parts.recover().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_outage_only_delays_an_upload() {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    let id = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id;
    // A folder that not even root can write to, because a file is in its place.
    let blobs = folder.path().join("blobs");
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::write(&blobs, b"in the way").unwrap();
    parts.worker.run_pending().await.unwrap();
    let events = parts.backends.records.events(id).await.unwrap();
    assert!(events.iter().any(|event| event.kind == EventKind::Postponed), "{events:?}");
    std::fs::remove_file(&blobs).unwrap();
    clock.advance(Duration::from_secs(20));
    parts.recover().await.unwrap();
    let upload = parts.backends.records.upload(id).await.unwrap().unwrap();
    assert_eq!(upload.state, UploadState::Ready);
    assert!(folder.staged_files().is_empty());
}
