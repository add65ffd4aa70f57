//! Tests of the whole system from outside: the real binary over HTTP with real files. If a test moves the clock or
//! makes the nth operation fail, it composes the same parts in this process.
//!
//! Each test has folders of its own. Tests wait for conditions, not for times, and do not depend on each other.

#![allow(unreachable_pub, reason = "the modules of a binary have no outside")]
// A failed test panics.
#![allow(clippy::disallowed_methods, reason = "tests make names and times of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod architecture;
mod backend_outages;
mod bad_pictures;
mod commands_beside_a_server;
mod connections;
mod crash_points;
mod deletion_commands;
mod deploy;
mod engines;
mod expiry;
mod fairness;
mod first_start;
mod kill_recovery;
mod log_fields;
mod module_circles;
mod picture_end_to_end;
mod probes;
mod reason_codes;
mod render;
mod renditions;
mod settings;
mod settings_reference;
mod trace_collector;
mod traces;
mod upload_memory;
mod users;
mod verify_upload;
mod writing_operations;
