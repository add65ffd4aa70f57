//! The operations that change something in the queue. Each passes the seam for fault injection and metrics.
//!
//! The sending of outcomes does not pass the seam, because outcomes are sent in the background and a lost outcome
//! does no harm.

use instrument::FailPoints;

use crate::error::QueueError;

/// The names of the operations. Each is the name of a public method of `Queue` or of a delivery.
pub const WRITING_OPERATIONS: &[&str] = &["publish", "publish_delayed", "ack", "unpark"];

/// Runs one operation through the seam.
pub(crate) fn instrument<T>(
    fail_points: &FailPoints,
    op: &'static str,
    operation: impl Future<Output = Result<T, QueueError>>,
) -> impl Future<Output = Result<T, QueueError>> {
    debug_assert!(WRITING_OPERATIONS.contains(&op), "{op} is not in WRITING_OPERATIONS");
    fail_points.instrument("queue", op, operation)
}
