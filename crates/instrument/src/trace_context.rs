//! One trace across processes: its context travels with a job message, in the outbox and in the queue, as the
//! `traceparent` of W3C Trace Context (<https://www.w3.org/TR/trace-context/>). None of this does anything if the
//! program exports no traces. The binary configures the export.

use std::collections::HashMap;

use opentelemetry::global::get_text_map_propagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The name of the header that carries the context, in HTTP and in AMQP.
pub const TRACEPARENT: &str = "traceparent";

/// Returns the context of the current span as a `traceparent`, so that another process can continue the trace.
pub fn current_traceparent() -> Option<String> {
    let mut carried = HashMap::new();
    get_text_map_propagator(|propagator| propagator.inject_context(&Span::current().context(), &mut carried));
    carried.remove(TRACEPARENT)
}

/// Makes `span` continue the trace of another process. `traceparent` comes from outside, so it is used for tracing
/// only, and an invalid value is ignored.
pub fn continue_trace(span: &Span, traceparent: &str) {
    let carried = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = get_text_map_propagator(|propagator| propagator.extract(&carried));
    // Fails if nothing exports traces; then there is nothing to continue.
    span.set_parent(context).ok();
}
