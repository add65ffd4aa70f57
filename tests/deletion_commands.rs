//! `cloakroom uploads`, `files` and `avatars`: lists what is there, deletes it and restores it.

use std::time::Duration;

use domain::{Clock, ExpectedVersion, FileId, Resource, Service, UploadState};
use instrument::FailPoints;
use jiff::Timestamp;
use records::Claimant;
use serde_json::Value;
use test_support::in_process::{InProcess, OWNER, prepared_folder};
use test_support::portal::read_picture;
use test_support::process::{DataFolder, cloakroom_command};

/// Runs a command without a terminal. Returns whether it succeeded, and its output.
fn run_command(folder: &DataFolder, args: &[&str]) -> (bool, String) {
    let done = cloakroom_command(folder.path()).args(args).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

/// The ids of the JSON objects that a command prints, one in each line.
fn listed_ids(folder: &DataFolder, args: &[&str]) -> Vec<Value> {
    let (good, said) = run_command(folder, &[args, &["--json"]].concat());
    assert!(good, "{said}");
    said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_listed_shown_and_deleted() {
    let folder = prepared_folder().await;
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let picture = read_picture("astronaut.jpg");
    let ready = parts.submit_picture(&picture).await.unwrap().id;
    parts.submit_file(&FileId::generate(), &picture).await.unwrap();
    parts.worker.run_pending().await.unwrap();
    let waiting = parts.submit_picture(&picture).await.unwrap().id;
    let (first, version, second) = (Value::from(ready.get()), Value::from(ready.get() + 1), Value::from(waiting.get()));
    let list = |args: &[&str]| listed_ids(&folder, &[&["uploads", "ls"], args].concat());
    assert_eq!(list(&[]), [second.clone(), version.clone(), first.clone()]);
    assert_eq!(list(&["--limit", "1", "--cursor", &waiting.to_string()]), std::slice::from_ref(&version));
    assert_eq!(list(&["--kind", "dropbox"]), [second.clone(), first.clone()]);
    assert_eq!(list(&["--state", "ready", "--owner", OWNER]), [version, first.clone()]);
    assert_eq!(list(&["--owner", "joe"]), Vec::<Value>::new());
    assert_eq!(list(&["--before", "2020-01-01"]), Vec::<Value>::new());
    assert_eq!(list(&["--after", "2020-01-01", "--before", "2999-01-01T00:00:00Z"]).len(), 3);
    let (good, said) = run_command(&folder, &["uploads", "ls", "--limit", "2"]);
    assert!(good && said.contains(&format!("continue with --cursor {}", ready.get() + 1)), "{said}");
    for (args, words) in [
        (["--state", "done"], "there is no such state"),
        (["--kind", "done"], "there is no such kind"),
        (["--after", "noon"], "write a date or a time"),
    ] {
        let (good, said) = run_command(&folder, &[&["uploads", "ls"], args.as_slice()].concat());
        assert!(!good && said.contains(words), "{said}");
    }
    let (good, said) = run_command(&folder, &["uploads", "show", &ready.to_string()]);
    assert!(good && said.contains("variant    512.jpg"), "{said}");
    let (good, said) = run_command(&folder, &["uploads", "show", &ready.to_string(), "--json"]);
    let shown: Value = serde_json::from_str(&said).unwrap();
    assert!(good && shown["variants"].as_array().unwrap().len() == 3, "{said}");

    let (one, other) = (ready.to_string(), waiting.to_string());
    let (good, said) = run_command(&folder, &["uploads", "delete", &one, &other]);
    assert!(!good && said.contains("add --yes"), "{said}");
    assert_eq!(parts.backends.records.upload(ready).await.unwrap().unwrap().state, UploadState::Ready);
    let (good, said) = run_command(&folder, &["uploads", "delete", &one, &other, "--yes"]);
    assert!(good && said.contains(&format!("upload {other} is deleted")), "{said}");
    for id in [ready, waiting] {
        let last = parts.backends.records.events(id).await.unwrap().pop().unwrap();
        assert_eq!((last.kind.as_str(), last.detail.as_str()), ("deleted", "by the command line"));
    }
    assert_eq!(folder.staged_files().len(), 0);
    let (good, said) = run_command(&folder, &["uploads", "delete", "9999", "--yes"]);
    assert!(!good && said.contains("there is no upload 9999"), "{said}");
    let (good, said) = run_command(&folder, &["uploads", "delete", &(ready.get() + 1).to_string(), "--yes"]);
    assert!(!good && said.contains("belongs to a file"), "{said}");
    // The message of the cancelled job is still in the queue of this process.
    parts.worker.run_pending().await.unwrap();
    parts.sweeper.sweep_once().await.unwrap();
    assert_eq!(folder.blob_files().len(), 2, "the original of the file and its thumbnail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_deleted_and_restored_from_the_command_line() {
    let (folder, file) = (prepared_folder().await, FileId::generate());
    let clock = Clock::manual(Timestamp::now());
    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    parts.submit_file(&file, &read_picture("astronaut.jpg")).await.unwrap();
    parts.worker.run_pending().await.unwrap();
    let id = file.as_str();
    let list = |args: &[&str]| listed_ids(&folder, &[&["files", "ls"], args].concat());
    assert_eq!((list(&["--owner", OWNER]), list(&["--deleted"])), (vec![Value::from(id)], vec![]));
    assert_eq!((list(&["--owner", "joe"]), list(&["--cursor", id])), (vec![], vec![]));
    let (good, said) = run_command(&folder, &["files", "delete", id]);
    assert!(!good && said.contains("add --yes"), "{said}");
    let (good, said) = run_command(&folder, &["files", "delete", id, "--yes"]);
    assert!(good && said.contains(&format!("`cloakroom files restore {id}` restores it until")), "{said}");
    assert!(parts.backends.records.file(&file).await.unwrap().is_none());
    assert_eq!((list(&[]), list(&["--deleted"])), (vec![], vec![Value::from(id)]));
    let (_, said) = run_command(&folder, &["files", "ls", "--deleted"]);
    assert!(said.contains("by the command line, restorable until"), "{said}");
    let (good, said) = run_command(&folder, &["files", "restore", id]);
    assert!(good && said.contains("is restored"), "{said}");
    assert!(parts.backends.records.file(&file).await.unwrap().is_some());
    for command in [["files", "delete", "none", "--yes"].as_slice(), &["files", "restore", "none"]] {
        let (good, said) = run_command(&folder, command);
        assert!(!good && said.contains("there is no file none"), "{said}");
    }
    assert!(run_command(&folder, &["files", "delete", id, "--yes"]).0);
    clock.advance(Duration::from_secs(169 * 3600));
    assert_eq!(parts.sweeper.sweep_once().await.unwrap().purged_files, 1);
    assert_eq!(folder.blob_files().len(), 0);
    let (good, said) = run_command(&folder, &["files", "restore", id]);
    assert!(!good && said.contains("there is no file"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avatar_is_removed_from_the_command_line() {
    let folder = prepared_folder().await;
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let ready = parts.submit_picture(&read_picture("astronaut.jpg")).await.unwrap().id;
    parts.worker.run_pending().await.unwrap();
    let travel = Resource { service: Service::Apps, id: "travel".to_owned() };
    let ada = Claimant { user: OWNER.to_owned(), admin: false };
    let records = &parts.backends.records;
    records.claim(ready, &travel, &ada, None, ExpectedVersion::Any).await.unwrap().unwrap();
    let (good, said) = run_command(&folder, &["uploads", "delete", &ready.to_string(), "--yes"]);
    assert!(!good && said.contains("`cloakroom avatars remove apps/travel` removes that avatar"), "{said}");
    let (good, said) = run_command(&folder, &["avatars", "remove", "apps/travel"]);
    assert!(!good && said.contains("add --yes"), "{said}");
    let (good, said) = run_command(&folder, &["avatars", "remove", "apps/travel", "--yes"]);
    assert!(good && said.contains("1 picture is deleted"), "{said}");
    assert!(records.avatar(&travel).await.unwrap().is_none());
    let (good, said) = run_command(&folder, &["avatars", "remove", "apps/travel", "--yes"]);
    assert!(good && said.contains("has the default avatar already"), "{said}");
    let (good, said) = run_command(&folder, &["avatars", "remove", "trains/travel", "--yes"]);
    assert!(!good && said.contains("is not a resource"), "{said}");
    parts.sweeper.sweep_once().await.unwrap();
    assert_eq!(folder.blob_files().len(), 0);
}
