//! The engines with a namespace for one test, each behind a proxy that can be broken, and the processes on them.

use std::process::Command;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use upload::{Clock, Faults, Lane, Places, PlacesSettings, QueueSettings, RecordsSettings, Secret, StoreSettings};

use super::proxy::{Proxy, Trap};
use crate::process::{Folder, Process, command};

/// Held by every test on the engines, and by one that restarts them alone.
static ENGINES: RwLock<()> = RwLock::const_new(());

enum Share {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

/// How processes reach the engines.
pub struct Ways {
    pub broker: Proxy,
    pub database: Proxy,
    pub store: Proxy,
}

/// Everything one test runs on.
pub struct Stack {
    /// Those of all its processes, but for the ones that are given others.
    ways: Ways,
    space: String,
    folder: Folder,
    addresses: Addresses,
    direct: bool,
    /// Whether bytes lie in folders that all processes share, instead of S3.
    folders: bool,
    _share: Share,
    admin: DatabaseConnection,
    /// The test's own database.
    pub records: DatabaseConnection,
}

struct Addresses {
    amqp: String,
    postgres: String,
    s3: S3,
}

struct S3 {
    endpoint: String,
    bucket: String,
    id: String,
    secret: String,
}

impl Addresses {
    async fn ways(&self, trap: &Trap) -> Ways {
        let way = async |address: &str| Proxy::by_way_of(host(address), trap.clone()).await;
        Ways { broker: way(&self.amqp).await, database: way(&self.postgres).await, store: way(&self.s3.endpoint).await }
    }

    fn given() -> Option<Self> {
        let given = |name| match std::env::var(name) {
            Ok(value) => Some(value),
            Err(_) => {
                eprintln!("skipped: this needs an engine; give its address in {name}, or use tests/run");
                None
            }
        };
        let s3 = given("CLOAKROOM_TEST_S3")?;
        let (keys, place) = s3.strip_prefix("http://").unwrap().split_once('@').unwrap();
        let ((id, secret), (host, bucket)) = (keys.split_once(':').unwrap(), place.split_once('/').unwrap());
        let (endpoint, bucket) = (format!("http://{host}"), bucket.to_owned());
        let s3 = S3 { endpoint, bucket, id: id.to_owned(), secret: secret.to_owned() };
        Some(Self { amqp: given("CLOAKROOM_TEST_AMQP")?, postgres: given("CLOAKROOM_TEST_POSTGRES")?, s3 })
    }
}

/// `host:port` of an address with a scheme, perhaps somebody's name, and a path.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

impl Stack {
    /// None, with a word about it, where an engine's address is not given.
    pub async fn start() -> Option<Self> {
        Self::open(Share::Shared { _guard: ENGINES.read().await }).await
    }

    /// The same, while no other test runs on the engines.
    #[allow(dead_code, reason = "not the load bench's")]
    pub async fn start_alone() -> Option<Self> {
        Self::open(Share::Alone { _guard: ENGINES.write().await }).await
    }

    async fn open(share: Share) -> Option<Self> {
        let addresses = Addresses::given()?;
        let space = format!("t{}", uuid::Uuid::now_v7().simple());
        let admin = Database::connect(&addresses.postgres).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {space}")).await.unwrap();
        let (server, _) = addresses.postgres.rsplit_once('/').unwrap();
        let addresses = Addresses { postgres: format!("{server}/{space}"), ..addresses };
        migrations::up(&addresses.postgres).await.unwrap();
        let ways = addresses.ways(&Trap::default()).await;
        let records = Database::connect(&addresses.postgres).await.unwrap();
        Some(Self {
            ways,
            space,
            folder: Folder::new(),
            addresses,
            direct: false,
            folders: false,
            _share: share,
            admin,
            records,
        })
    }

    /// The same without proxies, for who measures.
    #[allow(dead_code, reason = "the load bench's")]
    pub fn directly(self) -> Self {
        Self { direct: true, ..self }
    }

    /// The same with staging and blobs in folders that all processes share.
    pub fn in_folders(self) -> Self {
        Self { folders: true, ..self }
    }

    fn store_url(&self, place: &str) -> String {
        if self.folders {
            return format!("file://{}", self.folder.path().join(place).display());
        }
        format!("s3://{}/{}/{place}", self.addresses.s3.bucket, self.space)
    }

    fn way(&self, url: &str, proxy: &Proxy) -> String {
        if self.direct { url.to_owned() } else { url.replace(host(url), &format!("127.0.0.1:{}", proxy.port)) }
    }

    /// How many jobs are promised and not done.
    #[allow(dead_code, reason = "the load bench's")]
    pub async fn open_jobs(&self) -> i64 {
        let asked = "SELECT count(*) FROM jobs WHERE state = 'queued'";
        let row =
            self.records.query_one_raw(Statement::from_string(DbBackend::Postgres, asked)).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// A process of this stack that is not started yet; all its ways lead through the proxies.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(&self.ways, arguments)
    }

    /// Ways of somebody's own, through a trap.
    #[allow(dead_code, reason = "not the load bench's")]
    pub async fn ways(&self, trap: &Trap) -> Ways {
        self.addresses.ways(trap).await
    }

    /// The same by other ways.
    pub fn command_by(&self, ways: &Ways, arguments: &[&str]) -> Command {
        let s3 = &self.addresses.s3;
        let mut command = command(self.folder.path());
        command.args(arguments);
        for (place, url) in [
            ("QUEUE", self.way(&self.addresses.amqp, &ways.broker)),
            ("RECORDS", self.way(&self.addresses.postgres, &ways.database)),
            ("STAGING", self.store_url("staging")),
            ("BLOBS", self.store_url("blobs")),
        ] {
            command.env(format!("CLOAKROOM__{place}__URL"), url);
        }
        for place in ["STAGING", "BLOBS"] {
            command
                .env(format!("CLOAKROOM__{place}__ENDPOINT"), self.way(&s3.endpoint, &ways.store))
                .env(format!("CLOAKROOM__{place}__ACCESS_KEY_ID"), &s3.id)
                .env(format!("CLOAKROOM__{place}__SECRET_ACCESS_KEY"), &s3.secret);
        }
        for (name, value) in [
            ("QUEUE__PREFIX", self.space.as_str()),
            ("UPLOADS__MOST_UNCLAIMED", "1000000"),
            ("UPLOADS__MOST_UNCLAIMED_BYTES", "1 TiB"),
            ("UPLOADS__REQUESTS_PER_MINUTE", "10000000"),
        ] {
            command.env(format!("CLOAKROOM__{name}"), value);
        }
        if !self.direct {
            // Where things break they are to be mended soon.
            command.env("CLOAKROOM__WORKER__LEASE", "4s").env("CLOAKROOM__SWEEP__EVERY", "500ms");
        }
        command
    }

    pub fn api(&self) -> Process {
        Process::start(self.command(&["api"]))
    }

    pub fn worker(&self) -> Process {
        Process::start(self.command(&["worker"]))
    }

    /// The places as the oracle sees them: not through the proxies.
    pub async fn places(&self) -> Places {
        let s3 = &self.addresses.s3;
        let store = |place: &str| StoreSettings {
            url: Secret::new(self.store_url(place)),
            endpoint: s3.endpoint.clone(),
            region: "us-east-1".to_owned(),
            access_key_id: s3.id.clone(),
            secret_access_key: Secret::new(s3.secret.clone()),
            min_free: Default::default(),
        };
        let settings = PlacesSettings {
            staging: store("staging"),
            queue: QueueSettings {
                url: Secret::new(self.addresses.amqp.clone()),
                prefix: self.space.clone(),
                ..QueueSettings::default()
            },
            blobs: store("blobs"),
            records: RecordsSettings::new(Secret::new(self.addresses.postgres.clone()), 4),
        };
        Places::open(&settings, Clock::system(), Faults::default()).await.unwrap()
    }

    /// A connection of the test's own, as an operator might have one.
    pub async fn operator(&self) -> Connection {
        // A broker that is busy beyond measure cuts those whose greeting took too long.
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let connect = async {
            loop {
                tick.tick().await;
                match Connection::connect(&self.addresses.amqp, ConnectionProperties::default()).await {
                    Ok(connection) => return connection,
                    Err(error) => eprintln!("the broker did not let its operator in: {error}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), connect).await.expect("the broker is there")
    }

    /// The name of a queue of this stack.
    pub fn queue(&self, what: &str) -> String {
        format!("{}.{what}.v1", self.space)
    }

    /// Removes all that lies in staging and blobs.
    #[allow(dead_code, reason = "the soak's")]
    pub async fn empty_stores(&self) {
        let places = self.places().await;
        let blobs: Vec<String> = places.blobs.keys().try_collect().await.unwrap();
        let staged: Vec<String> = places.staging.older_than(jiff::Timestamp::MAX).try_collect().await.unwrap();
        let blobs = stream::iter(blobs).map(async |key| places.blobs.remove_all(&key).await.unwrap());
        blobs.buffer_unordered(16).collect::<Vec<_>>().await;
        let staged = stream::iter(staged).map(async |key| places.staging.remove(&key).await.unwrap());
        staged.buffer_unordered(16).collect::<()>().await;
        places.queue.close().await;
        places.records.close().await.unwrap();
    }

    /// Nothing of a test stays.
    pub async fn end(self) {
        let channel = self.operator().await.create_channel().await.unwrap();
        let lanes = Lane::ALL.map(Lane::as_str);
        let others = ["parked", "dead", "later.1s", "later.5s", "later.30s", "later.2m", "later.10m"];
        for queue in lanes.into_iter().chain(others) {
            channel.queue_delete(self.queue(queue).into(), QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in ["work", "later", "verdicts"] {
            channel.exchange_delete(self.queue(exchange).into(), ExchangeDeleteOptions::default()).await.unwrap();
        }
        self.records.close().await.unwrap();
        self.admin.execute_unprepared(&format!("DROP DATABASE {} WITH (FORCE)", self.space)).await.unwrap();
    }
}

impl std::ops::Deref for Stack {
    type Target = Ways;

    fn deref(&self) -> &Ways {
        &self.ways
    }
}
