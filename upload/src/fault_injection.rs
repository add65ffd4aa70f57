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

pub use switch::FailPointSwitch;

/// On which side of its effect the struck operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultSide {
    /// The effect never happens: the request was lost.
    BeforeEffect,
    /// The effect happens and nobody hears of it: the answer was lost.
    AfterEffect,
}

/// A plan to fail, shared by the four places of one process. The default plan fails nothing.
#[derive(Clone, Debug, Default)]
pub struct FailPoints {
    crash_plan: Option<Arc<CrashPlan>>,
    switch: Option<FailPointSwitch>,
}

#[derive(Debug)]
struct CrashPlan {
    fail_from: u64,
    side: FaultSide,
    calls: AtomicU64,
}

/// An operation that a test made fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation {0} was made to fail by a test")]
pub struct InjectedFault(u64);

impl FailPoints {
    /// The process dies at its operation number `n` (from 1), on this side of it: that one and every later one fail.
    pub fn crash_at(n: u64, side: FaultSide) -> Self {
        let plan = CrashPlan { fail_from: n, side, calls: AtomicU64::new(0) };
        Self { crash_plan: Some(Arc::new(plan)), switch: None }
    }

    /// Whether the plan has struck: whether there were as many operations as that.
    pub fn has_triggered(&self) -> bool {
        self.crash_plan.as_ref().is_some_and(|plan| plan.calls.load(Ordering::SeqCst) >= plan.fail_from)
    }

    /// Runs one operation `op` on `place`, counts and times it, and fails it where the plan says so.
    pub(crate) async fn instrument<T, E: From<InjectedFault>>(
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
        let outcome = self.inject((place, op), Box::pin(operation)).instrument(span).await;
        in_flight.decrement(1);
        let outcome_label = if outcome.is_ok() { "ok" } else { "error" };
        if outcome.is_ok() {
            crate::progress::report_progress();
        }
        metrics::counter!("cloakroom_place_operations_total", "place" => place, "op" => op, "outcome" => outcome_label)
            .increment(1);
        metrics::histogram!("cloakroom_place_seconds", "place" => place, "op" => op).record(begun.elapsed());
        outcome
    }

    async fn inject<T, E: From<InjectedFault>>(
        &self,
        name: (&'static str, &'static str),
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if let Some(switch) = &self.switch {
            switch.pass(name).await?;
        }
        let Some(plan) = &self.crash_plan else { return operation.await };
        let call = plan.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call > plan.fail_from || (call == plan.fail_from && plan.side == FaultSide::BeforeEffect) {
            return Err(InjectedFault(call).into());
        }
        let outcome = operation.await;
        if call == plan.fail_from { Err(InjectedFault(call).into()) } else { outcome }
    }
}
