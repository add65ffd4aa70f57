//! Limits how long a store may send nothing.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, try_unfold};
use tokio::time::timeout;

use crate::error::StoreError;

/// Limits each wait for the next item of a stream, such as a chunk or an entry of a listing. An item that is
/// available is always returned, however late it is requested, because the timeout checks its clock only after it has
/// polled the stream.
pub(crate) fn with_idle_timeout<T: Send + 'static>(
    backend: &'static str,
    items: BoxStream<'static, object_store::Result<T>>,
    idle_timeout: Duration,
) -> BoxStream<'static, Result<T, StoreError>> {
    try_unfold(items, move |mut items| async move {
        match timeout(idle_timeout, items.next()).await {
            Ok(Some(Ok(next))) => {
                instrument::report_progress();
                Ok(Some((next, items)))
            }
            Ok(Some(Err(source))) => Err(StoreError::Engine { backend, source }),
            Ok(None) => Ok(None),
            Err(_) => Err(timeout_error(backend, idle_timeout)),
        }
    })
    .boxed()
}

/// The error of a store that does not answer.
pub(crate) fn timeout_error(backend: &'static str, timeout: Duration) -> StoreError {
    let why = format!("the store has sent nothing for {} s; check whether it is overloaded", timeout.as_secs_f32());
    StoreError::Engine { backend, source: object_store::Error::Generic { store: "stream", source: why.into() } }
}
