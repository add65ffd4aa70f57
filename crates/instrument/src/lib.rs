//! What is measured at every backend, and what tests make fail there.
//!
//! - `fault_injection` counts, times and can fail every operation; it is the only way to a backend.
//! - `progress` tells a limit that work goes on; `outage_log` logs an outage once.
//! - `free_space` measures the disk of a backend that is a folder or a file, and keeps its reserve.
//! - `trace_context` carries a trace from one process to another.

mod fault_injection;
mod free_space;
mod outage_log;
mod progress;
mod trace_context;

pub use fault_injection::{FailPointSwitch, FailPoints, FaultSide, InjectedFault, OperationKey};
pub use free_space::{FreeSpace, LowSpace};
pub use outage_log::OutageLog;
pub use progress::{ProgressTracker, report_progress};
pub use trace_context::{TRACEPARENT, continue_trace, current_traceparent};
