//! One trace across processes: its context travels with a ticket, in the outbox and in the queue, as the `traceparent` of
//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>). Where the program exports no traces none of this does
//! anything; who exports them, and where to, is the binary's.

use std::collections::HashMap;

use opentelemetry::global::get_text_map_propagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The name under which it travels, in HTTP and in AMQP.
pub const TRACEPARENT: &str = "traceparent";

/// The context of what is being done now, for whoever goes on with it.
pub(crate) fn current_traceparent() -> Option<String> {
    let mut carried = HashMap::new();
    get_text_map_propagator(|propagator| propagator.inject_context(&Span::current().context(), &mut carried));
    carried.remove(TRACEPARENT)
}

/// Makes `span` go on with what was done elsewhere. It came from outside: believed as far as a trace goes and no further;
/// what is no context is ignored.
pub fn continue_trace(span: &Span, traceparent: &str) {
    let carried = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = get_text_map_propagator(|propagator| propagator.extract(&carried));
    // Where nothing exports traces there is nothing to go on with.
    span.set_parent(context).ok();
}
