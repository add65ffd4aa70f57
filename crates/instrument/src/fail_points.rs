//! Fault injection and metrics. Every operation that changes something in a backend, and every read
//! or ping of a store, is counted and timed here. A test can make the nth operation fail. This
//! module sets no timeout: each backend limits the duration of its own operations.
//!
//! One decorator, [`FailPoints::instrument`], injects faults and measures, because both apply to the
//! same calls: those that leave the program.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::Instrument;

use crate::fail_point_switch::FailPointSwitch;
use crate::injected_fault::InjectedFault;
use crate::operation::OperationKey;
use crate::progress::report_progress;

/// Whether the failing operation fails before or after its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultSide {
    /// The effect never happens: the request was lost.
    BeforeEffect,
    /// The effect happens and the answer is lost.
    AfterEffect,
}

/// A plan of faults, shared by the four backends of one process. The default plan fails nothing.
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
    /// The operations that were called.
    called: Mutex<BTreeSet<OperationKey>>,
}

impl FailPointSwitch {
    /// The plan to give to the backends of a process.
    pub fn fail_points(&self) -> FailPoints {
        FailPoints { crash_plan: None, switch: Some(self.clone()) }
    }
}

impl FailPoints {
    /// Fails operation number `n`, counted from 1, before or after its effect, as `side` says. Fails every later
    /// operation before its effect, as if the process had died.
    pub fn crash_at(n: u64, side: FaultSide) -> Self {
        let plan = CrashPlan { fail_from: n, side, calls: AtomicU64::new(0), called: Mutex::default() };
        Self { crash_plan: Some(Arc::new(plan)), switch: None }
    }

    /// Fails nothing and remembers which operations were called, for
    /// [`operations_called`](Self::operations_called).
    pub fn recorder() -> Self {
        Self::crash_at(u64::MAX, FaultSide::BeforeEffect)
    }

    /// The operations that were called so far; empty if this value does not remember them.
    pub fn operations_called(&self) -> BTreeSet<OperationKey> {
        let called = |plan: &Arc<CrashPlan>| plan.called.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.crash_plan.as_ref().map(called).unwrap_or_default()
    }

    /// Whether the planned fault has occurred: whether operation number `n` was called.
    pub fn has_triggered(&self) -> bool {
        self.crash_plan.as_ref().is_some_and(|plan| plan.calls.load(Ordering::SeqCst) >= plan.fail_from)
    }

    /// Runs one operation `op` of `backend`, counts and times it, and fails it if the plan says so.
    pub async fn instrument<T, E: From<InjectedFault>>(
        &self,
        backend: &'static str,
        op: &'static str,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let in_flight = metrics::gauge!("cloakroom_place_in_flight", "place" => backend);
        in_flight.increment(1);
        let started = Instant::now();
        let span = tracing::debug_span!("backend", otel.name = format!("{backend} {op}"), backend, op);
        // The operation is on the heap, because a database's futures are large and nested, and a
        // thread's stack is small.
        let outcome = self.inject((backend, op), Box::pin(operation)).instrument(span).await;
        in_flight.decrement(1);
        let outcome_label = if outcome.is_ok() { "ok" } else { "error" };
        if outcome.is_ok() {
            report_progress();
        }
        metrics::counter!("cloakroom_place_operations_total", "place" => backend, "op" => op, "outcome" => outcome_label)
            .increment(1);
        metrics::histogram!("cloakroom_place_seconds", "place" => backend, "op" => op).record(started.elapsed());
        outcome
    }

    async fn inject<T, E: From<InjectedFault>>(
        &self,
        name: OperationKey,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if let Some(switch) = &self.switch {
            switch.pass(name).await?;
        }
        let Some(plan) = &self.crash_plan else { return operation.await };
        plan.called.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        let call = plan.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call > plan.fail_from || (call == plan.fail_from && plan.side == FaultSide::BeforeEffect) {
            return Err(InjectedFault(call).into());
        }
        let outcome = operation.await;
        if call == plan.fail_from { Err(InjectedFault(call).into()) } else { outcome }
    }
}
