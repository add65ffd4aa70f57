//! Every operation on a place that changes something there, and every one on a store, passes through here: it is counted and
//! timed, and a test can make the nth one fail. How long it may take is limited by the place itself.
//!
//! One decorator for both, because both want to stand at the same spot: around each call that leaves the program.

mod switch;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::Instrument;

pub use switch::FaultSwitch;

/// On which side of its effect the struck operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The effect never happens: the request was lost.
    Before,
    /// The effect happens and nobody hears of it: the answer was lost.
    After,
}

/// A plan to fail, shared by the four places of one process. The default plan fails nothing.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Option<Arc<Plan>>,
    switch: Option<FaultSwitch>,
}

#[derive(Debug)]
struct Plan {
    strike: u64,
    side: Side,
    calls: AtomicU64,
}

/// An operation that a test made fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation {0} was made to fail by a test")]
pub struct Struck(u64);

impl Faults {
    /// The process dies at its operation number `n` (from 1), on this side of it: that one and every later one fail.
    pub fn die_at(n: u64, side: Side) -> Self {
        let plan = Plan { strike: n, side, calls: AtomicU64::new(0) };
        Self { plan: Some(Arc::new(plan)), switch: None }
    }

    /// Whether the plan has struck: whether there were as many operations as that.
    pub fn struck(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.calls.load(Ordering::SeqCst) >= plan.strike)
    }

    /// Runs one operation `op` on `place`, counts and times it, and fails it where the plan says so.
    pub(crate) async fn watch<T, E: From<Struck>>(
        &self,
        place: &'static str,
        op: &'static str,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let in_flight = metrics::gauge!("cloakroom_place_in_flight", "place" => place);
        in_flight.increment(1);
        let begun = Instant::now();
        // On the heap: a database's futures are large, and they nest, and a thread's stack is small.
        let span = tracing::debug_span!("place", otel.name = format!("{place} {op}"), place, op);
        let outcome = self.strike((place, op), Box::pin(operation)).instrument(span).await;
        in_flight.decrement(1);
        let word = if outcome.is_ok() { "ok" } else { "error" };
        if outcome.is_ok() {
            crate::progress::made_progress();
        }
        metrics::counter!("cloakroom_place_operations_total", "place" => place, "op" => op, "outcome" => word)
            .increment(1);
        metrics::histogram!("cloakroom_place_seconds", "place" => place, "op" => op).record(begun.elapsed());
        outcome
    }

    async fn strike<T, E: From<Struck>>(
        &self,
        name: (&'static str, &'static str),
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if let Some(switch) = &self.switch {
            switch.pass(name).await?;
        }
        let Some(plan) = &self.plan else { return operation.await };
        let call = plan.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call > plan.strike || (call == plan.strike && plan.side == Side::Before) {
            return Err(Struck(call).into());
        }
        let outcome = operation.await;
        if call == plan.strike { Err(Struck(call).into()) } else { outcome }
    }
}
