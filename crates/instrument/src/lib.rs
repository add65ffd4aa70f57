//! Measures the operations at every backend, and lets tests make them fail.
//!
//! - `fail_points` counts and times operations at a backend, and can make them fail.
//! - `fail_point_switch` switches faults on and off while a process runs.
//! - `progress` tells the code that limits a piece of work whether the work still makes progress.
//! - `outage_log` logs the beginning and the end of an outage, once each.
//! - `free_space` measures the disk of a backend that is a folder or a file, and checks its reserve.
//! - `trace_context` carries a trace from one process to another.

mod fail_point_switch;
mod fail_points;
mod free_space;
mod injected_fault;
mod operation;
mod outage_log;
mod progress;
mod trace_context;

pub use fail_point_switch::FailPointSwitch;
pub use fail_points::{FailPoints, FaultSide};
pub use free_space::{FreeSpace, LowSpace};
pub use injected_fault::InjectedFault;
pub use operation::OperationKey;
pub use outage_log::OutageLog;
pub use progress::{ProgressTracker, report_progress};
pub use trace_context::{TRACEPARENT, continue_trace, current_traceparent};
