//! SQLite on a disk that is full, or whose writes fail, at each write of each operation on an upload's way. What was
//! acknowledged is there afterwards, what was refused is not, and as soon as there is room everything goes on.
//!
//! The disk fails for real. A file system of its own is filled up to so many bytes, which SQLite answers with SQLITE_FULL;
//! or the size of files is limited for a process of its own, whose writes past the limit fail (SQLITE_IOERR). SQLite writes
//! when it commits; with a page cache of a few pages it also writes in the middle of a transaction, so that statements fail
//! as well as commits.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use upload::{
    Admitted, Applink, Assigned, Claimant, Crop, FileId, FileRole, Held, OnceKey, PublicLink, Reason, Records,
    RecordsError, Resource, Service, Start, State, UploadId, Wanted,
};

use crate::failing_disk::{Disk, Mounted};
use crate::home::{DEADLINE, Home, KEEP, MINUTE, admission, file_admission, made, user, variant};

/// A page in the write-ahead log: 4096 bytes and a header of 24.
const FRAME: u64 = 4120;
/// More writes than any operation makes.
const MOST_WRITES: u64 = 80;
/// Says to this program that its files may be limited: it is a process of its own.
const LIMITED: &str = "CLOAKROOM_TEST_FILE_LIMIT";

/// What is done while the disk fails.
#[derive(Clone, Copy, Debug)]
enum Op {
    Admit,
    AdmitFile,
    NotePublished,
    Begin,
    PutOff,
    Reject,
    Bury,
    Settle,
    SettleFile,
    OrderVariant,
    SettleVariant,
    Crop,
    Claim,
    User,
    Session,
    Share,
    Applink,
    PublicLink,
    HoldKey,
    NoteAnswer,
    FailOverdue,
    Expire,
    TakeCondemned,
    StrikeOff,
}

/// On an upload's way, in this order; the last ones need a clock that has gone on.
const WAY: [Op; 24] = [
    Op::Admit,
    Op::AdmitFile,
    Op::NotePublished,
    Op::Begin,
    Op::PutOff,
    Op::Reject,
    Op::Bury,
    Op::Settle,
    Op::SettleFile,
    Op::OrderVariant,
    Op::SettleVariant,
    Op::Crop,
    Op::Claim,
    Op::User,
    Op::Session,
    Op::Share,
    Op::Applink,
    Op::PublicLink,
    Op::HoldKey,
    Op::NoteAnswer,
    Op::FailOverdue,
    Op::Expire,
    Op::TakeCondemned,
    Op::StrikeOff,
];

struct Walk {
    home: Home,
    /// Records that see what is committed, and nothing else.
    seen: Records,
    /// To empty the write-ahead log: it is written from its beginning then, where there is no room.
    log: DatabaseConnection,
    wal: PathBuf,
    disk: Disk,
    given: Mutex<HashSet<UploadId>>,
    errors: Mutex<Vec<RecordsError>>,
}

impl Walk {
    async fn on(disk: Disk, folder: &Path, cached_pages: Option<u32>) -> Self {
        let url = format!("sqlite://{}", folder.join("records.db").display());
        migrations::up(&url).await.unwrap();
        let log = Database::connect(&url).await.unwrap();
        if let Some(pages) = cached_pages {
            log.execute_unprepared(&format!("PRAGMA default_cache_size = {pages}")).await.unwrap();
        }
        let home = Home::at(url).await;
        let seen = Home::another(&home.url, &home.clock).await;
        let wal = folder.join("records.db-wal");
        Self { home, seen, log, wal, disk, given: Mutex::default(), errors: Mutex::default() }
    }

    /// Does something with so many bytes of room; None if it failed.
    async fn with<T>(&self, room: u64, act: impl Future<Output = Result<T, RecordsError>>) -> Option<T> {
        // A connection that is still busy keeps the log from being emptied.
        while self.wal.metadata().unwrap().len() > 0 {
            // The look comes first: a connection that has not read since the log was begun knows of no log.
            let empty = "SELECT count(*) FROM users; PRAGMA wal_checkpoint(TRUNCATE)";
            self.log.execute_unprepared(empty).await.unwrap();
        }
        self.disk.leave(room);
        let done = act.await;
        self.disk.free();
        done.map_err(|error| self.errors.lock().unwrap().push(error)).ok()
    }

    /// What was admitted is there under a number that was never given; what was refused is not.
    async fn check_admitted(&self, key: &str, admitted: Option<&Admitted>) {
        let needed = self.seen.needed_in_staging(&[key.to_owned()]).await.unwrap();
        assert_eq!(needed.len(), usize::from(admitted.is_some()), "{key}");
        if let Some(admitted) = admitted {
            assert!(self.given.lock().unwrap().insert(admitted.id), "{} was given twice", admitted.id);
            assert_eq!(self.seen.upload(admitted.id).await.unwrap().unwrap().staged_key, key);
        }
    }

    /// There is room: a transaction that is rolled back goes well, and so does one that is committed.
    async fn check_going(&self) {
        let (nothing, mary) = (999_999_999.try_into().unwrap(), mary());
        self.home.records.claim(nothing, &hers(), &mary).await.unwrap().unwrap_err();
        let upload = admission("mary");
        let key = upload.staged.key.clone();
        let admitted = self.home.records.admit(upload).await.unwrap();
        self.check_admitted(&key, Some(&admitted)).await;
    }

    /// One operation with so many bytes of room. Whether it went well, which what is there must agree with.
    async fn step(&self, op: Op, room: u64) -> bool {
        let (home, seen, records) = (&self.home, &self.seen, &self.home.records);
        match op {
            Op::Admit => {
                let upload = admission("mary");
                let key = upload.staged.key.clone();
                let admitted = self.with(room, records.admit(upload)).await;
                self.check_admitted(&key, admitted.as_ref()).await;
                admitted.is_some()
            }
            Op::AdmitFile => {
                let upload = file_admission();
                let key = upload.staged.key.clone();
                let admitted = self.with(room, records.admit_into_file(upload)).await.map(Result::unwrap);
                self.check_admitted(&key, admitted.as_ref()).await;
                admitted.is_some()
            }
            Op::NotePublished => {
                let job = home.admit().await.ticket.id;
                let noted = self.with(room, records.note_published([upload::Publish::first(job)])).await.is_some();
                assert_eq!(seen.job(job).await.unwrap().unwrap().published_at.is_some(), noted);
                noted
            }
            Op::Begin => {
                let ticket = home.admit().await.ticket;
                let start = self.with(room, records.begin_attempt(&ticket, MINUTE)).await;
                assert!(matches!(start, None | Some(Start::Run(_))), "{start:?}");
                assert_eq!(seen.job(ticket.id).await.unwrap().unwrap().attempts, i32::from(start.is_some()));
                start.is_some()
            }
            Op::PutOff => {
                let attempt = home.run(&home.admit().await.ticket).await;
                let put_off = self.with(room, records.put_off(&attempt, MINUTE, "the store is away")).await.is_some();
                let job = seen.job(attempt.ticket.id).await.unwrap().unwrap();
                assert_eq!(job.last_error.is_some(), put_off);
                put_off
            }
            Op::Reject | Op::Bury | Op::Settle | Op::SettleFile => {
                let admitted = match op {
                    Op::SettleFile => records.admit_into_file(file_admission()).await.unwrap().unwrap(),
                    _ => home.admit().await,
                };
                let attempt = home.run(&admitted.ticket).await;
                let reason = Reason::new("broken", "the picture is broken");
                let (settled, end) = match op {
                    Op::Reject => (self.with(room, records.settle_rejected(&attempt, &reason)).await, State::Rejected),
                    Op::Bury => (self.with(room, records.bury(&attempt, &reason, "it is broken")).await, State::Failed),
                    _ => (self.with(room, records.settle_ready(&attempt, made(&attempt))).await, State::Ready),
                };
                let expected = if settled.is_some() { end } else { State::Accepted };
                assert_eq!(seen.upload(admitted.id).await.unwrap().unwrap().state, expected);
                settled.is_some()
            }
            Op::OrderVariant => {
                let (id, name) = (home.ready().await.id, "96.jpg".parse().unwrap());
                let ordered = self.with(room, records.want_variant(id, 0, name)).await;
                assert_eq!(seen.jobs_of(id).await.unwrap().len(), usize::from(ordered.is_some()));
                ordered.is_some()
            }
            Op::SettleVariant => {
                let id = home.ready().await.id;
                let ordered = records.want_variant(id, 0, "96.jpg".parse().unwrap()).await.unwrap();
                let Wanted::Ordered(ticket) = ordered else { panic!("{ordered:?}") };
                let attempt = home.run(&ticket).await;
                let made = variant(&attempt, "96.jpg");
                let settled = self.with(room, records.settle_variant(&attempt, 0, &made)).await.is_some();
                assert_eq!(seen.variants(id, 0).await.unwrap().len(), 3 + usize::from(settled));
                settled
            }
            Op::Crop => {
                let id = home.ready().await.id;
                let crop = Some(Crop { x: 1, y: 2, w: 3, h: 4 });
                let cropped = self.with(room, records.crop(id, crop, &mary())).await.is_some();
                assert_eq!(seen.upload(id).await.unwrap().unwrap().generation, u32::from(cropped));
                cropped
            }
            Op::Claim => {
                let id = home.ready().await.id;
                let claimed = self.with(room, records.claim(id, &hers(), &mary())).await.is_some();
                assert_eq!(seen.upload(id).await.unwrap().unwrap().claim.is_some(), claimed);
                claimed
            }
            Op::User => {
                let id = fresh_id();
                let put = self.with(room, records.put_user(&user(&id))).await.is_some();
                assert_eq!(seen.user(&id).await.unwrap().is_some(), put);
                put
            }
            Op::Session => {
                let (id, ends_at) = (uuid::Uuid::now_v7(), home.clock.now() + KEEP);
                let added = self.with(room, records.add_session(id, &user("mary"), ends_at)).await.is_some();
                assert_eq!(seen.session(id).await.unwrap().is_some(), added);
                added
            }
            Op::Share => {
                let file = FileId::fresh();
                let shared = self.with(room, records.share_file(&file, "mary", FileRole::Viewer)).await.is_some();
                assert_eq!(seen.file_grants(&file).await.unwrap().len(), usize::from(shared));
                shared
            }
            Op::Applink => {
                let link = applink();
                let added = self.with(room, records.add_applink(&link)).await.is_some();
                assert_eq!(seen.applink(&link.id).await.unwrap(), added.then_some(link));
                added
            }
            Op::PublicLink => {
                let link = PublicLink { created_at: home.clock.now(), ..public_link() };
                let added = self.with(room, records.add_public_link(&link)).await.is_some();
                assert_eq!(seen.public_link(&link.id).await.unwrap(), added.then_some(link));
                added
            }
            Op::HoldKey => {
                let key = fresh_id();
                let held = self.with(room, records.hold_key("mary", &key, MINUTE)).await.is_some();
                let next = seen.hold_key("mary", &key, MINUTE).await.unwrap();
                assert_eq!(matches!(next, Held::InFlight { .. }), held, "{next:?}");
                held
            }
            Op::NoteAnswer => {
                let key = fresh_id();
                let held = records.hold_key("mary", &key, MINUTE).await.unwrap();
                let Held::Fresh(hold) = held else { panic!("{held:?}") };
                let once = OnceKey { hold, fingerprint: "f".to_owned() };
                let noted = self.with(room, records.note_answer(&once, "done")).await.is_some();
                let next = seen.hold_key("mary", &key, MINUTE).await.unwrap();
                assert_eq!(matches!(next, Held::Answered { .. }), noted, "{next:?}");
                noted
            }
            Op::FailOverdue => {
                records.fail_overdue(1000).await.unwrap();
                let id = home.admit().await.id;
                home.clock.advance(2 * DEADLINE);
                let failed = self.with(room, records.fail_overdue(1000)).await.is_some();
                let expected = if failed { State::Failed } else { State::Accepted };
                assert_eq!(seen.upload(id).await.unwrap().unwrap().state, expected);
                failed
            }
            Op::Expire => {
                records.expire(1000).await.unwrap();
                let id = home.ready().await.id;
                home.clock.advance(2 * KEEP);
                let expired = self.with(room, records.expire(1000)).await.is_some();
                let expected = if expired { State::Expired } else { State::Ready };
                assert_eq!(seen.upload(id).await.unwrap().unwrap().state, expected);
                expired
            }
            Op::TakeCondemned => {
                home.clock.advance(KEEP);
                self.with(room, records.take_condemned(1)).await.is_some_and(|taken| taken.len() == 1)
            }
            Op::StrikeOff => {
                home.clock.advance(KEEP);
                let taken = records.take_condemned(1000).await.unwrap();
                let struck = self.with(room, records.strike_off(&taken[0])).await.is_some();
                home.clock.advance(KEEP);
                let left = records.take_condemned(1000).await.unwrap();
                assert_eq!(left.contains(&taken[0]), !struck);
                struck
            }
        }
    }

    /// Each operation with room for no write, for one, and so on until it goes well.
    async fn walk(self) {
        for op in WAY {
            let mut failures = 0;
            let mut room = 0;
            while !Box::pin(self.step(op, room)).await {
                self.check_going().await;
                failures += 1;
                room = failures * FRAME;
                assert!(failures < MOST_WRITES, "{op:?} never goes well: {:?}", self.errors.lock().unwrap().last());
            }
            self.check_going().await;
            assert!(failures > 0, "{op:?} was not made to fail");
        }
        // All that was ever acknowledged, by a process that was not there.
        let later = Home::another(&self.home.url, &self.home.clock).await;
        let given = self.given.lock().unwrap().clone();
        for id in given {
            later.upload(id).await.unwrap().unwrap();
        }
        let errors = self.errors.lock().unwrap();
        match self.disk {
            Disk::Small(_) => assert!(errors.iter().any(|error| matches!(error, RecordsError::Full))),
            Disk::Limited => assert!(errors.iter().any(|error| matches!(error, RecordsError::NotWritable(_)))),
        }
        assert!(errors.iter().all(RecordsError::is_transient));
    }
}

fn mary() -> Claimant {
    Claimant { user: "mary".to_owned(), admin: false }
}

fn fresh_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

fn applink() -> Applink {
    Applink {
        id: fresh_id(),
        file: FileId::fresh(),
        assigned: Assigned::Users(vec!["mary".to_owned()]),
        role: FileRole::Viewer,
        created_by: "mary".to_owned(),
    }
}

fn public_link() -> PublicLink {
    let Applink { id, file, assigned, role, created_by } = applink();
    let (name, created_at) = ("a link".to_owned(), Default::default());
    PublicLink { id, file, name, assigned, role, password_hash: None, expires_at: None, created_by, created_at }
}

fn hers() -> Resource {
    Resource { service: Service::Users, id: "mary".to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk() {
    for cached_pages in [None, Some(10)] {
        let Some(small) = Mounted::new("16m") else { return };
        let disk = Disk::Small(small.path().to_owned());
        Walk::on(disk, small.path(), cached_pages).await.walk().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_whose_writes_fail() {
    if std::env::var_os(LIMITED).is_none() {
        // The signal that comes with a write past the limit would end the process; what is ignored stays ignored.
        let again = r#"trap "" XFSZ; exec "$0" --exact full_disk::on_a_disk_whose_writes_fail --nocapture"#;
        let program = std::env::current_exe().unwrap();
        let ended = Command::new("sh").arg("-c").arg(again).arg(program).env(LIMITED, "1").output().unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr)
        );
        return;
    }
    for cached_pages in [None, Some(10)] {
        let folder = tempfile::tempdir().unwrap();
        Walk::on(Disk::Limited, folder.path(), cached_pages).await.walk().await;
    }
}
