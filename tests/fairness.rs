//! One user's flood of heavy pictures does not delay other users' small ones. The tests check the order in which
//! uploads are settled, which does not depend on the load of the machine.

use std::time::Duration;

use backends::Backends;
use domain::{Clock, QueueName, UploadId, UploadState};
use instrument::FailPoints;
use queue::QueueSettings;
use records::{Admission, Role, User};
use test_support::in_process::{backend_settings, prepared_folder, worker_settings};
use test_support::portal::read_picture;
use test_support::process::DataFolder;
use tokio_util::sync::CancellationToken;
use worker::Worker;

/// In these tests a picture is heavy if its estimated processing time is longer than this. The estimate for
/// [`large_gray_png`] is about 96 ms.
pub const HEAVY_AFTER: Duration = Duration::from_millis(20);
/// The number of pictures in a flood. More than [`QueueSettings::bulk_threshold`], so that some of
/// them are in the queue `heavy` and some in `bulk`.
pub const FLOOD: usize = 20;
const SMALL: usize = 3;

/// A picture of 16 megapixels in a few bytes: all black, one channel.
pub fn large_gray_png() -> Vec<u8> {
    const SIDE: u32 = 4000;
    let header = [&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let row = vec![0; SIDE as usize + 1];
    (0..SIDE).for_each(|_| std::io::Write::write_all(&mut deflated, &row).unwrap());
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", deflated.finish().unwrap()), (b"IEND", Vec::new())] {
        file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        let chunk = [&kind[..], &data].concat();
        let mut sum = flate2::Crc::new();
        sum.update(&chunk);
        file.extend(chunk);
        file.extend(sum.sum().to_be_bytes());
    }
    file
}

/// A settled upload.
pub struct SettledUpload {
    pub owner: String,
    /// When the upload was settled, in milliseconds since 1970.
    pub at: i64,
}

/// Asserts that the small pictures did not wait for the floods, which were sent first: at most a third of the heavy
/// pictures were settled before the last small one.
pub fn assert_fair(settled: &[SettledUpload], floods: usize) {
    let is_heavy = |one: &&SettledUpload| one.owner.starts_with("flood");
    let last = settled.iter().filter(|one| !is_heavy(one)).map(|one| one.at).max().unwrap();
    let before = settled.iter().filter(|one| is_heavy(one) && one.at < last).count();
    println!("{before} of {} heavy pictures were settled before the last small one", floods * FLOOD);
    assert_eq!(settled.iter().filter(is_heavy).count(), floods * FLOOD, "the floods are finished as well");
    assert!(before <= floods * FLOOD / 3, "{before} heavy pictures were settled before the last small one");
}

async fn submit_picture(backends: &Backends, owner: &str, bytes: &[u8]) -> UploadId {
    let mut intake = backends.staging.new_writer();
    intake.write(bytes).await.unwrap();
    let staged = intake.finish().await.unwrap();
    let admission = Admission {
        owner: owner.to_owned(),
        filename: "picture".to_owned(),
        media: staged.media.unwrap(),
        staged,
        deadline: Duration::from_secs(600),
        retention: Duration::from_secs(86_400),
        idempotency_key: None,
    };
    let admitted = backends.records.admit(admission).await.unwrap();
    backends.queue.publish(&admitted.message).await.unwrap();
    admitted.id
}

/// Opens the backends of one test and adds these users.
async fn open_backends(folder: &DataFolder, queue: QueueSettings, users: &[String]) -> Backends {
    let backends = backends::BackendsSettings { queue, ..backend_settings(folder) };
    let backends = Backends::open(&backends, Clock::system(), FailPoints::default()).await.unwrap();
    for id in users {
        let user = User {
            id: id.clone(),
            email: format!("{id}@example.org"),
            name: id.clone(),
            password_hash: String::new(),
            role: Role::Member,
            disabled: false,
        };
        backends.records.upsert_user(&user).await.unwrap();
    }
    backends
}

/// Settles the uploads with a worker that has this number of decode threads. Returns when each of them was settled.
async fn settle_all(backends: &Backends, uploads: Vec<UploadId>, threads: usize) -> Vec<SettledUpload> {
    let mut working = worker_settings();
    (working.worker.concurrency, working.worker.threads) = (4, threads);
    let (worker, stop) = (Worker::new(&working, backends.clone()), CancellationToken::new());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let mut settled = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for id in uploads {
        let upload = loop {
            let upload = backends.records.upload(id).await.unwrap().unwrap();
            if let Some(at) = upload.settled_at {
                assert_eq!(upload.state, UploadState::Ready, "{:?}", upload.reason);
                break SettledUpload { owner: upload.owner, at: at.as_millisecond() };
            }
            tick.tick().await;
        };
        settled.push(upload);
    }
    stop.cancel();
    running.await.unwrap();
    assert_eq!(backends.records.recount_usage().await.unwrap(), Vec::<String>::new());
    settled
}

async fn assert_fair_under_flood(floods: usize) {
    let folder = prepared_folder().await;
    let users: Vec<String> =
        (0..floods).map(|n| format!("flood{n}")).chain(["jane".to_owned(), "joe".to_owned()]).collect();
    let queue = QueueSettings { heavy_threshold: HEAVY_AFTER, ..QueueSettings::default() };
    let backends = open_backends(&folder, queue, &users).await;
    let (heavy, small) = (large_gray_png(), read_picture("astronaut.jpg"));
    let mut uploads = Vec::new();
    for owner in users {
        let (bytes, count) = if owner.starts_with("flood") { (&heavy, FLOOD) } else { (&small, SMALL) };
        for _ in 0..count {
            uploads.push(submit_picture(&backends, &owner, bytes).await);
        }
    }
    let depth = async |queue| backends.queue.depth(queue).await.unwrap();
    let expected = (8 * floods as u64, (FLOOD - 8) as u64 * floods as u64, 2 * SMALL as u64);
    assert_eq!(
        (depth(QueueName::Heavy).await, depth(QueueName::Bulk).await, depth(QueueName::Pictures).await),
        expected
    );
    assert_fair(&settle_all(&backends, uploads, 2).await, floods);
}

/// In one queue, too, the few pictures of one user do not wait for the many earlier ones of another user.
#[tokio::test(flavor = "multi_thread")]
async fn users_take_turns_in_one_queue() {
    const MANY: usize = 12;
    const FEW: usize = 4;
    let folder = prepared_folder().await;
    // All of these pictures go to the same queue.
    let queue =
        QueueSettings { heavy_threshold: Duration::from_secs(60), bulk_threshold: 100, ..QueueSettings::default() };
    let backends = open_backends(&folder, queue, &["ann".to_owned(), "bob".to_owned()]).await;
    let (picture, mut uploads) = (large_gray_png(), Vec::new());
    for (owner, count) in [("ann", MANY), ("bob", FEW)] {
        for _ in 0..count {
            uploads.push(submit_picture(&backends, owner, &picture).await);
        }
    }
    assert_eq!(backends.queue.depth(QueueName::Pictures).await.unwrap(), (MANY + FEW) as u64);
    let settled = settle_all(&backends, uploads, 1).await;
    let last = settled.iter().filter(|one| one.owner == "bob").map(|one| one.at).max().unwrap();
    let before = settled.iter().filter(|one| one.owner == "ann" && one.at < last).count();
    assert!(before <= 2 * FEW, "{before} pictures of ann were settled before the last one of bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_heavy_pictures_does_not_delay_small_ones_of_others() {
    assert_fair_under_flood(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_floods_do_not_delay_small_pictures_of_others() {
    assert_fair_under_flood(2).await;
}
