//! PostgreSQL's connection lost in the middle of a write whose outcome the caller must know: before the server heard of it,
//! after it was done, and while the server hears of it only later.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use upload::{Records, Start, UploadId};

use crate::home::{Home, MINUTE, admission, file_admission, made};

/// When the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// The server does not hear of the write.
    Before,
    /// The server has done it; its answer is lost.
    After,
    /// The client loses the connection at once, and the server gets the write a second later.
    Late,
}

/// A way to the server that loses one connection, at the first piece of a request with certain bytes in it.
#[derive(Clone, Default)]
struct Cutter {
    armed: Arc<Mutex<Option<Cut>>>,
    /// Told when the server has done what came late.
    late: Arc<Notify>,
}

/// The bytes at which a connection is lost, and when.
type Cut = (&'static [u8], Lost);

impl Cutter {
    fn arm(&self, bytes: &'static [u8], lost: Lost) {
        *self.armed.lock().unwrap() = Some((bytes, lost));
    }

    /// Returns once the server has done what it ever will.
    async fn done(&self, lost: Lost) {
        if lost == Lost::Late {
            self.late.notified().await;
        }
    }

    fn armed(&self) -> bool {
        self.armed.lock().unwrap().is_some()
    }

    fn take(&self, piece: &[u8]) -> Option<Lost> {
        let mut armed = self.armed.lock().unwrap();
        let (bytes, lost) = (*armed)?;
        piece.windows(bytes.len()).any(|window| window == bytes).then(|| armed.take())?;
        Some(lost)
    }

    async fn lead(self, mut client: TcpStream, mut server: TcpStream) {
        let (mut request, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        loop {
            tokio::select! {
                read = client.read(&mut request) => {
                    let Ok(read @ 1..) = read else { return };
                    match self.take(&request[..read]) {
                        None => server.write_all(&request[..read]).await.unwrap(),
                        Some(Lost::Before) => return,
                        Some(Lost::After) => {
                            server.write_all(&request[..read]).await.unwrap();
                            assert!(server.read(&mut answer).await.unwrap() > 0);
                            return;
                        }
                        Some(Lost::Late) => {
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

/// Records that go through a cutter.
async fn through(home: &Home) -> (Records, Cutter, AbortOnDropHandle<()>) {
    let (user, rest) = home.url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let (server, cutter) = (server.to_owned(), Cutter::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The bytes that the cutter waits for are not to be seen in an encrypted connection.
    let url = format!("{user}@{}/{database}?sslmode=disable", listener.local_addr().unwrap());
    let cutting = cutter.clone();
    let listening = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(cutting.clone().lead(client, server));
        }
    });
    (Home::another(&url, &home.clock).await, cutter, AbortOnDropHandle::new(listening))
}

/// What was admitted is there; what was not left nothing, so that its staged bytes can be deleted.
async fn admitted_or_not(home: &Home, lost: Lost, key: &str, id: Option<UploadId>) {
    // A transaction that comes too late may have been ended by the server: a slow machine's is.
    assert!(lost == Lost::Late || id.is_some() == (lost == Lost::After), "{lost:?}");
    let needed = home.records.needed_in_staging(&[key.to_owned()]).await.unwrap();
    assert_eq!(needed.len(), usize::from(id.is_some()), "{lost:?}: the staged bytes are needed if it was admitted");
    if let Some(id) = id {
        assert_eq!(home.records.upload(id).await.unwrap().unwrap().staged_key, key);
    }
}

#[tokio::test]
async fn an_admission_whose_commit_was_lost_is_looked_up() {
    let Some(home) = Home::postgres().await else { return };
    let (records, cutter, _listening) = through(&home).await;
    for lost in [Lost::Before, Lost::After, Lost::Late] {
        let upload = admission("mary");
        let key = upload.staged.key.clone();
        cutter.arm(b"COMMIT", lost);
        let admitted = records.admit(upload).await;
        assert!(!cutter.armed(), "nothing was lost");
        assert!(!admitted.as_ref().is_err_and(|error| error.is_outcome_unknown()), "{lost:?}: {admitted:?}");
        cutter.done(lost).await;
        admitted_or_not(&home, lost, &key, admitted.ok().map(|admitted| admitted.id)).await;

        let upload = file_admission();
        let key = upload.staged.key.clone();
        cutter.arm(b"COMMIT", lost);
        let admitted = records.admit_into_file(upload).await;
        assert!(!cutter.armed(), "nothing was lost");
        cutter.done(lost).await;
        admitted_or_not(&home, lost, &key, admitted.ok().map(|admitted| admitted.unwrap().id)).await;
    }
    records.close().await.unwrap();
    home.end().await;
}

/// Operations that need no look-up: the same again after a lost answer has the same result.
#[tokio::test]
async fn what_is_not_looked_up_can_be_repeated() {
    let Some(home) = Home::postgres().await else { return };
    let (records, cutter, _listening) = through(&home).await;
    for lost in [Lost::Before, Lost::After] {
        let admitted = home.admit().await;
        let attempt = home.run(&admitted.ticket).await;
        cutter.arm(b"COMMIT", lost);
        records.settle_ready(&attempt, made(&attempt)).await.unwrap_err();
        records.settle_ready(&attempt, made(&attempt)).await.unwrap();
        let upload = home.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!(upload.state, upload::State::Ready, "{lost:?}");
        assert_eq!(home.records.variants(admitted.id, 0).await.unwrap().len(), 3, "{lost:?}");

        let other = home.admit().await;
        let prefix = upload::Blobs::prefix(other.id);
        // The statement's arguments have the prefix of the attempt in them.
        cutter.arm(b"uploads/", lost);
        records.begin_attempt_under(&other.ticket, MINUTE, &prefix).await.unwrap_err();
        let Start::Run(attempt) = records.begin_attempt_under(&other.ticket, MINUTE, &prefix).await.unwrap() else {
            panic!("{lost:?}: no other worker has it");
        };
        assert_eq!(attempt.number, 1, "{lost:?}: it is counted once");

        let mary = upload::Claimant { user: "mary".to_owned(), admin: false };
        let resource = upload::Resource { service: upload::Service::Users, id: "mary".to_owned() };
        cutter.arm(b"COMMIT", lost);
        records.claim(admitted.id, &resource, &mary).await.unwrap_err();
        records.claim(admitted.id, &resource, &mary).await.unwrap().unwrap();
        assert_eq!(home.records.avatar(&resource).await.unwrap().unwrap().1.id, admitted.id, "{lost:?}");
    }
    records.close().await.unwrap();
    home.end().await;
}
