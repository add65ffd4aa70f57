//! The whole system from outside: the real binary over HTTP with real files, and the same parts composed in one process
//! where a test wants to move the clock or make the nth operation fail.
//!
//! Each test has folders of its own; none sleeps, none depends on another.

#![allow(unreachable_pub, reason = "the modules of a binary have no outside")]
// A test that fails says so by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backends;
mod bad_pictures;
mod collector;
mod connections;
mod crash_points;
mod deploy;
mod engines;
mod expiry;
mod fairness;
mod first_start;
mod house;
mod jobs;
mod journey;
mod kill;
mod memory;
mod parts;
mod people;
mod portal;
mod probes;
mod process;
mod render;
mod renditions;
mod settings;
mod traces;
