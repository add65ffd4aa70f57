//! Connections: taking them, bounding them, and letting them end.
//!
//! HTTP/1.1 only: a proxy before us speaks what it likes to the world. A client that sends its head too slowly, or
//! stops reading the answer, is cut; one that is in the middle of something when we stop is given time to finish.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytesize::ByteSize;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as human;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::client_ip::{self, Network};
use crate::connections::{Connections, RequestLimitError, TrackedBody, TrackedSocket};

/// `[http]`: where to listen, and how patient to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// The address to listen on.
    pub listen: String,
    /// How many trusted proxies stand before us; each adds to `X-Forwarded-For`. 0 means that header is not believed.
    pub trusted_proxies: usize,
    /// The most connections at once. For one more, the connection that has been idle for the longest time is closed; if
    /// none is idle, new ones wait in the system's line.
    pub max_connections: usize,
    /// The most connections of one client address, counting IPv6 by /64. Behind trusted proxies: the most requests in
    /// progress of the client that they name.
    pub max_connections_per_address: usize,
    /// How long a client has for the head of a request.
    #[serde(with = "human")]
    pub header_timeout: Duration,
    /// How long a body may pause.
    #[serde(with = "human")]
    pub body_idle_timeout: Duration,
    /// How long a body may take.
    #[serde(with = "human")]
    pub body_timeout: Duration,
    /// The least a body must bring per second on average, after the first seconds.
    pub min_body_rate: ByteSize,
    /// How long a client may stop reading an answer.
    #[serde(with = "human")]
    pub write_timeout: Duration,
    /// How long an address at the store is good for, to which a client that wants a picture is sent; 0s: pictures are
    /// streamed through the api.
    #[serde(with = "human")]
    pub presigned_url_lifetime: Duration,
    /// How long requests in flight may take to finish once we are told to stop.
    #[serde(with = "human")]
    pub drain_timeout: Duration,
    /// Whether `/metrics` is answered here, beside `probes.listen`.
    pub metrics: bool,
}

/// What can end serving but being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listening socket broke.
    #[error("connections cannot be accepted any more: {0}")]
    Accept(std::io::Error),
}

/// Where a connection leads to. Travels with each of its requests.
#[derive(Clone, Copy)]
pub(crate) struct PeerAddr(pub(crate) SocketAddr);

/// Travels with a request of a client that has as many in progress as it may: the router refuses it.
#[derive(Clone, Copy)]
pub(crate) struct OverClientLimit;

/// Serves until `stop`, then waits for what is in flight, at most `drain` long.
pub(crate) async fn serve(
    router: Router,
    listener: TcpListener,
    settings: &HttpSettings,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let connections = Connections::new(settings.max_connections, settings.max_connections_per_address);
    let graceful = GracefulShutdown::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(settings.header_timeout).max_buf_size(64 << 10);
    let proxies = settings.trusted_proxies;
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer_addr) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_transient(&error) => {
                // Once for all that fail until one succeeds.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "a connection could not be accepted: {error}");
                }
                if !is_client_error(&error) {
                    // Descriptors or memory ran short; an idle connection holds some.
                    connections.close_longest_idle();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
            Err(error) => return Err(ServeError::Accept(error)),
        };
        failing = false;
        // Every connection comes from a trusted proxy, if there are any.
        let network = (proxies == 0).then(|| Network::from(peer_addr.ip()));
        let Some(admitted) = stop.run_until_cancelled(connections.admit(network)).await else { break };
        let Some(slot) = admitted else { continue };
        stream.set_nodelay(true).ok();
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(settings.write_timeout));
        let handle = slot.handle();
        let socket = TrackedSocket::new(stream, slot.handle());
        let router = router.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let client = client_ip::forwarded_client_ip(request.headers(), peer_addr.ip(), proxies)
                .filter(|ip| *ip != peer_addr.ip());
            let in_progress = match handle.begin(client.map(Network::from)) {
                Ok(begun) => Ok(begun),
                Err(RequestLimitError::Closed) => Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)),
                Err(RequestLimitError::ClientLimit) => {
                    request.extensions_mut().insert(OverClientLimit);
                    handle.begin(None).map_err(|_| std::io::ErrorKind::ConnectionAborted.into())
                }
            };
            request.extensions_mut().insert(PeerAddr(peer_addr));
            let router = router.clone();
            async move {
                let in_progress = in_progress?;
                let request = request.map(|body| Body::new(TrackedBody::request(body, in_progress.clone())));
                let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                Ok::<_, std::io::Error>(response.map(|body| TrackedBody::response(body, in_progress)))
            }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(socket), service));
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = connection => ended,
                () = slot.closed() => Ok(()),
            };
            if let Err(error) = ended {
                // Clients go away and time out; that is theirs, and seldom news.
                tracing::debug!(%peer_addr, %error, "a connection ended: {error}");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight after {:?}; they are cut", settings.drain_timeout);
    }
    Ok(())
}

/// Whether accepting will work again by itself: the client was gone, or file descriptors ran short.
fn is_transient(error: &std::io::Error) -> bool {
    let unusable = matches!(error.kind(), std::io::ErrorKind::InvalidInput);
    !unusable && (is_client_error(error) || error.raw_os_error().is_some())
}

/// Whether only this connection is affected.
fn is_client_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
