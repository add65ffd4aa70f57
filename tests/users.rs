//! Tests users, tokens and grants from the command line, as an operator uses them.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use test_support::portal::{PortalClient, read_picture};
use test_support::process::{DataFolder, FEDMEMBER, PASSWORD, ServerProcess, cloakroom_command};

fn run_command(folder: &DataFolder, args: &[&str], input: &str) -> (bool, String, String) {
    let mut child = cloakroom_command(folder.path())
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
async fn users_are_added_granted_and_disabled() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let (good, out, err) =
        run_command(&folder, &["user", "add", "jane", "jane@example.org", "--password-stdin"], "a long one\n");
    assert!(good && out.contains(&format!("jane.{FEDMEMBER}")), "{out}{err}");
    assert!(!run_command(&folder, &["user", "add", "jane", "other@example.org"], "").0, "the id is taken");
    let (short, _, err) = run_command(&folder, &["user", "passwd", "jane", "--password-stdin"], "short\n");
    assert!(!short && err.contains("8 characters"), "{err}");
    let (_, listed, _) = run_command(&folder, &["user", "ls"], "");
    assert!(listed.lines().any(|line| line.starts_with("jane ") && line.contains("member")), "{listed}");

    let (good, token, err) = run_command(&folder, &["token", "issue", "jane", "--lifetime", "10m"], "");
    assert!(good, "{err}");
    for lifetime in ["0s", "-5m", "soon"] {
        let flag = format!("--lifetime={lifetime}");
        let (good, token, err) = run_command(&folder, &["token", "issue", "jane", &flag], "");
        assert!(!good && token.is_empty() && err.contains("write a positive time"), "{lifetime}: {err}");
    }
    let jane = PortalClient::with_token(&process, token.trim());
    let number = jane.upload("astronaut.jpg", read_picture("astronaut.jpg")).await.text().await.unwrap();
    let app = format!("apps/travel.{FEDMEMBER}");
    let refused = jane.claim(&app, &number).await.status().as_u16();
    assert!(matches!(refused, 403 | 404), "without a grant: {refused}");
    let (good, _, err) = run_command(&folder, &["grant", &app, "jane"], "");
    assert!(good, "{err}");
    assert_eq!(jane.claim(&app, &number).await.status(), 200);
    assert!(!run_command(&folder, &["grant", "trains/travel", "jane"], "").0, "there is no such service");

    assert!(run_command(&folder, &["user", "disable", "jane"], "").0);
    wait_until(async || jane.upload("astronaut.jpg", read_picture("astronaut.jpg")).await.status() == 401).await;
    assert!(!run_command(&folder, &["token", "issue", "jane"], "").0, "no token for a disabled user");
}

/// Waits until a condition holds. A running process notices what a command changed within seconds.
async fn wait_until(condition: impl AsyncFn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let wait = async {
        while !condition().await {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_ended_from_the_command_line() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    for command in [["user", "logout", "admin"].as_slice(), &["user", "passwd", "admin", "--password-stdin"]] {
        let ada = PortalClient::log_in(&process).await;
        let (good, token, err) = run_command(&folder, &["token", "issue", "admin"], "");
        assert!(good, "{err}");
        let by_token = PortalClient::with_token(&process, token.trim());
        for session in [&ada, &by_token] {
            assert_eq!(session.get("/uploads/1").await.status(), 404);
        }
        let (good, out, err) = run_command(&folder, command, &format!("{PASSWORD}\n"));
        assert!(good && out.contains("admin"), "{out}{err}");
        wait_until(async || ada.get("/uploads/1").await.status() == 401).await;
        wait_until(async || by_token.get("/uploads/1").await.status() == 401).await;
    }
    let (good, _, err) = run_command(&folder, &["user", "logout", "nobody"], "");
    assert!(!good && err.contains("there is no user \"nobody\""), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_are_rotated_from_the_command_line() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let before = PortalClient::log_in(&process).await;
    let former = signing_key_of(&before);
    let (good, out, err) = run_command(&folder, &["keys", "rotate"], "");
    assert!(good && out.contains("the new key is"), "{out}{err}");
    wait_until(async || signing_key_of(&PortalClient::log_in(&process).await) != former).await;
    assert_eq!(before.get("/uploads/1").await.status(), 404, "what the former key signed stays valid");
}

/// The part of a session's signature that identifies its signing key.
fn signing_key_of(portal: &PortalClient) -> String {
    let request = portal.request(reqwest::Method::GET, "/").build().unwrap();
    let cookie = request.headers()["cookie"].to_str().unwrap().to_owned();
    cookie.split("%2Csig%3D").nth(1).unwrap()[..10].to_owned()
}
