//! Users, tokens and grants from the command line, as an operator uses them.

use std::io::Write;
use std::process::Stdio;

use crate::portal::{Portal, picture};
use crate::process::{FED, Folder, Process, command};

fn run(folder: &Folder, args: &[&str], input: &str) -> (bool, String, String) {
    let mut child = command(folder.path())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let done = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.success(), text(done.stdout), text(done.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_added_granted_and_disabled() {
    let folder = Folder::new();
    let process = Process::up(&folder, &[]);
    let (good, out, err) =
        run(&folder, &["user", "add", "jane", "jane@example.org", "--password-stdin"], "a long one\n");
    assert!(good && out.contains(&format!("jane.{FED}")), "{out}{err}");
    assert!(!run(&folder, &["user", "add", "jane", "other@example.org"], "").0, "the id is taken");
    let (short, _, err) = run(&folder, &["user", "passwd", "jane", "--password-stdin"], "short\n");
    assert!(!short && err.contains("8 characters"), "{err}");
    let (_, listed, _) = run(&folder, &["user", "ls"], "");
    assert!(listed.lines().any(|line| line.starts_with("jane ") && line.contains("member")), "{listed}");

    let (good, token, err) = run(&folder, &["token", "issue", "jane", "--life", "10m"], "");
    assert!(good, "{err}");
    let jane = Portal::bearing(&process, token.trim());
    let number = jane.upload("astronaut.jpg", picture("astronaut.jpg")).await.text().await.unwrap();
    let app = format!("apps/travel.{FED}");
    let refused = jane.claim(&app, &number).await.status().as_u16();
    assert!(matches!(refused, 403 | 404), "without a grant: {refused}");
    let (good, _, err) = run(&folder, &["grant", &app, "jane"], "");
    assert!(good, "{err}");
    assert_eq!(jane.claim(&app, &number).await.status(), 200);
    assert!(!run(&folder, &["grant", "trains/travel", "jane"], "").0, "there is no such service");

    assert!(run(&folder, &["user", "disable", "jane"], "").0);
    assert_eq!(jane.upload("astronaut.jpg", picture("astronaut.jpg")).await.status(), 401, "at once");
    assert!(!run(&folder, &["token", "issue", "jane"], "").0, "no token for who may nothing");
}
