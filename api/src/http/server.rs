//! Accepts connections, limits them, and ends them.
//!
//! The server speaks HTTP/1 only, because the proxy in front of Cloakroom can speak other versions
//! to clients. A client that sends its request head too slowly, or stops reading the response, is
//! disconnected. On shutdown, a request in progress gets time to finish.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::http::client_ip;
use crate::http::client_ip::PeerAddr;
use crate::http::client_network::ClientNetwork;
use crate::http::connections::registry::{Connections, RequestLimitError};
use crate::http::connections::tracked::{BodyEnd, TrackedBody, TrackedSocket};
use crate::http::settings::HttpSettings;

/// Why serving ended without a request to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listening socket failed.
    #[error("connections cannot be accepted any more: {0}")]
    Accept(std::io::Error),
}

/// Marks a request of a client that has reached its limit of requests in progress. The router refuses such a request.
#[derive(Clone, Copy)]
pub(crate) struct OverClientLimit;

/// Serves until `stop`. Then waits for requests in flight, at most for `settings.drain_timeout`.
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
                // Only the first failure is logged until a connection has been accepted again.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "a connection could not be accepted: {error}");
                }
                if !is_client_error(&error) {
                    // File descriptors or memory ran out. Closing an idle connection frees some.
                    connections.close_longest_idle();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
            Err(error) => return Err(ServeError::Accept(error)),
        };
        failing = false;
        // If there are trusted proxies, every connection comes from one of them.
        let network = (proxies == 0).then(|| ClientNetwork::from(peer_addr.ip()));
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
            let in_progress = match handle.begin(client.map(ClientNetwork::from)) {
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
                let body_end = BodyEnd::default();
                let tracked = |body| TrackedBody::request(body, in_progress.clone(), body_end.clone());
                let request = request.map(|body| Body::new(tracked(body)));
                let mut response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                let status = response.status();
                if (status.is_client_error() || status.is_server_error()) && !body_end.is_reached() {
                    // The rest of the body may never be read, so the connection cannot carry another request.
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
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
                // A client that disconnects or times out is no fault of the server, so this is logged at debug level
                // only.
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

/// Whether a failure to accept a connection passes by itself: the client has gone, or file descriptors ran out.
fn is_transient(error: &std::io::Error) -> bool {
    let unusable = matches!(error.kind(), std::io::ErrorKind::InvalidInput);
    !unusable && (is_client_error(error) || error.raw_os_error().is_some())
}

/// Whether the error concerns only the connection that was to be accepted.
fn is_client_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
