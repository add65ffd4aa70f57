//! The whole system from outside: the real binary over HTTP with real files, and the same parts composed in one process
//! where a test wants to move the clock or make the nth operation fail.
//!
//! Each test has folders of its own; none sleeps, none depends on another.

#![allow(unreachable_pub, reason = "the modules of a binary have no outside")]
// A test that fails says so by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod architecture;
mod backend_outages;
mod bad_pictures;
mod connections;
mod crash_points;
mod deploy;
mod engines;
mod expiry;
mod fairness;
mod first_start;
mod in_process;
mod jobs;
mod kill_recovery;
mod memory;
mod picture_end_to_end;
mod portal;
mod probes;
mod process;
mod render;
mod renditions;
mod settings;
mod trace_collector;
mod traces;
mod users;
