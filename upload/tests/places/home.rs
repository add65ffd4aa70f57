//! Records with a database for one test, on each of the two engines, with a clock that the test moves.

use std::time::Duration;

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use upload::{
    Admission, Admitted, Attempt, Clock, Faults, FileAdmission, FileId, Made, Media, Place, Records, RecordsSettings,
    Right, Role, Secret, Shown, Staged, Start, Ticket, User, Variant,
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);
pub(crate) const KEEP: Duration = Duration::from_secs(24 * 3600);

/// The records of one test.
pub(crate) struct Home {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
    pub(crate) url: String,
    /// PostgreSQL, if that is the engine: to look behind the scenes, and to drop the database at the end.
    postgres: Option<(DatabaseConnection, String)>,
    _folder: Option<tempfile::TempDir>,
}

/// Runs a test on SQLite, and on PostgreSQL where its address is given.
pub(crate) async fn on_both(test: impl AsyncFn(&Home)) {
    let home = Home::sqlite().await;
    test(&home).await;
    home.end().await;
    if let Some(home) = Home::postgres().await {
        test(&home).await;
        home.end().await;
    }
}

/// A database of PostgreSQL's with nothing in it.
pub(crate) struct Empty {
    pub(crate) url: String,
    pub(crate) name: String,
    admin: DatabaseConnection,
}

impl Empty {
    /// None, with a word about it, where no PostgreSQL's address is given.
    pub(crate) async fn database(options: &str) -> Option<Self> {
        let Ok(server) = std::env::var("CLOAKROOM_TEST_POSTGRES") else {
            eprintln!("skipped: this needs PostgreSQL; give its address in CLOAKROOM_TEST_POSTGRES, or use tests/run");
            return None;
        };
        let admin = Database::connect(&server).await.unwrap();
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        admin.execute_unprepared(&format!("CREATE DATABASE {name} {options}")).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Some(Self { url: format!("{base}/{name}"), name, admin })
    }

    /// `host:port` of its server.
    pub(crate) fn host(&self) -> &str {
        self.url.rsplit_once('@').unwrap().1.split('/').next().unwrap()
    }

    pub(crate) async fn end(self) {
        self.admin.execute_unprepared(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
    }
}

impl Home {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("records.db").display());
        Self::open(url, None, Some(folder)).await
    }

    /// On the SQLite file at an address.
    pub(crate) async fn at(url: String) -> Self {
        Self::open(url, None, None).await
    }

    /// None, with a word about it, where no PostgreSQL's address is given.
    pub(crate) async fn postgres() -> Option<Self> {
        let Empty { url, name, admin } = Empty::database("").await?;
        Some(Self::open(url, Some((admin, name)), None).await)
    }

    async fn open(
        url: String,
        postgres: Option<(DatabaseConnection, String)>,
        folder: Option<tempfile::TempDir>,
    ) -> Self {
        migrations::up(&url).await.unwrap();
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let records = Self::another(&url, &clock).await;
        records.put_user(&user("mary")).await.unwrap();
        Self { records, clock, url, postgres, _folder: folder }
    }

    /// The records as another process opens them.
    pub(crate) async fn another(url: &str, clock: &Clock) -> Records {
        let settings = RecordsSettings::new(Secret::new(url), 8);
        Records::open(&settings, clock.clone(), Faults::default()).await.unwrap()
    }

    pub(crate) async fn end(self) {
        self.records.close().await.unwrap();
        if let Some((admin, name)) = self.postgres {
            admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        }
    }

    /// An upload of Mary's, admitted.
    pub(crate) async fn admit(&self) -> Admitted {
        self.records.admit(admission("mary")).await.unwrap()
    }

    /// An upload of Mary's, ready.
    pub(crate) async fn ready(&self) -> Admitted {
        let admitted = self.admit().await;
        let attempt = self.run(&admitted.ticket).await;
        self.records.settle_ready(&attempt, made(&attempt)).await.unwrap();
        admitted
    }

    /// The messages that the relay publishes now.
    pub(crate) async fn due(&self) -> Vec<Ticket> {
        self.records.take_unpublished(10).await.unwrap().into_iter().map(|due| due.ticket).collect()
    }

    /// An attempt that must be had.
    pub(crate) async fn run(&self, ticket: &Ticket) -> Attempt {
        match self.records.begin_attempt(ticket, MINUTE).await.unwrap() {
            Start::Run(attempt) => *attempt,
            other => panic!("the job cannot be had: {other:?}"),
        }
    }
}

pub(crate) fn user(id: &str) -> User {
    User {
        id: id.to_owned(),
        email: format!("{id}@example.org"),
        name: id.to_uppercase(),
        password_hash: "$argon2id$…".to_owned(),
        role: Role::Member,
        disabled: false,
    }
}

pub(crate) fn admission(owner: &str) -> Admission {
    let key = format!("incoming/{}", uuid::Uuid::now_v7().simple());
    Admission {
        owner: owner.to_owned(),
        label: "cat.jpg".to_owned(),
        media: Media::Jpeg,
        staged: Staged {
            key,
            bytes: 1234,
            sha256: "ab".repeat(32),
            media: Some(Media::Jpeg),
            estimate: Duration::ZERO,
        },
        deadline: DEADLINE,
        keep: KEEP,
        once: None,
    }
}

pub(crate) fn made(attempt: &Attempt) -> Made {
    let variants = ["512.jpg", "150.jpg", "75.jpg"].map(|name| variant(attempt, name)).to_vec();
    Made {
        shown: Some(Shown { width: 4032, height: 3024, served: Media::Jpeg }),
        original_key: format!("{}original", attempt.prefix),
        variants,
    }
}

pub(crate) fn variant(attempt: &Attempt, name: &str) -> Variant {
    Variant {
        name: name.parse().unwrap(),
        key: format!("{}{name}", attempt.prefix),
        width: 512,
        height: 512,
        bytes: 4321,
        sha256: "cd".repeat(32),
    }
}

/// A new file that mary sends.
pub(crate) fn file_admission() -> FileAdmission {
    let key = format!("incoming/{}", uuid::Uuid::now_v7().simple());
    FileAdmission {
        owner: "mary".to_owned(),
        right: Right::User("mary".to_owned()),
        place: Place::NewFile(FileId::fresh()),
        label: "report.pdf".to_owned(),
        media: Media::Other,
        staged: Staged { key, bytes: 99, sha256: "ef".repeat(32), media: None, estimate: Duration::ZERO },
        deadline: DEADLINE,
        once: None,
    }
}
