//! Connections: taking them, bounding them, and letting them end.
//!
//! HTTP/1.1 only: a proxy before us speaks what it likes to the world. A client that sends its head too slowly, or
//! stops reading the answer, is cut; one that is in the middle of something when we stop is given time to finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// `[http]`: where to listen, and how patient to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// The address to listen on.
    pub listen: String,
    /// How many trusted proxies stand before us; each adds to `X-Forwarded-For`. 0 means that header is not believed.
    pub proxies: usize,
    /// The most connections at once; more wait in the system's line.
    pub max_connections: usize,
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
    pub body_least_rate: ByteSize,
    /// How long a client may stop reading an answer.
    #[serde(with = "human")]
    pub write_timeout: Duration,
    /// How long an address at the store is good for, to which a client that wants a picture is sent; 0s: pictures are
    /// streamed through the api.
    #[serde(with = "human")]
    pub signed_redirects: Duration,
    /// How long requests in flight may take to finish once we are told to stop.
    #[serde(with = "human")]
    pub drain: Duration,
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
pub(crate) struct OtherEnd(pub(crate) SocketAddr);

/// Serves until `stop`, then waits for what is in flight, at most `drain` long.
pub(crate) async fn serve(
    router: Router,
    listener: TcpListener,
    settings: &HttpSettings,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(settings.header_timeout).max_buf_size(64 << 10);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, other_end, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if passing(&error) => {
                tracing::warn!(%error, "a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(ServeError::Accept(error)),
        };
        stream.set_nodelay(true).ok();
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(settings.write_timeout));
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(OtherEnd(other_end));
            let router = router.clone();
            async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Clients go away and time out; that is theirs, and seldom news.
                tracing::debug!(%other_end, %error, "a connection ended: {error}");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight after {:?}; they are cut", settings.drain);
    }
    Ok(())
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, other_end) = listener.accept().await?;
    Ok((stream, other_end, place))
}

/// Whether accepting will work again by itself: the client was gone, or file descriptors ran short.
fn passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, InvalidInput};
    !matches!(error.kind(), InvalidInput)
        && (matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) || error.raw_os_error().is_some())
}
