//! A socket and bodies that tell the registry when a connection becomes idle.
//!
//! A request is in progress until its body and the body of its response are dropped. The end of the response may then
//! still be in the write buffer. So the connection becomes idle only when the socket has been flushed as well.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

use crate::http::connections::registry::{ConnectionHandle, RequestInProgress};

/// The socket of a connection. hyper flushes it each time its write buffer has become empty, so a completed flush means
/// that everything was written. Each completed flush is reported to the registry.
pub(crate) struct TrackedSocket {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    connection: ConnectionHandle,
}

impl TrackedSocket {
    pub(crate) fn new(stream: TimeoutStream<TcpStream>, connection: ConnectionHandle) -> Self {
        Self { stream: Box::pin(stream), connection }
    }
}

impl AsyncRead for TrackedSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for TrackedSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.as_mut().poll_flush(cx);
        if flushed.is_ready() {
            self.connection.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

/// Whether a request body was read to its end.
#[derive(Clone, Default)]
pub(crate) struct BodyEnd(Arc<AtomicBool>);

impl BodyEnd {
    pub(crate) fn is_reached(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The body of a request or of a response. The request is in progress until both of its bodies are dropped.
pub(crate) struct TrackedBody<B> {
    body: B,
    request: RequestInProgress,
    is_response: bool,
    end: BodyEnd,
}

impl<B: HttpBody> TrackedBody<B> {
    /// Wraps the body of a request. `end` is set once the body has been read to its end, and at once if it is empty.
    pub(crate) fn request(body: B, request: RequestInProgress, end: BodyEnd) -> Self {
        let body = Self { body, request, is_response: false, end };
        // An empty body has ended, although it was not polled.
        body.note_end(false);
        body
    }

    /// Sets `end` if the body has ended. `polled_end` says whether a poll returned the end.
    fn note_end(&self, polled_end: bool) {
        if polled_end || self.body.is_end_stream() {
            self.end.0.store(true, Ordering::Release);
        }
    }
}

impl TrackedBody<Body> {
    pub(crate) fn response(body: Body, request: RequestInProgress) -> Self {
        Self { body, request, is_response: true, end: BodyEnd::default() }
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        if self.is_response {
            self.request.response_ended();
        }
    }
}

impl<B: HttpBody + Unpin> HttpBody for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.note_end(matches!(polled, Poll::Ready(None)));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
