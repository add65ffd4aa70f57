//! Tests `/livez`, `/readyz` and `/metrics` on the listener that clients cannot reach.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use test_support::portal::PortalClient;
use test_support::process::{DataFolder, ServerProcess, cloakroom_command};

#[tokio::test(flavor = "multi_thread")]
async fn processes_with_the_same_settings_each_have_probes() {
    let folders = [DataFolder::new(), DataFolder::new()];
    let [one, other] = [&folders[0], &folders[1]].map(|folder| ServerProcess::start_all_in_one(folder, &[]));
    assert_ne!(one.probes(), other.probes());
    for process in [&one, &other] {
        assert!(process.probes().ip().is_loopback(), "{}", process.probes());
        assert_eq!(process.probe("/livez").await, (200, "alive".to_owned()));
        let (status, report) = process.probe("/readyz").await;
        assert!(status == 200 && report.contains("\"records\":\"ok\""), "{status} {report}");
        let (status, metrics) = process.probe("/metrics").await;
        assert!(status == 200 && metrics.contains("cloakroom_"), "{status} {metrics}");
        assert_eq!(process.probe("/").await.0, 404);
    }
    assert_eq!((one.stop(), other.stop()), (Some(0), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_can_read_metrics_if_a_setting_allows_it() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(
        &folder,
        &[("CLOAKROOM__HTTP__METRICS", "true"), ("CLOAKROOM__PROBES__LISTEN", "")],
    );
    assert!(!process.log().contains("\"probes\""), "the settings say that there are no probes");
    let portal = PortalClient::log_in(&process).await;
    let metrics = portal.get("/metrics").await;
    assert_eq!(metrics.status(), 200);
    assert!(metrics.text().await.unwrap().contains("cloakroom_logins_total"));
}

#[test]
fn a_configured_probe_address_that_is_taken_is_an_error() {
    let folder = DataFolder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut process = cloakroom_command(folder.path());
    process.arg("up").env("CLOAKROOM__PROBES__LISTEN", &address).stderr(Stdio::piped());
    let mut process = process.spawn().unwrap();
    let mut said = String::new();
    for line in BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok) {
        said.push_str(&line);
        if line.contains("cloakroom is up") {
            process.kill().unwrap();
        }
    }
    assert!(!process.wait().unwrap().success());
    assert!(said.contains(&format!("probes.listen: {address} cannot be listened on")), "{said}");
    assert!(!folder.path().join("records.db").exists(), "the process opened its records");
}
