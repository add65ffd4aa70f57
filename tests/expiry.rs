//! What nobody claims expires, what nobody settles fails, and what nobody wants is collected: all by a clock that is
//! moved by hand.

use std::time::Duration;

use upload::{ClaimRefused, Claimant, Clock, FaultSwitch, Faults, Resource, Service, State};

use crate::parts::{OWNER, Parts, prepared};
use crate::portal::picture;

const DAY: Duration = Duration::from_secs(86_400);

fn resource() -> Resource {
    Resource { service: Service::Users, id: OWNER.to_owned() }
}

fn claimant() -> Claimant {
    Claimant { user: OWNER.to_owned(), admin: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn unclaimed_expires_and_every_byte_goes() {
    let folder = prepared().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    let unclaimed = parts.hand_in(&picture("astronaut.jpg")).await.unwrap().id;
    let claimed = parts.hand_in(&picture("astronaut.jpg")).await.unwrap().id;
    parts.worker.run_what_is_there().await.unwrap();
    let records = &parts.places.records;
    assert_eq!(records.claim(claimed, &resource(), &claimant()).await.unwrap(), Ok(()));

    clock.advance(DAY - Duration::from_millis(1));
    assert_eq!(parts.sweeper.once().await.unwrap().expired, 0, "not a millisecond early");
    clock.advance(Duration::from_millis(1));
    // Its time is over although nobody has swept yet.
    assert_eq!(records.claim(unclaimed, &resource(), &claimant()).await.unwrap(), Err(ClaimRefused::Expired));
    let swept = parts.sweeper.once().await.unwrap();
    assert_eq!((swept.expired, swept.collected), (1, 4));

    let gone = records.upload(unclaimed).await.unwrap().unwrap();
    assert_eq!(gone.state, State::Expired);
    assert_eq!(gone.reason.unwrap().code, "unclaimed", "the record says why");
    assert_eq!(records.upload(claimed).await.unwrap().unwrap().state, State::Ready);
    assert_eq!(folder.blobs().len(), 4, "the claimed one keeps its own");
    assert_eq!(records.claim(unclaimed, &resource(), &claimant()).await.unwrap(), Err(ClaimRefused::Expired));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_sweep_that_fails_keeps_no_later_one_from_being_done() {
    let folder = prepared().await;
    let (clock, switch) = (Clock::manual(jiff::Timestamp::now()), FaultSwitch::default());
    let parts = Parts::open(&folder, clock.clone(), switch.faults()).await.unwrap();
    let id = parts.hand_in(&picture("astronaut.jpg")).await.unwrap().id;
    parts.worker.run_what_is_there().await.unwrap();
    clock.advance(DAY);
    for op in ["forget_answers", "remove_ended_sessions", "fail_overdue", "take_unpublished"] {
        switch.fail("records", op);
    }
    parts.sweeper.once().await.unwrap_err();
    assert_eq!(parts.places.records.upload(id).await.unwrap().unwrap().state, State::Expired);
    assert_eq!(folder.blobs().len(), 0, "what makes room is done last, and done");
    switch.clear();
    parts.sweeper.once().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_and_expiry_have_one_winner() {
    let folder = prepared().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(parts.hand_in(&picture("astronaut.jpg")).await.unwrap().id);
    }
    parts.worker.run_what_is_there().await.unwrap();
    clock.advance(DAY - Duration::from_millis(20));
    let claims = ids.iter().map(|id| {
        let (records, clock, id) = (parts.places.records.clone(), clock.clone(), *id);
        tokio::spawn(async move {
            clock.advance(Duration::from_millis(2));
            records.claim(id, &resource(), &claimant()).await.unwrap()
        })
    });
    let (claims, swept) = tokio::join!(futures::future::join_all(claims), parts.sweeper.once());
    swept.unwrap();
    parts.sweeper.once().await.unwrap();
    for (id, claim) in ids.iter().zip(claims) {
        let upload = parts.places.records.upload(*id).await.unwrap().unwrap();
        match claim.unwrap() {
            Ok(()) => assert!(upload.claim.is_some() && upload.state != State::Expired, "{id} was claimed and expired"),
            Err(_) => assert!(upload.claim.is_none() && upload.state == State::Expired, "{id} has neither end"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_past_its_deadline() {
    let folder = prepared().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    let admitted = parts.hand_in(&picture("astronaut.jpg")).await.unwrap();
    let waiting = parts.places.queue.wait_for(admitted.ticket.id);
    clock.advance(Duration::from_secs(600));
    assert_eq!(parts.sweeper.once().await.unwrap().failed, 1);
    let verdict = waiting.verdict(Duration::from_secs(5)).await;
    assert!(matches!(verdict, Some(upload::Verdict::Failed(reason)) if reason.code == "deadline"), "waiters are told");
    // The delivery that comes too late does nothing.
    parts.worker.run_what_is_there().await.unwrap();
    let upload = parts.places.records.upload(admitted.id).await.unwrap().unwrap();
    assert_eq!((upload.state, upload.reason.unwrap().code.as_str()), (State::Failed, "deadline"));
    assert!(folder.blobs().is_empty());
    assert_eq!(parts.places.records.census().await.unwrap().dead_jobs, 1, "kept for people to look at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_the_queue_forgot_is_published_again() {
    let folder = prepared().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let id = {
        let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
        parts.hand_in(&picture("astronaut.jpg")).await.unwrap().id
    };
    // A new queue in memory knows nothing of the old one's tickets.
    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    assert_eq!(parts.sweeper.once().await.unwrap().published, 0, "whoever promised gets a moment to publish");
    clock.advance(Duration::from_secs(11));
    assert_eq!(parts.sweeper.once().await.unwrap().published, 1);
    assert_eq!(parts.worker.run_what_is_there().await.unwrap(), 1);
    assert_eq!(parts.places.records.upload(id).await.unwrap().unwrap().state, State::Ready);
    assert_eq!(parts.sweeper.once().await.unwrap().published, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_bytes_that_nobody_waits_for_are_removed() {
    let folder = prepared().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    let mut orphan = parts.places.staging.intake();
    orphan.write(b"nobody will admit this").await.unwrap();
    orphan.finish().await.unwrap();
    parts.hand_in(&picture("astronaut.jpg")).await.unwrap();
    assert_eq!(parts.sweeper.once().await.unwrap().orphans, 0, "it may be somebody's who is about to admit it");
    assert_eq!(folder.staged().len(), 2);
    // Older than anything by the clock, whatever the moment at which the files were written.
    clock.advance(Duration::from_secs(60));
    assert_eq!(parts.sweeper.remove_orphans(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(folder.staged().len(), 1, "what an upload waits for stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_for_a_while_only_costs_time() {
    let folder = prepared().await;
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    let id = parts.hand_in(&picture("astronaut.jpg")).await.unwrap().id;
    // A folder that cannot be written to, as far as a process that may do everything can be stopped: a file in its way.
    let blobs = folder.path().join("blobs");
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::write(&blobs, b"in the way").unwrap();
    parts.worker.run_what_is_there().await.unwrap();
    let events = parts.places.records.events(id).await.unwrap();
    assert!(events.iter().any(|event| event.what == "put off"), "{events:?}");
    std::fs::remove_file(&blobs).unwrap();
    clock.advance(Duration::from_secs(20));
    parts.recover().await.unwrap();
    let upload = parts.places.records.upload(id).await.unwrap().unwrap();
    assert_eq!(upload.state, State::Ready);
    assert!(folder.staged().is_empty());
}
