//! Records with a database for one test, on each of the two engines, with a clock that the test moves.

use std::time::Duration;

use domain::{AccessGrant, Clock, ExpectedVersion, FileId, JobMessage, Media, Secret, Staged, UploadTarget, Variant};
use instrument::FailPoints;
use jiff::Timestamp;
use records::{
    Admission, Admitted, Attempt, FileAdmission, LeaseResult, PictureInfo, ProcessedUpload, Records, RecordsSettings,
    Role, User,
};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};

use crate::engine_address::host;
use crate::leftovers::assert_none;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const DEADLINE: Duration = Duration::from_secs(600);
pub const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// The records of one test.
pub struct TestDb {
    pub records: Records,
    pub clock: Clock,
    pub url: String,
    /// The database, if PostgreSQL is the engine.
    postgres: Option<EmptyDatabase>,
    _folder: Option<tempfile::TempDir>,
}

/// Runs a test on SQLite, and on PostgreSQL if its address is given.
pub async fn on_both_engines(test: impl AsyncFn(&TestDb)) {
    let db = TestDb::sqlite().await;
    test(&db).await;
    db.close().await;
    if let Some(db) = TestDb::postgres().await {
        test(&db).await;
        db.close().await;
    }
}

/// An empty PostgreSQL database. The test fails if this value is dropped and [`drop_database`](Self::drop_database) was
/// not called.
pub struct EmptyDatabase {
    pub url: String,
    pub name: String,
    admin: DatabaseConnection,
    is_dropped: bool,
}

impl Drop for EmptyDatabase {
    fn drop(&mut self) {
        if !self.is_dropped && !std::thread::panicking() {
            assert_none(&[format!("the database {}", self.name)]);
        }
    }
}

impl EmptyDatabase {
    /// Creates a database. Prints a message and returns None if no address of PostgreSQL is given.
    pub async fn create(options: &str) -> Option<Self> {
        let Ok(server) = std::env::var("CLOAKROOM_TEST_POSTGRES") else {
            eprintln!("skipped: this needs PostgreSQL; give its address in CLOAKROOM_TEST_POSTGRES, or use tests/run");
            return None;
        };
        let admin = Database::connect(&server).await.unwrap();
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        admin.execute_unprepared(&format!("CREATE DATABASE {name} {options}")).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Some(Self { url: format!("{base}/{name}"), name, admin, is_dropped: false })
    }

    /// `host:port` of the server.
    pub fn host(&self) -> &str {
        host(&self.url)
    }

    pub async fn drop_database(mut self) {
        self.admin.execute_unprepared(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
        self.is_dropped = true;
    }
}

impl TestDb {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("records.db").display());
        Self::open(url, None, Some(folder)).await
    }

    /// Opens the records in the SQLite file at an address.
    pub async fn open_sqlite_at(url: String) -> Self {
        Self::open(url, None, None).await
    }

    /// Opens the records on PostgreSQL. Prints a message and returns None if no address is given.
    pub async fn postgres() -> Option<Self> {
        let database = EmptyDatabase::create("").await?;
        Some(Self::open(database.url.clone(), Some(database), None).await)
    }

    async fn open(url: String, postgres: Option<EmptyDatabase>, folder: Option<tempfile::TempDir>) -> Self {
        migrations::up(&url).await.unwrap();
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let records = Self::reopen(&url, &clock).await;
        records.upsert_user(&user("mary")).await.unwrap();
        Self { records, clock, url, postgres, _folder: folder }
    }

    /// Opens the records as another process would.
    pub async fn reopen(url: &str, clock: &Clock) -> Records {
        let settings = RecordsSettings::new(Secret::new(url), 8);
        Records::open(&settings, clock.clone(), FailPoints::default()).await.unwrap()
    }

    pub async fn close(self) {
        self.records.close().await.unwrap();
        if let Some(database) = self.postgres {
            database.drop_database().await;
        }
    }

    /// Admits an upload of the user `mary`.
    pub async fn admit(&self) -> Admitted {
        self.records.admit(admission("mary")).await.unwrap()
    }

    /// Admits an upload of the user `mary` and settles the upload as ready.
    pub async fn admit_and_settle(&self) -> Admitted {
        let admitted = self.admit().await;
        let attempt = self.begin_attempt(&admitted.message).await;
        self.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        admitted
    }

    /// The messages that the relay would publish now.
    pub async fn due_messages(&self) -> Vec<JobMessage> {
        self.records.take_due_messages(10).await.unwrap().into_iter().map(|due| due.message).collect()
    }

    /// Begins an attempt and panics if none is leased.
    pub async fn begin_attempt(&self, message: &JobMessage) -> Attempt {
        match self.records.begin_attempt(message, MINUTE).await.unwrap() {
            LeaseResult::Leased(attempt) => *attempt,
            other => panic!("the job cannot be leased: {other:?}"),
        }
    }
}

pub fn user(id: &str) -> User {
    User {
        id: id.to_owned(),
        email: format!("{id}@example.org"),
        name: id.to_uppercase(),
        password_hash: "$argon2id$…".to_owned(),
        role: Role::Member,
        disabled: false,
    }
}

pub fn admission(owner: &str) -> Admission {
    let key = format!("incoming/{}", uuid::Uuid::now_v7().simple());
    Admission {
        owner: owner.to_owned(),
        filename: "cat.jpg".to_owned(),
        media: Media::Jpeg,
        staged: Staged {
            key,
            bytes: 1234,
            sha256: "ab".repeat(32),
            media: Some(Media::Jpeg),
            render_estimate: Duration::ZERO,
        },
        deadline: DEADLINE,
        retention: RETENTION,
        idempotency_key: None,
    }
}

pub fn processed_upload(attempt: &Attempt) -> ProcessedUpload {
    let variants = ["512.jpg", "150.jpg", "75.jpg"].map(|name| variant(attempt, name)).to_vec();
    ProcessedUpload {
        picture: Some(PictureInfo { width: 4032, height: 3024, default_media: Media::Jpeg }),
        original_key: format!("{}original", attempt.prefix),
        variants,
    }
}

pub fn variant(attempt: &Attempt, name: &str) -> Variant {
    Variant {
        name: name.parse().unwrap(),
        key: format!("{}{name}", attempt.prefix),
        width: 512,
        height: 512,
        bytes: 4321,
        sha256: "cd".repeat(32),
    }
}

/// A new file that the user `mary` uploads.
pub fn file_admission() -> FileAdmission {
    let key = format!("incoming/{}", uuid::Uuid::now_v7().simple());
    FileAdmission {
        owner: "mary".to_owned(),
        grant: AccessGrant::User("mary".to_owned()),
        target: UploadTarget::NewFile(FileId::generate()),
        filename: "report.pdf".to_owned(),
        media: Media::Other,
        staged: Staged { key, bytes: 99, sha256: "ef".repeat(32), media: None, render_estimate: Duration::ZERO },
        deadline: DEADLINE,
        idempotency_key: None,
        expected: ExpectedVersion::Any,
    }
}
