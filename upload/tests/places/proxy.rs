//! A way to a server that can be broken: cut, closed, or silent.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What the way is like. A change tears every connection that is under way, except into silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As it should be.
    Open,
    /// Connections are refused or reset.
    Broken,
    /// Nothing gets through and nobody is told.
    Silent,
}

/// A TCP proxy on a port of its own.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    way: Arc<watch::Sender<(u64, Way)>>,
    _listener: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Leads to `target`, which is `host:port`.
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(watch::channel((0, Way::Open)).0);
        let (target, changes) = (target.to_owned(), Arc::clone(&way));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(lead(client, target.clone(), changes.subscribe()));
            }
        });
        Self { port, way, _listener: AbortOnDropHandle::new(listening) }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_modify(|state| *state = (state.0 + 1, way));
    }

    /// Every connection is reset once; new ones are fine.
    pub(crate) fn cut(&self) {
        self.set(Way::Open);
    }
}

async fn lead(client: TcpStream, target: String, mut way: watch::Receiver<(u64, Way)>) {
    let state = *way.borrow_and_update();
    if state.1 == Way::Broken {
        client.set_zero_linger().ok();
        return;
    }
    if state.1 == Way::Silent {
        way.changed().await.ok();
        return;
    }
    let Ok(server) = TcpStream::connect(&target).await else { return };
    client.set_zero_linger().ok();
    let (mut client, mut server) = (client, server);
    let pipe = tokio::io::copy_bidirectional(&mut client, &mut server);
    tokio::select! {
        _ = pipe => {}
        _ = way.changed() => {
            if way.borrow().1 == Way::Silent {
                // The pipe is no longer driven; its ends stay open until something else happens.
                tokio::time::timeout(Duration::from_secs(120), way.changed()).await.ok();
            }
        }
    }
}
