//! One user's flood of heavy pictures does not delay other users' small ones: the order in which they are settled says so,
//! whatever the machine is doing meanwhile.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use upload::{Admission, Clock, Faults, Lane, Places, QueueSettings, Role, State, UploadId, User};
use worker::Worker;

use crate::parts::{prepared, settings, worker_settings};
use crate::portal::picture;
use crate::process::Folder;

/// Heavy in these tests: [`gray`] is estimated at 80 ms.
pub const HEAVY_AFTER: Duration = Duration::from_millis(20);
/// How many pictures a flood has. More than [`QueueSettings::bulk_after`], so that it is in both queues.
pub const FLOOD: usize = 20;
const SMALL: usize = 3;

/// A picture of 16 megapixels in a few bytes: all black, of one channel.
pub fn gray() -> Vec<u8> {
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

/// When an upload was settled, and of whom it was.
pub struct Settled {
    pub owner: String,
    pub at: i64,
}

/// That the small pictures did not wait for the floods, all of which were sent before them: when the last small one was
/// settled, at most a third of the heavy ones were.
pub fn is_fair(settled: &[Settled], floods: usize) {
    let is_heavy = |one: &&Settled| one.owner.starts_with("flood");
    let last = settled.iter().filter(|one| !is_heavy(one)).map(|one| one.at).max().unwrap();
    let before = settled.iter().filter(|one| is_heavy(one) && one.at < last).count();
    println!("{before} of {} heavy pictures were settled before the last small one", floods * FLOOD);
    assert_eq!(settled.iter().filter(is_heavy).count(), floods * FLOOD, "the floods are finished as well");
    assert!(before <= floods * FLOOD / 3, "{before} heavy pictures went before the last small one");
}

async fn hand_in(places: &Places, owner: &str, bytes: &[u8]) -> UploadId {
    let mut intake = places.staging.intake();
    intake.write(bytes).await.unwrap();
    let staged = intake.finish().await.unwrap();
    let admission = Admission {
        owner: owner.to_owned(),
        label: "picture".to_owned(),
        media: staged.media.unwrap(),
        staged,
        deadline: Duration::from_secs(600),
        keep: Duration::from_secs(86_400),
        once: None,
    };
    let admitted = places.records.admit(admission).await.unwrap();
    places.queue.publish(&admitted.ticket).await.unwrap();
    admitted.id
}

/// Places of one test, whose users are these.
async fn places_of(folder: &Folder, queue: QueueSettings, users: &[String]) -> Places {
    let places = upload::PlacesSettings { queue, ..settings(folder) };
    let places = Places::open(&places, Clock::system(), Faults::default()).await.unwrap();
    for id in users {
        let user = User {
            id: id.clone(),
            email: format!("{id}@example.org"),
            name: id.clone(),
            password_hash: String::new(),
            role: Role::Member,
            disabled: false,
        };
        places.records.put_user(&user).await.unwrap();
    }
    places
}

/// Has a worker with so many decode threads settle them, and says when.
async fn settle(places: &Places, uploads: Vec<UploadId>, threads: usize) -> Vec<Settled> {
    let mut working = worker_settings();
    (working.worker.concurrency, working.worker.threads) = (4, threads);
    let (worker, stop) = (Worker::new(&working, places.clone()), CancellationToken::new());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let mut settled = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for id in uploads {
        let upload = loop {
            let upload = places.records.upload(id).await.unwrap().unwrap();
            if let Some(at) = upload.settled_at {
                assert_eq!(upload.state, State::Ready, "{:?}", upload.reason);
                break Settled { owner: upload.owner, at: at.as_millisecond() };
            }
            tick.tick().await;
        };
        settled.push(upload);
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(places.records.recount().await.unwrap(), Vec::<String>::new());
    settled
}

async fn flooded_by(floods: usize) {
    let folder = prepared().await;
    let users: Vec<String> =
        (0..floods).map(|n| format!("flood{n}")).chain(["jane".to_owned(), "joe".to_owned()]).collect();
    let queue = QueueSettings { heavy_after: HEAVY_AFTER, ..QueueSettings::default() };
    let places = places_of(&folder, queue, &users).await;
    let (heavy, small) = (gray(), picture("astronaut.jpg"));
    let mut uploads = Vec::new();
    for owner in users {
        let (bytes, count) = if owner.starts_with("flood") { (&heavy, FLOOD) } else { (&small, SMALL) };
        for _ in 0..count {
            uploads.push(hand_in(&places, &owner, bytes).await);
        }
    }
    let depth = async |lane| places.queue.depth(lane).await.unwrap();
    let expected = (8 * floods as u64, (FLOOD - 8) as u64 * floods as u64, 2 * SMALL as u64);
    assert_eq!((depth(Lane::Heavy).await, depth(Lane::Bulk).await, depth(Lane::Pictures).await), expected);
    is_fair(&settle(&places, uploads, 2).await, floods);
}

/// In one queue too, the few pictures of one user do not wait for the many that another one sent before.
#[tokio::test(flavor = "multi_thread")]
async fn users_take_turns_in_one_queue() {
    const MANY: usize = 12;
    const FEW: usize = 4;
    let folder = prepared().await;
    // All of them go to the same queue.
    let queue = QueueSettings { heavy_after: Duration::from_secs(60), bulk_after: 100, ..QueueSettings::default() };
    let places = places_of(&folder, queue, &["ann".to_owned(), "bob".to_owned()]).await;
    let (picture, mut uploads) = (gray(), Vec::new());
    for (owner, count) in [("ann", MANY), ("bob", FEW)] {
        for _ in 0..count {
            uploads.push(hand_in(&places, owner, &picture).await);
        }
    }
    assert_eq!(places.queue.depth(Lane::Pictures).await.unwrap(), (MANY + FEW) as u64);
    let settled = settle(&places, uploads, 1).await;
    let last = settled.iter().filter(|one| one.owner == "bob").map(|one| one.at).max().unwrap();
    let before = settled.iter().filter(|one| one.owner == "ann" && one.at < last).count();
    assert!(before <= 2 * FEW, "{before} of ann's went before the last of bob's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_heavy_pictures_does_not_delay_small_ones_of_others() {
    flooded_by(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_two_floods() {
    flooded_by(2).await;
}
