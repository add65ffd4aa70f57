//! Users, tokens and grants from the command line, as an operator uses them.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::portal::{Portal, picture};
use crate::process::{FED, Folder, PASSWORD, Process, command};

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
    until(async || jane.upload("astronaut.jpg", picture("astronaut.jpg")).await.status() == 401).await;
    assert!(!run(&folder, &["token", "issue", "jane"], "").0, "no token for who may nothing");
}

/// Returns once it is so. What a command changes holds in a running process within seconds.
async fn until(so: impl AsyncFn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let wait = async {
        while !so().await {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_ended_from_the_command_line() {
    let folder = Folder::new();
    let process = Process::up(&folder, &[]);
    for command in [["user", "logout", "admin"].as_slice(), &["user", "passwd", "admin", "--password-stdin"]] {
        let ada = Portal::log_in(&process).await;
        let (good, token, err) = run(&folder, &["token", "issue", "admin"], "");
        assert!(good, "{err}");
        let by_token = Portal::bearing(&process, token.trim());
        for session in [&ada, &by_token] {
            assert_eq!(session.get("/uploads/1").await.status(), 404);
        }
        let (good, out, err) = run(&folder, command, &format!("{PASSWORD}\n"));
        assert!(good && out.contains("admin"), "{out}{err}");
        until(async || ada.get("/uploads/1").await.status() == 401).await;
        until(async || by_token.get("/uploads/1").await.status() == 401).await;
    }
    let (good, _, err) = run(&folder, &["user", "logout", "nobody"], "");
    assert!(!good && err.contains("there is no user \"nobody\""), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_are_rotated_from_the_command_line() {
    let folder = Folder::new();
    let process = Process::up(&folder, &[]);
    let before = Portal::log_in(&process).await;
    let former = key(&before);
    let (good, out, err) = run(&folder, &["keys", "rotate"], "");
    assert!(good && out.contains("signs from now on"), "{out}{err}");
    until(async || key(&Portal::log_in(&process).await) != former).await;
    assert_eq!(before.get("/uploads/1").await.status(), 404, "what the former key signed stays valid");
}

/// What stands in a session's signature for the key that made it.
fn key(portal: &Portal) -> String {
    let request = portal.request(reqwest::Method::GET, "/").build().unwrap();
    let cookie = request.headers()["cookie"].to_str().unwrap().to_owned();
    cookie.split("%2Csig%3D").nth(1).unwrap()[..10].to_owned()
}
