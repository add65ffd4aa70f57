//! The engines with a namespace for one test, each behind a proxy that can be broken, and the processes that use them.

use std::process::Command;
use std::time::Duration;

use backends::{Backends, BackendsSettings};
use domain::{Clock, QueueName, Secret};
use futures::{StreamExt, TryStreamExt, stream};
use instrument::FailPoints;
use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use queue::QueueSettings;
use records::RecordsSettings;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use storage::StoreSettings;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::engine_address::{BucketAccount, host};
use crate::leftovers::{PATIENCE, assert_none, end_processes_in, find_in_backends};
use crate::process::{DataFolder, ServerProcess, cloakroom_command};
use crate::proxy::{Proxy, RequestTrap};
use crate::test_broker::{EXCHANGES, QUEUES};

/// Read-locked by every test on the engines, and write-locked by a test that must run alone.
static ENGINE_LOCK: RwLock<()> = RwLock::const_new(());

enum EngineLock {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Exclusive { _guard: RwLockWriteGuard<'static, ()> },
}

/// The proxies through which processes reach the engines.
pub struct EngineProxies {
    pub broker: Proxy,
    pub database: Proxy,
    pub store: Proxy,
}

/// Everything that one test runs on.
pub struct EngineStack {
    /// The proxies that a process uses unless it is given others.
    proxies: EngineProxies,
    namespace: String,
    folder: DataFolder,
    addresses: EngineAddresses,
    bypass_proxies: bool,
    /// Whether staging and blobs are folders that all processes share, instead of being in S3.
    folder_stores: bool,
    /// Whether the test's database, queues and exchanges have been deleted.
    is_clean: bool,
    _lock: EngineLock,
    admin: DatabaseConnection,
    /// The test's own database.
    pub records: DatabaseConnection,
}

struct EngineAddresses {
    amqp: String,
    postgres: String,
    s3: BucketAccount,
}

impl EngineAddresses {
    async fn start_proxies(&self, trap: &RequestTrap) -> EngineProxies {
        let proxy = async |address: &str| Proxy::with_trap(host(address), trap.clone()).await;
        EngineProxies {
            broker: proxy(&self.amqp).await,
            database: proxy(&self.postgres).await,
            store: proxy(&self.s3.endpoint).await,
        }
    }

    fn from_env() -> Option<Self> {
        let given = |name| match std::env::var(name) {
            Ok(value) => Some(value),
            Err(_) => {
                eprintln!("skipped: this needs an engine; give its address in {name}, or use tests/run");
                None
            }
        };
        let s3 = given("CLOAKROOM_TEST_S3")?;
        let s3 = BucketAccount::s3(&s3);
        Some(Self { amqp: given("CLOAKROOM_TEST_AMQP")?, postgres: given("CLOAKROOM_TEST_POSTGRES")?, s3 })
    }
}

impl EngineStack {
    /// Starts a stack. Prints a message and returns None if the address of an engine is not given.
    pub async fn start() -> Option<Self> {
        Self::open(EngineLock::Shared { _guard: ENGINE_LOCK.read().await }).await
    }

    /// Starts a stack when no other test runs on the engines, and keeps other tests from starting.
    pub async fn start_exclusive() -> Option<Self> {
        Self::open(EngineLock::Exclusive { _guard: ENGINE_LOCK.write().await }).await
    }

    async fn open(lock: EngineLock) -> Option<Self> {
        let addresses = EngineAddresses::from_env()?;
        let space = format!("t{}", uuid::Uuid::now_v7().simple());
        let admin = Database::connect(&addresses.postgres).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {space}")).await.unwrap();
        let (server, _) = addresses.postgres.rsplit_once('/').unwrap();
        let addresses = EngineAddresses { postgres: format!("{server}/{space}"), ..addresses };
        migrations::up(&addresses.postgres).await.unwrap();
        let proxies = addresses.start_proxies(&RequestTrap::default()).await;
        let records = Database::connect(&addresses.postgres).await.unwrap();
        let folder = DataFolder::new();
        // The processes of a stack may still run when the folder is dropped, so the check of the
        // folder is off. `clean_up` checks the backends.
        folder.leaves_work();
        Some(Self {
            proxies,
            namespace: space,
            folder,
            addresses,
            bypass_proxies: false,
            folder_stores: false,
            is_clean: false,
            _lock: lock,
            admin,
            records,
        })
    }

    /// Lets processes reach the broker, the database and the store directly, for measurements.
    pub fn without_proxies(mut self) -> Self {
        self.bypass_proxies = true;
        self
    }

    /// Puts staging and blobs into folders that all processes share.
    pub fn with_folder_stores(mut self) -> Self {
        self.folder_stores = true;
        self
    }

    fn store_url(&self, backend: &str) -> String {
        if self.folder_stores {
            return format!("file://{}", self.folder.path().join(backend).display());
        }
        format!("s3://{}/{}/{backend}", self.addresses.s3.bucket, self.namespace)
    }

    fn url_through(&self, url: &str, proxy: &Proxy) -> String {
        if self.bypass_proxies { url.to_owned() } else { url.replace(host(url), &format!("127.0.0.1:{}", proxy.port)) }
    }

    /// The number of jobs that are enqueued and not done.
    pub async fn open_jobs(&self) -> i64 {
        let sql = "SELECT count(*) FROM jobs WHERE state = 'queued'";
        let row = self.records.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// A command for a process of this stack. All connections of the process lead through the proxies.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_through(&self.proxies, arguments)
    }

    /// Starts separate proxies, with a trap.
    pub async fn new_proxies(&self, trap: &RequestTrap) -> EngineProxies {
        self.addresses.start_proxies(trap).await
    }

    /// A command for a process of this stack whose connections lead through these proxies.
    pub fn command_through(&self, proxies: &EngineProxies, arguments: &[&str]) -> Command {
        let s3 = &self.addresses.s3;
        let mut command = cloakroom_command(self.folder.path());
        command.args(arguments);
        for (backend, url) in [
            ("QUEUE", self.url_through(&self.addresses.amqp, &proxies.broker)),
            ("RECORDS", self.url_through(&self.addresses.postgres, &proxies.database)),
            ("STAGING", self.store_url("staging")),
            ("BLOBS", self.store_url("blobs")),
        ] {
            command.env(format!("CLOAKROOM__{backend}__URL"), url);
        }
        for backend in ["STAGING", "BLOBS"] {
            command
                .env(format!("CLOAKROOM__{backend}__ENDPOINT"), self.url_through(&s3.endpoint, &proxies.store))
                .env(format!("CLOAKROOM__{backend}__ACCESS_KEY_ID"), &s3.id)
                .env(format!("CLOAKROOM__{backend}__SECRET_ACCESS_KEY"), &s3.secret);
        }
        for (name, value) in [
            ("QUEUE__PREFIX", self.namespace.as_str()),
            ("UPLOADS__MAX_UNCLAIMED", "1000000"),
            ("UPLOADS__MAX_UNCLAIMED_BYTES", "1 TiB"),
            ("UPLOADS__MAX_REQUESTS_PER_MINUTE", "10000000"),
        ] {
            command.env(format!("CLOAKROOM__{name}"), value);
        }
        if !self.bypass_proxies {
            // Short times, so that the system recovers soon after a fault.
            command.env("CLOAKROOM__WORKER__LEASE", "4s").env("CLOAKROOM__SWEEP__INTERVAL", "500ms");
        }
        command
    }

    pub fn api(&self) -> ServerProcess {
        ServerProcess::start(self.command(&["api"]))
    }

    pub fn worker(&self) -> ServerProcess {
        ServerProcess::start(self.command(&["worker"]))
    }

    /// Opens the backends for the checks, without proxies.
    pub async fn open_backends(&self) -> Backends {
        let store = |backend: &str| StoreSettings {
            url: Secret::new(self.store_url(backend)),
            ..self.addresses.s3.store_settings(backend)
        };
        let settings = BackendsSettings {
            staging: store("staging"),
            queue: QueueSettings {
                url: Secret::new(self.addresses.amqp.clone()),
                prefix: self.namespace.clone(),
                ..QueueSettings::default()
            },
            blobs: store("blobs"),
            records: RecordsSettings::new(Secret::new(self.addresses.postgres.clone()), 4),
        };
        Backends::open(&settings, Clock::system(), FailPoints::default()).await.unwrap()
    }

    /// Opens a separate connection to the broker, as an operator might.
    pub async fn operator_connection(&self) -> Connection {
        // A broker under extreme load closes connections whose handshake took too long. So the connection is tried
        // again.
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let connect = async {
            loop {
                tick.tick().await;
                match Connection::connect(&self.addresses.amqp, ConnectionProperties::default()).await {
                    Ok(connection) => return connection,
                    Err(error) => eprintln!("the broker refused the operator's connection: {error}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), connect).await.expect("the broker is there")
    }

    /// The full name of a queue of this stack.
    pub fn queue_name(&self, what: &str) -> String {
        format!("{}.{what}.v1", self.namespace)
    }

    /// Deletes all objects in staging and blobs.
    pub async fn delete_all_objects(&self) {
        let backends = self.open_backends().await;
        let blobs: Vec<String> = backends.blobs.list_keys().try_collect().await.unwrap();
        let staged: Vec<String> = backends.staging.list_older_than(jiff::Timestamp::MAX).try_collect().await.unwrap();
        let blobs = stream::iter(blobs).map(async |key| backends.blobs.delete_prefix(&key).await.unwrap());
        blobs.buffer_unordered(16).collect::<Vec<_>>().await;
        let staged = stream::iter(staged).map(async |key| backends.staging.delete(&key).await.unwrap());
        staged.buffer_unordered(16).collect::<()>().await;
        backends.queue.close().await;
        backends.records.close().await.unwrap();
    }

    /// Asserts that [`find_leftovers`](Self::find_leftovers) finds nothing. Then deletes the test's database, queues
    /// and exchanges.
    pub async fn clean_up(self) {
        assert_none(&self.find_leftovers().await);
        self.clean_up_leftovers().await;
    }

    /// Ends the processes of the stack and describes what is left: processes that do not end, jobs, staged objects that
    /// no upload needs, consumers and messages.
    pub async fn find_leftovers(&self) -> Vec<String> {
        let backends = self.open_backends().await;
        let mut found = find_in_backends(&backends.records, &backends.staging, Some(&backends.queue)).await;
        backends.queue.close().await;
        backends.records.close().await.unwrap();
        found.extend(end_processes_in(self.folder.path()).await);
        // A delivery that a consumer did not acknowledge is back in its queue when the consumer has ended.
        found.extend(self.find_in_queues().await);
        found
    }

    /// What is left in the queues of jobs: consumers, which may hold deliveries, and messages. Waits a little for
    /// consumers that are about to end.
    async fn find_in_queues(&self) -> Vec<String> {
        let channel = self.operator_connection().await.create_channel().await.unwrap();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let count = async || {
            let queues = QueueName::ALL.map(|name| (name, self.queue_name(name.as_str()).into()));
            let declare = async |(name, queue)| {
                (name, channel.queue_declare(queue, passive, FieldTable::default()).await.unwrap())
            };
            stream::iter(queues).then(declare).collect::<Vec<_>>().await
        };
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let end_of_consumers = async {
            while count().await.iter().any(|(_, queue)| queue.consumer_count() > 0) {
                tick.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, end_of_consumers).await.ok();
        let counts = count().await;
        let counts = counts.iter().flat_map(|(name, queue)| {
            [(name, "consumers of", queue.consumer_count()), (name, "messages in", queue.message_count())]
        });
        let left = counts.filter(|(.., count)| *count > 0);
        left.map(|(name, what, count)| format!("{what} the queue {name} ({count})")).collect()
    }

    /// Deletes the test's database, queues and exchanges, with the work that the test leaves on
    /// purpose. Objects stay in the bucket.
    pub async fn clean_up_leftovers(mut self) {
        let channel = self.operator_connection().await.create_channel().await.unwrap();
        for queue in QUEUES {
            channel.queue_delete(self.queue_name(queue).into(), QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in EXCHANGES {
            channel.exchange_delete(self.queue_name(exchange).into(), ExchangeDeleteOptions::default()).await.unwrap();
        }
        self.records.clone().close().await.unwrap();
        self.admin.execute_unprepared(&format!("DROP DATABASE {} WITH (FORCE)", self.namespace)).await.unwrap();
        self.is_clean = true;
    }
}

impl Drop for EngineStack {
    fn drop(&mut self) {
        let clean = self.is_clean || std::thread::panicking();
        assert!(clean, "the test ends without `clean_up` and leaves the database {}", self.namespace);
    }
}

impl std::ops::Deref for EngineStack {
    type Target = EngineProxies;

    fn deref(&self) -> &EngineProxies {
        &self.proxies
    }
}
