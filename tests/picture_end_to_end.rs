//! Tests a picture as a portal uses it: a photograph is uploaded, shown, claimed and used as an avatar.

use picture::{Limits, probe};
use serde_json::Value;
use test_support::portal::{PortalClient, read_picture};
use test_support::process::{DataFolder, FEDMEMBER, ServerProcess};

fn pixels(bytes: &[u8]) -> (u32, u32) {
    let probed = probe(bytes, &Limits::default()).unwrap();
    (probed.width, probed.height)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photograph_becomes_an_avatar() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let portal = PortalClient::log_in(&process).await;

    let answer = portal.upload("astronaut.jpg", read_picture("astronaut.jpg")).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let number = answer.text().await.unwrap();
    assert_eq!(number, "1001", "the first number, and nothing else in the body");

    for size in [512, 75, 25, 333] {
        let shown = portal.get(&format!("/api/dropbox/pictures/{number}?size={size}&s=1732226400000")).await;
        assert_eq!(shown.status(), 200, "{size}");
        assert_eq!(shown.headers()["content-type"], "image/jpeg");
        assert_eq!(shown.headers()["x-content-type-options"], "nosniff");
        let bytes = shown.bytes().await.unwrap();
        assert_eq!(pixels(&bytes), (size, size));
        assert!(!bytes.windows(4).any(|window| window == b"Exif"), "metadata is gone");
    }
    let png =
        portal.request(reqwest::Method::GET, &format!("/api/dropbox/pictures/{number}")).header("accept", "image/png");
    let png = png.send().await.unwrap();
    assert_eq!((png.status().as_u16(), &png.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
    assert_eq!(pixels(&png.bytes().await.unwrap()), (512, 512));

    let upload: Value = portal.json(&format!("/uploads/{number}")).await;
    assert_eq!(upload["state"], "ready");
    let told: Vec<&str> =
        upload["events"].as_array().unwrap().iter().map(|event| event["what"].as_str().unwrap()).take(7).collect();
    assert_eq!(told, ["staged", "queued", "attempt", "validated", "rendered", "promoted", "ready"]);
    let owner = upload["owner"].as_str().unwrap().to_owned();

    let default = portal.get(&format!("/api/users/{owner}.{FEDMEMBER}/avatar?size=75")).await;
    assert_eq!(default.status(), 200);
    let default = default.bytes().await.unwrap();
    assert_eq!(portal.claim(&format!("users/{owner}.{FEDMEMBER}"), &number).await.status(), 200);
    assert_eq!(
        portal.claim(&format!("users/{owner}.{FEDMEMBER}"), &number).await.status(),
        200,
        "the same claim succeeds again"
    );
    assert_eq!(
        portal.claim(&format!("apps/travel.{FEDMEMBER}"), &number).await.status(),
        409,
        "the picture is claimed already"
    );
    let avatar = portal.get(&format!("/api/users/{owner}.{FEDMEMBER}/avatar?size=75")).await;
    assert_eq!((avatar.status().as_u16(), &avatar.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
    let avatar = avatar.bytes().await.unwrap();
    assert_ne!(avatar, default);
    assert_eq!(pixels(&avatar), (75, 75));
    assert_eq!(
        portal.get(&format!("/api/dropbox/pictures/{number}")).await.status(),
        404,
        "a claimed picture has left the dropbox"
    );

    assert!(folder.staged_files().is_empty(), "nothing stays in staging");
    assert_eq!(process.stop(), Some(0), "a drained process exits with status 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn respond_async_answers_with_a_status_location() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let portal = PortalClient::log_in(&process).await;
    let answer = portal.upload_preferring("respond-async", "astronaut.jpg", read_picture("astronaut.jpg")).await;
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["location"], "/uploads/1001");
    assert!(answer.headers()["preference-applied"].to_str().unwrap().contains("respond-async"));
    assert_eq!(answer.text().await.unwrap(), "1001");
    assert_eq!(
        portal.get("/api/dropbox/pictures/1001?size=512").await.status(),
        200,
        "the request waits for the picture"
    );
    assert_eq!(portal.json("/uploads/1001").await["state"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_answer_and_metrics_count_an_upload() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let portal = PortalClient::log_in(&process).await;
    assert_eq!(portal.get("/livez").await.status(), 200);
    assert_eq!(portal.get("/readyz").await.status(), 200);
    portal.upload("astronaut.jpg", read_picture("astronaut.jpg")).await;
    assert_eq!(portal.get("/metrics").await.status(), 404, "clients cannot read metrics");
    let (_, metrics) = process.probe("/metrics").await;
    for line in [
        "cloakroom_jobs_total{kind=\"picture.process.v1\",outcome=\"done\"} 1",
        "cloakroom_place_operations_total{place=\"records\",op=\"admit\",outcome=\"ok\"} 1",
        "cloakroom_place_seconds_bucket{place=\"blobs\",op=\"put\"",
        "cloakroom_pictures_total{media=\"JPEG\",outcome=\"taken\"} 1",
        "cloakroom_pictures_waiting 0",
        "cloakroom_pictures_memory_budget_bytes ",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
