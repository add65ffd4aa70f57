//! A TCP proxy to a server. Tests break its connections: they are cut, refused, silent, slow, or
//! answered as by an overloaded server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

/// The state of a proxy. A change resets every open connection, except a change to a silent state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyState {
    /// Connections work.
    Open,
    /// Connections are refused or reset.
    Broken,
    /// No bytes pass, and neither side is told.
    Silent,
    /// Open connections are silent; new ones work.
    Frozen,
    /// Open connections stay silent for good, as when a machine vanishes without a reset. New connections are silent
    /// until the state changes.
    Vanished,
    /// Each piece of a request is delayed by this time.
    Slow(Duration),
    /// Once on each connection, a request that contains the first bytes is held until a request with the second bytes
    /// follows. By then the client has stopped waiting for the response.
    Late(&'static [u8], &'static [u8]),
    /// An overloaded HTTP server answers every request with 503.
    Overloaded,
}

/// A TCP proxy on a port of its own.
pub struct Proxy {
    pub port: u16,
    state: Arc<watch::Sender<(u64, ProxyState)>>,
    target: Arc<Mutex<String>>,
    _listener: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Starts a proxy to `target`, which is `host:port`.
    pub async fn to(target: &str) -> Self {
        Self::with_trap(target, RequestTrap::default()).await
    }

    /// Starts a proxy to `target` that passes requests through a trap.
    pub async fn with_trap(target: &str, trap: RequestTrap) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(watch::channel((0, ProxyState::Open)).0);
        let (target, changes) = (Arc::new(Mutex::new(target.to_owned())), Arc::clone(&state));
        let targets = Arc::clone(&target);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = targets.lock().unwrap().clone();
                tokio::spawn(lead(client, target, changes.subscribe(), trap.clone()));
            }
        });
        Self { port, state, target, _listener: AbortOnDropHandle::new(listening) }
    }

    /// Sets the state. Every open connection is reset, unless the new state keeps open connections
    /// silent.
    pub fn set(&self, state: ProxyState) {
        self.state.send_modify(|current| *current = (current.0 + 1, state));
    }

    /// Leads new connections to this target; open ones stay.
    pub fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.target.lock().unwrap());
    }

    /// Resets every open connection once; the state stays the same for new ones.
    pub fn reset(&self) {
        self.state.send_modify(|current| current.0 += 1);
    }

    /// Resets every open connection once; new ones work.
    pub fn cut(&self) {
        self.set(ProxyState::Open);
    }
}

/// Lets a number of pieces of requests through, on all proxies that share the trap, and stops the next piece. A piece
/// is what one read from a client has returned. While the piece is stopped, the test kills the process that sent it. So
/// the process dies just before the step that it requested.
#[derive(Clone, Debug, Default)]
pub struct RequestTrap(Arc<TrapState>);

#[derive(Debug)]
struct TrapState {
    left: watch::Sender<Option<usize>>,
    sprung: Notify,
    cleared: watch::Sender<bool>,
}

impl Default for TrapState {
    fn default() -> Self {
        Self { left: watch::channel(None).0, sprung: Notify::new(), cleared: watch::channel(false).0 }
    }
}

impl RequestTrap {
    /// Lets this number of pieces through, and stops the next piece.
    pub fn arm(&self, pieces: usize) {
        self.0.left.send_replace(Some(pieces));
    }

    /// Returns once a piece has been stopped.
    pub async fn sprung(&self) {
        self.0.sprung.notified().await;
    }

    /// Discards the stopped piece and closes its connection, because its process is dead.
    pub fn clear(&self) {
        self.0.cleared.send_replace(true);
    }

    /// Decides about the next piece. Returns true at once if the piece may continue. Stops a piece that springs the
    /// trap, and returns false once [`clear`](Self::clear) was called.
    async fn pass(&self) -> bool {
        let mut caught = false;
        self.0.left.send_modify(|left| match left {
            Some(0) => caught = true,
            Some(left) => *left -= 1,
            None => {}
        });
        if caught {
            self.0.sprung.notify_one();
            self.0.cleared.subscribe().wait_for(|cleared| *cleared).await.ok();
        }
        !caught
    }
}

/// Carries one connection to the target. The connection keeps the state that the proxy had when it
/// accepted the connection, until the proxy's state changes.
async fn lead(
    mut client: TcpStream,
    target: String,
    mut states: watch::Receiver<(u64, ProxyState)>,
    trap: RequestTrap,
) {
    let (_, state) = *states.borrow_and_update();
    client.set_zero_linger().ok();
    match state {
        ProxyState::Broken => return,
        ProxyState::Silent | ProxyState::Vanished => return drop(states.changed().await),
        ProxyState::Overloaded => return drop(refuse(&mut client).await),
        ProxyState::Open | ProxyState::Frozen | ProxyState::Slow(_) | ProxyState::Late(..) => {}
    }
    let Ok(server) = TcpStream::connect(&target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The pipe is pinned outside of `select!`, because `select!` drops what it owns, and so both connections, before a
    // branch runs.
    let mut pipe = std::pin::pin!(async {
        tokio::join!(
            carry(from_client, to_server, state, Some(trap)),
            carry(from_server, to_client, ProxyState::Open, None)
        );
    });
    tokio::select! {
        () = &mut pipe => {}
        _ = states.changed() => {
            let (_, state) = *states.borrow_and_update();
            // The pipe is no longer driven. Its connections stay open until the state changes or a long time limit
            // ends.
            match state {
                ProxyState::Silent | ProxyState::Frozen => {
                    drop(tokio::time::timeout(Duration::from_secs(120), states.changed()).await);
                }
                ProxyState::Vanished => tokio::time::sleep(Duration::from_secs(600)).await,
                _ => {}
            }
        }
    }
}

/// Forwards one direction until it ends.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: ProxyState,
    trap: Option<RequestTrap>,
) {
    let (mut piece, mut held) = (vec![0; 16 << 10], Vec::new());
    let mut late = if let ProxyState::Late(request, until) = state { Some((request, until)) } else { None };
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        if let Some(trap) = &trap
            && !trap.pass().await
        {
            return;
        }
        if let ProxyState::Slow(each) = state {
            tokio::time::sleep(each).await;
        }
        held.extend_from_slice(&piece[..read]);
        if let Some((request, until)) = late
            && let Some(at) = find(&held, request)
        {
            if find(&held[at..], until).is_none() {
                continue;
            }
            late = None;
        }
        if to.write_all(&held).await.is_err() {
            return;
        }
        held.clear();
    }
    to.shutdown().await.ok();
}

fn find(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}

/// Reads a request's head and the part of its body that has arrived, and answers 503.
async fn refuse(client: &mut TcpStream) -> std::io::Result<()> {
    let mut piece = vec![0; 16 << 10];
    while client.read(&mut piece).await? == piece.len() {}
    let answer = "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // Waits until the client has read the response, because a reset would overtake it.
    while client.read(&mut piece).await? > 0 {}
    Ok(())
}
