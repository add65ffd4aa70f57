//! Tests the first start, which creates the administrator and shows the password once.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use test_support::process::{DataFolder, cloakroom_command};

/// An address at which there is no broker. An api also works without one.
const UNREACHABLE_BROKER: (&str, &str) = ("CLOAKROOM__QUEUE__URL", "amqp://127.0.0.1:1");
const GENERATED_PASSWORD: (&str, &str) = ("CLOAKROOM__REALM__ADMIN_PASSWORD", "");

/// Kills a process that a failed test leaves running.
struct ChildGuard(Child);

impl Drop for ChildGuard {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_port_that_is_taken_does_not_use_up_the_password() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (role, settings) in
        [("up", [GENERATED_PASSWORD].as_slice()), ("api", &[GENERATED_PASSWORD, UNREACHABLE_BROKER])]
    {
        let folder = DataFolder::new();
        assert!(cloakroom_command(folder.path()).args(["migrate", "up"]).output().unwrap().status.success());
        let on_taken = [("CLOAKROOM__HTTP__LISTEN", address.as_str())];
        let failed =
            cloakroom_command(folder.path()).arg(role).envs(settings.iter().copied()).envs(on_taken).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&failed.stdout), String::from_utf8_lossy(&failed.stderr));
        assert!(!failed.status.success() && err.contains(&format!("http.listen: {address}")), "{role}: {out}{err}");
        assert_eq!(out, "", "{role}");

        let mut second = cloakroom_command(folder.path());
        second.arg(role).envs(settings.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut second = ChildGuard(second.spawn().unwrap());
        let lines = BufReader::new(second.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut shown = lines.filter_map(|line| line.trim().strip_prefix("password").map(|rest| rest.trim().len()));
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(shown.next()));
        let shown = receiver.recv_timeout(Duration::from_secs(60));
        assert_eq!(shown, Ok(Some(29)), "{role}: five groups of five digits");
    }
}

#[test]
fn a_port_that_is_taken_leaves_no_demo_folder() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = DataFolder::new();
    let dir = folder.path().join("demo");
    let mut demo = cloakroom_command(folder.path());
    demo.args(["demo", "--exit", "--dir"]).arg(&dir);
    let failed = demo.env("CLOAKROOM__HTTP__LISTEN", taken.local_addr().unwrap().to_string()).output().unwrap();
    let err = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && err.contains("http.listen"), "{err}");
    assert!(
        dir.join("state").exists() && !dir.join("state/records.db").exists(),
        "a port that is taken must not leave records"
    );
}
