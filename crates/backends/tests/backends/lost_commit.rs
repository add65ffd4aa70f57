//! Tests writes during which the PostgreSQL connection is lost, although the caller must know the outcome. The
//! connection is lost before the server receives the write, after the server has done the write, or
//! while the write is delayed, so that the server receives the write later.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{ExpectedVersion, UploadId};
use records::{LeaseResult, Records};
use test_support::test_db::{MINUTE, TestDb, admission, file_admission, processed_upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// When the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CommitLoss {
    /// The server does not receive the write.
    Before,
    /// The server has done the write; its response is lost.
    After,
    /// The client loses the connection at once, and the server receives the write a second later.
    Delayed,
}

/// A proxy that loses one connection, at the first piece of a request that contains certain bytes.
#[derive(Clone, Default)]
struct ConnectionCutter {
    armed: Arc<Mutex<Option<CutPoint>>>,
    /// Notified when the server has done the delayed write.
    late: Arc<Notify>,
}

/// The bytes at which a connection is lost, and when it is lost.
type CutPoint = (&'static [u8], CommitLoss);

impl ConnectionCutter {
    fn arm(&self, bytes: &'static [u8], lost: CommitLoss) {
        *self.armed.lock().unwrap() = Some((bytes, lost));
    }

    /// Returns once the server has done a delayed write. Returns at once if no write is delayed.
    async fn wait_until_applied(&self, lost: CommitLoss) {
        if lost == CommitLoss::Delayed {
            self.late.notified().await;
        }
    }

    fn armed(&self) -> bool {
        self.armed.lock().unwrap().is_some()
    }

    fn take(&self, piece: &[u8]) -> Option<CommitLoss> {
        let mut armed = self.armed.lock().unwrap();
        let (bytes, lost) = (*armed)?;
        piece.windows(bytes.len()).any(|window| window == bytes).then(|| armed.take())?;
        Some(lost)
    }

    async fn forward(self, mut client: TcpStream, mut server: TcpStream) {
        let (mut request, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        loop {
            tokio::select! {
                read = client.read(&mut request) => {
                    let Ok(read @ 1..) = read else { return };
                    match self.take(&request[..read]) {
                        None => server.write_all(&request[..read]).await.unwrap(),
                        Some(CommitLoss::Before) => return,
                        Some(CommitLoss::After) => {
                            server.write_all(&request[..read]).await.unwrap();
                            assert!(server.read(&mut answer).await.unwrap() > 0);
                            return;
                        }
                        Some(CommitLoss::Delayed) => {
                            drop(client);
                            tokio::time::sleep(Duration::from_secs(1)).await;
                            server.write_all(&request[..read]).await.unwrap();
                            assert!(server.read(&mut answer).await.unwrap() > 0);
                            self.late.notify_one();
                            return;
                        }
                    }
                }
                read = server.read(&mut answer) => {
                    let Ok(read @ 1..) = read else { return };
                    if client.write_all(&answer[..read]).await.is_err() { return }
                }
            }
        }
    }
}

/// Opens records that connect through a cutter.
async fn open_through_cutter(db: &TestDb) -> (Records, ConnectionCutter, AbortOnDropHandle<()>) {
    let (user, rest) = db.url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let (server, cutter) = (server.to_owned(), ConnectionCutter::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The connection has no TLS, because the cutter cannot see the bytes in an encrypted connection.
    let url = format!("{user}@{}/{database}?sslmode=disable", listener.local_addr().unwrap());
    let cutting = cutter.clone();
    let listening = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(cutting.clone().forward(client, server));
        }
    });
    (TestDb::reopen(&url, &db.clock).await, cutter, AbortOnDropHandle::new(listening))
}

/// Asserts that an admitted upload exists, and that a refused upload left nothing, so that its staged bytes can be
/// deleted.
async fn check_admitted_or_not(db: &TestDb, lost: CommitLoss, key: &str, id: Option<UploadId>) {
    // A delayed commit may have either result, because a slow server may end the transaction before
    // the commit arrives.
    assert!(lost == CommitLoss::Delayed || id.is_some() == (lost == CommitLoss::After), "{lost:?}");
    let needed = db.records.needed_staged_keys(&[key.to_owned()]).await.unwrap();
    assert_eq!(
        needed.len(),
        usize::from(id.is_some()),
        "{lost:?}: the staged bytes are needed if the upload was admitted"
    );
    if let Some(id) = id {
        assert_eq!(db.records.upload(id).await.unwrap().unwrap().staged_key, key);
    }
}

#[tokio::test]
async fn an_admission_whose_commit_was_lost_is_looked_up() {
    let Some(db) = TestDb::postgres().await else { return };
    let (records, cutter, _listening) = open_through_cutter(&db).await;
    for lost in [CommitLoss::Before, CommitLoss::After, CommitLoss::Delayed] {
        let upload = admission("mary");
        let key = upload.staged.key.clone();
        cutter.arm(b"COMMIT", lost);
        let admitted = records.admit(upload).await;
        assert!(!cutter.armed(), "no connection was lost");
        assert!(!admitted.as_ref().is_err_and(|error| error.is_outcome_unknown()), "{lost:?}: {admitted:?}");
        cutter.wait_until_applied(lost).await;
        check_admitted_or_not(&db, lost, &key, admitted.ok().map(|admitted| admitted.id)).await;

        let upload = file_admission();
        let key = upload.staged.key.clone();
        cutter.arm(b"COMMIT", lost);
        let admitted = records.admit_into_file(upload).await;
        assert!(!cutter.armed(), "no connection was lost");
        cutter.wait_until_applied(lost).await;
        check_admitted_or_not(&db, lost, &key, admitted.ok().map(|admitted| admitted.unwrap().id)).await;
    }
    records.close().await.unwrap();
    db.close().await;
}

/// Operations whose outcome is not looked up. Repeating such an operation after a lost response has the same result as
/// doing it once.
#[tokio::test]
async fn an_operation_whose_outcome_is_not_looked_up_can_be_repeated() {
    let Some(db) = TestDb::postgres().await else { return };
    let (records, cutter, _listening) = open_through_cutter(&db).await;
    for lost in [CommitLoss::Before, CommitLoss::After] {
        let admitted = db.admit().await;
        let attempt = db.begin_attempt(&admitted.message).await;
        cutter.arm(b"COMMIT", lost);
        records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap_err();
        records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        let upload = db.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!(upload.state, domain::UploadState::Ready, "{lost:?}");
        assert_eq!(db.records.variants(admitted.id, 0).await.unwrap().len(), 3, "{lost:?}");

        let other = db.admit().await;
        let prefix = domain::blob_keys::new_attempt_prefix(other.id);
        // The arguments of the statement contain the prefix of the attempt.
        cutter.arm(b"uploads/", lost);
        records.begin_attempt_with_prefix(&other.message, MINUTE, &prefix).await.unwrap_err();
        let LeaseResult::Leased(attempt) =
            records.begin_attempt_with_prefix(&other.message, MINUTE, &prefix).await.unwrap()
        else {
            panic!("{lost:?}: the job was not leased");
        };
        assert_eq!(attempt.number, 1, "{lost:?}: the attempt is counted once");

        let mary = records::Claimant { user: "mary".to_owned(), admin: false };
        let resource = domain::Resource { service: domain::Service::Users, id: "mary".to_owned() };
        cutter.arm(b"COMMIT", lost);
        records.claim(admitted.id, &resource, &mary, None, ExpectedVersion::Any).await.unwrap_err();
        records.claim(admitted.id, &resource, &mary, None, ExpectedVersion::Any).await.unwrap().unwrap();
        assert_eq!(db.records.avatar(&resource).await.unwrap().unwrap().1.id, admitted.id, "{lost:?}");
    }
    records.close().await.unwrap();
    db.close().await;
}
