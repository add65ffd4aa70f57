//! Kills a process with `kill -9` in the middle of a hundred uploads. The next process settles all acknowledged
//! uploads.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use test_support::portal::{PortalClient, read_picture};
use test_support::process::{DataFolder, ServerProcess};

const UPLOADS: usize = 100;
/// The process is killed after this number of acknowledgements. So the kill comes in the middle of the uploads on a
/// slow and on a fast machine.
const KILL_AFTER: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_upload_survives_a_kill() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let portal = PortalClient::log_in(&process).await;
    let photograph = read_picture("astronaut.jpg");

    let mut uploads: FuturesUnordered<_> =
        (0..UPLOADS).map(|_| portal.try_upload("respond-async", "astronaut.jpg", photograph.clone())).collect();
    let mut acknowledged = Vec::new();
    let mut process = Some(process);
    while let Some(answer) = uploads.next().await {
        if let Ok(answer) = answer
            && answer.status().is_success()
            && let Ok(number) = answer.text().await
        {
            acknowledged.push(number);
        }
        if acknowledged.len() == KILL_AFTER
            && let Some(process) = process.take()
        {
            process.kill();
        }
    }
    assert!(acknowledged.len() >= KILL_AFTER, "only {} were acknowledged", acknowledged.len());

    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let portal = PortalClient::log_in(&process).await;
    for number in &acknowledged {
        // A request for the picture waits for the worker.
        let shown = portal.get(&format!("/api/dropbox/pictures/{number}?size=75")).await;
        assert_eq!(shown.status(), 200, "{number} was acknowledged and is lost");
        let upload = portal.json(&format!("/uploads/{number}")).await;
        assert_eq!((&upload["state"], upload["variants"].as_array().unwrap().len()), (&"ready".into(), 3), "{upload}");
    }
    println!("{} of {UPLOADS} had been acknowledged before the kill; all of them are ready", acknowledged.len());
    // Bytes that were staged and not admitted before the kill are orphans, which the sweeper deletes after an hour.
    folder.leaves_work();
}
