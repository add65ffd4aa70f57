//! What a person who configures it sees.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::process::{Folder, PASSWORD, command};

fn run(folder: &Folder, args: &[&str], settings: &[(&str, &str)]) -> (bool, String, String) {
    let done = command(folder.path()).args(args).envs(settings.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.success(), text(done.stdout), text(done.stderr))
}

#[test]
fn check_shows_what_is_in_effect_and_no_secret() {
    let folder = Folder::new();
    let url = ("CLOAKROOM__RECORDS__URL", "postgres://ada:s3cret@db/cloakroom");
    let (good, out, err) = run(&folder, &["config", "check"], &[url, ("CLOAKROOM__UPLOADS__KEEP", "36h")]);
    assert!(good, "{err}");
    assert!(out.contains("url = \"postgres://…@db/cloakroom\""), "{out}");
    assert!(!out.contains("s3cret") && !out.contains(PASSWORD), "{out}");
    assert!(out.contains("keep = \"36h\"") || out.contains("keep = \"1d 12h\""), "{out}");
}

#[test]
fn a_mistake_is_named() {
    let folder = Folder::new();
    for (name, value, says) in [
        ("CLOAKROOM__HTTP__LISTENN", "x", "listenn"),
        ("CLOAKROOM__UPLOADS__KEEP", "soon", "keep"),
        ("CLOAKROOM__WORKER__QUEUES", "pictures,renderings", "renderings"),
        ("CLOAKROOM__QUEUE__URL", "kafka://localhost", "kafka"),
    ] {
        let (good, _, err) = run(&folder, &["up"], &[(name, value)]);
        assert!(!good && err.contains(says), "{name}={value}: {err}");
    }
    let (good, _, err) = run(&folder, &["--config", "nowhere.toml", "config", "check"], &[]);
    assert!(!good && err.contains("nowhere.toml"), "{err}");
}

#[test]
fn the_defaults_are_a_settings_file() {
    let folder = Folder::new();
    let (good, defaults, _) = run(&folder, &["config", "dump", "--defaults"], &[]);
    assert!(good);
    std::fs::write(folder.path().join("cloakroom.toml"), defaults).unwrap();
    let (good, _, err) = run(&folder, &["config", "check"], &[]);
    assert!(good, "{err}");
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = Folder::new();
    let _first = crate::process::Process::up(&folder, &[]);
    let (good, _, err) = run(&folder, &["up"], &[]);
    assert!(!good && err.contains("another cloakroom runs on"), "{err}");
}

#[test]
fn a_worker_that_cannot_answer_its_probes_does_not_begin() {
    let folder = Folder::new();
    assert!(run(&folder, &["migrate", "up"], &[]).0);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = [("CLOAKROOM__PROBES__LISTEN", address.as_str()), ("CLOAKROOM__QUEUE__URL", "amqp://127.0.0.1:1")];
    let mut worker = command(folder.path()).arg("worker").envs(settings).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    for line in BufReader::new(worker.stderr.take().unwrap()).lines().map_while(Result::ok) {
        said.push_str(&line);
        if line.contains("the worker is up") {
            worker.kill().unwrap();
        }
    }
    assert!(!worker.wait().unwrap().success());
    assert!(said.contains(&format!("probes.listen: {address}")) && !said.contains("the worker is up"), "{said}");
}
