//! Tests backends whose certificates come from an authority that is trusted only because of `tls.ca_file`.

use address::TlsSettings;
use backends::BackendsSettings;
use bytes::Bytes;
use domain::{Clock, Secret, chain};
use futures::TryStreamExt;
use instrument::FailPoints;
use migrations::up;
use queue::{Queue, QueueSettings};
use records::{Records, RecordsSettings};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use storage::{BlobContent, Blobs, NewBlob, Staging, StoreSettings};
use test_support::engine_address::BucketAccount;
use test_support::test_broker::TestBroker;
use test_support::test_db::TestDb;

/// The TLS address of an engine, and the file with its authority.
fn engine_address(name: &str) -> Option<(String, TlsSettings)> {
    let (Ok(url), Ok(ca_file)) = (std::env::var(name), std::env::var("CLOAKROOM_TEST_CA")) else {
        eprintln!(
            "skipped: this needs an engine with TLS; give its address in {name} and its authority's certificate in"
        );
        eprintln!("CLOAKROOM_TEST_CA, or use tests/run");
        return None;
    };
    Some((url, TlsSettings { ca_file }))
}

/// Settings for all four backends. Each test replaces the part that it tests.
fn backends_settings() -> BackendsSettings {
    let store = StoreSettings {
        url: Secret::new("file:///nowhere"),
        endpoint: String::new(),
        region: "us-east-1".to_owned(),
        access_key_id: String::new(),
        secret_access_key: Secret::default(),
        min_free: Default::default(),
    };
    BackendsSettings {
        staging: store.clone(),
        queue: QueueSettings { url: Secret::new("memory:"), ..QueueSettings::default() },
        blobs: store,
        records: RecordsSettings::new(Secret::new("sqlite::memory:"), 2),
    }
}

/// Asserts that the error says that the authority of the certificate is unknown.
fn assert_unknown_issuer(said: &str) {
    assert!(said.contains("invalid peer certificate: UnknownIssuer"), "{said}");
}

#[tokio::test]
async fn a_broker_with_a_private_authority_needs_the_ca_file() {
    let Some((url, tls)) = engine_address("CLOAKROOM_TEST_AMQP_TLS") else { return };
    let Some(broker) = TestBroker::start().await else { return };
    let mut settings = backends_settings();
    settings.queue = QueueSettings { url: Secret::new(url), prefix: broker.prefix.clone(), ..QueueSettings::default() };
    let trusting = settings.clone().with_trusted_ca(&tls);
    let queue = Queue::open(&trusting.queue, FailPoints::default()).await.unwrap();
    queue.ping().await.unwrap();
    queue.close().await;
    let distrusting = Queue::open(&settings.queue, FailPoints::default()).await.unwrap();
    assert_unknown_issuer(&distrusting.ping().await.unwrap_err().to_string());
    broker.delete_all().await;
}

#[tokio::test]
async fn a_database_with_a_private_authority_needs_the_ca_file() {
    let Some((url, tls)) = engine_address("CLOAKROOM_TEST_POSTGRES_TLS") else { return };
    let Some(test_db) = TestDb::postgres().await else { return };
    let (_, database) = test_db.url.rsplit_once('/').unwrap();
    let (server, parameters) = url.split_once('?').unwrap();
    let (server, _) = server.rsplit_once('/').unwrap();
    let mut settings = backends_settings();
    settings.records.url = Secret::new(format!("{server}/{database}?{parameters}"));
    let trusting = settings.clone().with_trusted_ca(&tls);
    let address = trusting.records.database_url().unwrap();
    assert_eq!(up(&address).await.unwrap(), Vec::<String>::new());
    let records = Records::open(&trusting.records, Clock::system(), FailPoints::default()).await.unwrap();
    records.ping().await.unwrap();
    records.close().await.unwrap();
    let query = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
    let db = Database::connect(&address).await.unwrap();
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 1, "the connection uses TLS");
    db.close().await.unwrap();
    assert_unknown_issuer(&up(settings.records.url.expose()).await.unwrap_err().to_string());
    let refused = Records::open(&settings.records, Clock::system(), FailPoints::default()).await.unwrap_err();
    assert_unknown_issuer(&refused.to_string());
    test_db.close().await;
}

/// Tests both clients of a bucket: the client for whole requests and the client for bodies.
#[tokio::test]
async fn a_store_with_a_private_authority_needs_the_ca_file() {
    let Some((url, tls)) = engine_address("CLOAKROOM_TEST_S3_TLS") else { return };
    let (account, prefix) = (BucketAccount::s3(&url), uuid::Uuid::now_v7().simple());
    assert!(account.endpoint.starts_with("https://"), "{}", account.endpoint);
    let store = |place: &str| account.store_settings(&format!("{prefix}/{place}"));
    let settings = BackendsSettings { staging: store("staging"), blobs: store("blobs"), ..backends_settings() };
    let trusting = settings.clone().with_trusted_ca(&tls);
    let staging = Staging::open(&trusting.staging, FailPoints::default()).unwrap();
    let blobs = Blobs::open(&trusting.blobs, FailPoints::default()).unwrap();
    staging.ping().await.unwrap();
    let content = BlobContent::Bytes(Bytes::from_static(b"bytes"));
    blobs.put_batch(&staging, vec![NewBlob { key: "uploads/0/1-a".to_owned(), content }]).await.unwrap();
    let stream = blobs.stream("uploads/0/1-a", None).await.unwrap();
    let read: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert_eq!(read.concat(), b"bytes");
    blobs.delete_prefix("uploads/0/1-a").await.unwrap();
    let distrusting = Staging::open(&settings.staging, FailPoints::default()).unwrap();
    let refused = distrusting.ping().await.unwrap_err();
    assert_unknown_issuer(&refused.to_string());
    assert_unknown_issuer(&chain(&refused));
}
