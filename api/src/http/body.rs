//! A request body as a stream. Its bytes are counted, and its pauses, its rate, its duration and its length are
//! limited. At most one piece of it is in memory. After an error the body is drained within the same limits, so that
//! the client can read the response.
//!
//! The time limits count only the time in which the handler waits for the client. While the handler waits for the
//! database or the store, it does not read the body. That time must not count against a client that is ready to send.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use crate::error::ApiError;
use crate::http::settings::HttpSettings;

/// After an error, a body is drained until it is this many bytes over its limit. A client that
/// sends more may find the connection reset before it has read the response.
const MAX_DRAIN_OVER_LIMIT: u64 = 32 << 20;

/// The time after which a body must keep up with `http.min_body_rate`.
const MIN_RATE_GRACE: Duration = Duration::from_secs(5);

/// A request body with limits. Clones share the body, so that a parser can own a clone and the handler can still drain
/// the body.
#[derive(Clone)]
pub(crate) struct BoundedBody(Arc<Mutex<BoundedBodyState>>);

struct BoundedBodyState {
    body: Option<Body>,
    received: u64,
    /// The most bytes of the whole body.
    limit: u64,
    /// How long the handler has waited for the client, without the current wait.
    waited: Duration,
    /// When the current wait began.
    waiting_since: Option<Instant>,
    idle_timeout: Duration,
    min_rate: u64,
    total_timeout: Duration,
    idle_timer: Pin<Box<Sleep>>,
    total_timer: Pin<Box<Sleep>>,
}

/// Why reading a body failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the client went away: {0}")]
    Disconnected(String),
    #[error("nothing came for {}; send without pauses", seconds(.0))]
    IdleTimeout(Duration),
    #[error("the body did not arrive within {}; send faster or less", seconds(.0))]
    TotalTimeout(Duration),
    #[error("the body came in at less than {0} bytes a second; send faster")]
    BelowMinRate(u64),
    #[error("the body is over the limit of {limit} bytes")]
    TooLarge { limit: u64, received: u64 },
}

fn seconds(duration: &Duration) -> String {
    format!("{} seconds", duration.as_secs_f32())
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Disconnected(why) => {
                Self::malformed("incomplete_body", format!("the body ended too early: {why}"))
            }
            BodyError::IdleTimeout(_) | BodyError::TotalTimeout(_) | BodyError::BelowMinRate(_) => {
                Self::RequestTimeout(error.to_string())
            }
            BodyError::TooLarge { limit, received } => Self::TooLarge { what: "the body", limit, received },
        }
    }
}

impl BoundedBody {
    /// Wraps the body of a request, of which at most `limit` bytes are accepted.
    pub(crate) fn new(body: Body, limit: u64, http: &HttpSettings) -> Self {
        Self(Arc::new(Mutex::new(BoundedBodyState {
            body: Some(body),
            received: 0,
            limit,
            waited: Duration::ZERO,
            waiting_since: None,
            idle_timeout: http.body_idle_timeout,
            min_rate: http.min_body_rate.as_u64(),
            total_timeout: http.body_timeout,
            idle_timer: Box::pin(tokio::time::sleep(http.body_idle_timeout)),
            total_timer: Box::pin(tokio::time::sleep(http.body_timeout)),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, BoundedBodyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many bytes the client has sent so far.
    pub(crate) fn received(&self) -> u64 {
        self.lock().received
    }

    /// Reads on in the background after an error. So a client or a proxy that is still sending can
    /// read the response instead of finding a broken connection. Draining has the same limits of
    /// time and rate as reading, and a limit of [`MAX_DRAIN_OVER_LIMIT`] more bytes. If a limit is
    /// reached, the connection closes.
    pub(crate) fn drain_after_error(&self) {
        let mut body = self.clone();
        {
            let mut state = body.lock();
            if state.body.as_ref().is_none_or(HttpBody::is_end_stream) {
                return;
            }
            state.limit = state.limit.saturating_add(MAX_DRAIN_OVER_LIMIT);
        }
        tokio::spawn(async move {
            while let Some(Ok(_)) = body.next().await {}
            // Closes the connection, if the body has not ended.
            body.lock().body = None;
        });
    }
}

impl BoundedBodyState {
    /// Starts the timers, unless they run already: the handler is ready to read, and nothing has
    /// been received.
    fn begin_wait(&mut self) {
        if self.waiting_since.is_some() {
            return;
        }
        let now = Instant::now();
        self.waiting_since = Some(now);
        self.idle_timer.as_mut().reset(now + self.idle_timeout);
        self.total_timer.as_mut().reset(now + self.total_timeout.saturating_sub(self.waited));
    }

    /// Stops the timers: data has been received, or the body ended.
    fn end_wait(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }

    fn poll_timeouts(&mut self, cx: &mut Context<'_>) -> Option<BodyError> {
        if self.total_timer.as_mut().poll(cx).is_ready() {
            return Some(BodyError::TotalTimeout(self.total_timeout));
        }
        self.idle_timer.as_mut().poll(cx).is_ready().then_some(BodyError::IdleTimeout(self.idle_timeout))
    }

    /// Returns an error if the client sends too slowly after the first seconds.
    fn check_min_rate(&self) -> Option<BodyError> {
        let due = self.waited.saturating_sub(MIN_RATE_GRACE).as_secs().saturating_mul(self.min_rate);
        (self.received < due).then_some(BodyError::BelowMinRate(self.min_rate))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if polled.is_ready() {
            self.end_wait();
        }
        match polled {
            Poll::Pending => {
                self.begin_wait();
                match self.poll_timeouts(cx) {
                    Some(late) => Poll::Ready(Some(Err(late))),
                    None => Poll::Pending,
                }
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => {
                self.body = None;
                Poll::Ready(Some(Err(BodyError::Disconnected(error.to_string()))))
            }
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                self.received += data.len() as u64;
                if self.received > self.limit {
                    let (limit, received) = (self.limit, self.received);
                    return Poll::Ready(Some(Err(BodyError::TooLarge { limit, received })));
                }
                if let Some(slow) = self.check_min_rate() {
                    return Poll::Ready(Some(Err(slow)));
                }
                Poll::Ready(Some(Ok(data)))
            }
        }
    }
}

impl Stream for BoundedBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.lock().poll_body(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::ApiSettings;

    fn body_of_chunks(pieces: &'static [&'static [u8]]) -> BoundedBody {
        let http = toml::from_str::<ApiSettings>(crate::DEFAULTS).unwrap().http;
        let pieces = stream::iter(pieces).map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece)));
        BoundedBody::new(Body::from_stream(pieces), 1 << 20, &http)
    }

    /// Adds time to what the handler has waited for the client.
    fn add_wait(bounded_body: &BoundedBody, by: Duration) {
        bounded_body.lock().waited += by;
    }

    #[tokio::test]
    async fn a_body_may_be_slow_at_first_but_not_for_long() {
        let mut bounded_body = body_of_chunks(&[b"a", b"b", b"c"]);
        assert_eq!(bounded_body.next().await.unwrap().unwrap(), "a");
        add_wait(&bounded_body, MIN_RATE_GRACE);
        assert_eq!(bounded_body.next().await.unwrap().unwrap(), "b", "the rate is checked only after the grace period");
        add_wait(&bounded_body, Duration::from_secs(1));
        let slow = bounded_body.next().await.unwrap().unwrap_err();
        let BodyError::BelowMinRate(rate) = slow else { panic!("{slow}") };
        assert!(rate > 1, "{rate}");
        assert!(matches!(ApiError::from(slow), ApiError::RequestTimeout(said) if said.contains("send faster")));
    }

    #[tokio::test]
    async fn only_the_wait_for_the_client_counts() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<&'static [u8]>();
        let receive = move |cx: &mut Context<'_>| receiver.poll_recv(cx);
        let pieces = stream::poll_fn(receive).map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece)));
        let http = toml::from_str::<ApiSettings>(crate::DEFAULTS).unwrap().http;
        let mut bounded_body = BoundedBody::new(Body::from_stream(pieces), 1 << 20, &http);
        let pause = Duration::from_millis(50);
        let client = sender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            client.send(b"a").unwrap();
        });
        assert_eq!(bounded_body.next().await.unwrap().unwrap(), "a");
        let waited = bounded_body.lock().waited;
        assert!(waited >= pause, "{waited:?}");
        sender.send(b"b").unwrap();
        // The handler is busy with other work.
        tokio::time::sleep(pause).await;
        assert_eq!(bounded_body.next().await.unwrap().unwrap(), "b");
        assert_eq!(bounded_body.lock().waited, waited);
    }

    #[tokio::test]
    async fn a_body_that_keeps_the_minimum_rate_is_accepted() {
        let mut bounded_body = body_of_chunks(&[&[0; 16 << 10], &[0; 16 << 10]]);
        add_wait(&bounded_body, MIN_RATE_GRACE + Duration::from_secs(1));
        assert_eq!(bounded_body.next().await.unwrap().unwrap().len(), 16 << 10);
        add_wait(&bounded_body, Duration::from_secs(1));
        assert_eq!(bounded_body.next().await.unwrap().unwrap().len(), 16 << 10);
    }
}
