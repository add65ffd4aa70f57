//! `cloakroom jobs`, `explain` and `sweep` beside a process whose queue is in its memory: they cannot reach that queue,
//! and must not take their own for it. And `explain` for every kind of upload.

use std::time::Duration;

use jiff::Timestamp;
use upload::{Clock, Faults, FileId, Grammar, Place, Publish, RenditionName, State};

use crate::backends::Away;
use crate::parts::{Parts, prepared};
use crate::portal::picture;
use crate::process::{Folder, command};

/// What it printed, and whether it came to a good end.
fn ask(folder: &Folder, args: &[&str]) -> (bool, String) {
    let done = command(folder.path()).args(args).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_retried_by_hand_is_taken_up_by_the_process_that_runs() {
    let folder = prepared().await;
    let clock = Clock::manual(Timestamp::now());
    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    let id = parts.hand_in(&picture("astronaut.jpg")).await.unwrap().id;
    // Its bytes are away for the first attempt, and there again for the next.
    let (staged, aside) = (folder.staged().remove(0), folder.path().join("aside"));
    std::fs::rename(&staged, &aside).unwrap();
    parts.worker.run_what_is_there().await.unwrap();
    std::fs::rename(&aside, &staged).unwrap();
    let records = &parts.places.records;
    let dead = records.jobs(true, 1).await.unwrap().remove(0).id;

    let (good, said) = ask(&folder, &["jobs", "retry", &dead.to_string()]);
    assert!(good && said.contains("tried again by the running cloakroom"), "{said}");
    clock.advance(Duration::from_secs(60));
    assert_eq!(parts.sweeper.once().await.unwrap().published, 1);
    assert_eq!(parts.worker.run_what_is_there().await.unwrap(), 1);
    assert_eq!(records.upload(id).await.unwrap().unwrap().state, State::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_or_put_into_a_queue_that_is_another_process() {
    let folder = prepared().await;
    let parts = Parts::open(&folder, Clock::system(), Faults::default()).await.unwrap();
    let admitted = parts.hand_in(&picture("astronaut.jpg")).await.unwrap();
    parts.places.records.note_published([Publish::first(admitted.ticket.id)]).await.unwrap();
    let (good, said) = ask(&folder, &["explain", &admitted.id.to_string()]);
    assert!(good && said.contains("in the memory of the running cloakroom"), "{said}");
    let (good, said) = ask(&folder, &["sweep", "--once"]);
    assert!(!good && said.contains("queue.url is memory:"), "{said}");
}

/// The command goes by the real time: what happened an hour from now lasts, and what happened an hour ago is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_postponed_or_has_a_worker_is_told() {
    const HOUR: Duration = Duration::from_secs(3600);
    let (folder, now) = (prepared().await, Timestamp::now());
    let parts = Parts::open(&folder, Clock::manual(now + HOUR), Faults::default()).await.unwrap();
    let explained = |id: upload::UploadId, words: &[&str]| {
        let (good, said) = ask(&folder, &["explain", &id.to_string()]);
        assert!(good && words.iter().all(|words| said.contains(words)), "{said}");
    };
    let postponed = parts.hand_in(&picture("astronaut.jpg")).await.unwrap();
    let away = Away::take(&folder.path().join("blobs"));
    parts.worker.run_what_is_there().await.unwrap();
    away.give_back();
    explained(postponed.id, &["It is postponed until", "because blobs failed", "no attempt is lost"]);
    let leased = parts.hand_in(&picture("astronaut.jpg")).await.unwrap();
    parts.places.records.begin_attempt(&leased.ticket, HOUR).await.unwrap();
    explained(leased.id, &["A worker is on it, attempt 1"]);
    drop(parts);
    let parts = Parts::open(&folder, Clock::manual(now - HOUR), Faults::default()).await.unwrap();
    let vanished = parts.hand_in(&picture("astronaut.jpg")).await.unwrap();
    parts.places.records.begin_attempt(&vanished.ticket, HOUR / 60).await.unwrap();
    explained(vanished.id, &["Its worker has shown no sign of life"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_and_its_rendition_wait_for_is_told() {
    let (folder, file) = (prepared().await, FileId::fresh());
    let parts = Parts::open(&folder, Clock::system(), Faults::default()).await.unwrap();
    let waits = |id: upload::UploadId| {
        let (good, said) = ask(&folder, &["explain", &id.to_string()]);
        assert!(good && said.contains("The queue has not been told of its job yet"), "{said}");
    };
    waits(parts.hand_in_file(&file, &picture("astronaut.jpg")).await.unwrap().id);
    parts.worker.run_what_is_there().await.unwrap();
    let version = parts.places.records.file_versions(&file).await.unwrap().remove(0).id;
    let name = RenditionName::parse("Small", Grammar::V1_2).unwrap();
    let place = Place::Rendition { version, name, description: String::new(), most: 9 };
    waits(parts.hand_in_at(place, &picture("astronaut.jpg")).await.unwrap().id);
}
