//! What tests share: processes, clients, engines with a namespace for each test, faults, and the invariants that hold at
//! the end of every test.
//!
//! - `process` runs the binary and `portal` is its client; `in_process` composes the same parts in the test's process.
//! - `engine_stack` is RabbitMQ, PostgreSQL and S3 for one test; `test_db`, `test_broker` and `test_stores` are one
//!   engine each.
//! - `proxy` breaks connections; `tmpfs` and `failing_disk` break disks. `nginx` is a real proxy.
//! - `invariants` checks records, staging and blobs against each other; `leftovers` fails a test that leaves work behind.

// A failed test panics.
#![allow(clippy::disallowed_methods, reason = "tests make names and times of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs, reason = "for our own tests only")]

pub mod engine_address;
pub mod engine_stack;
pub mod failing_disk;
pub mod in_process;
pub mod invariants;
pub mod leftovers;
pub mod nginx;
pub mod portal;
pub mod process;
pub mod proxy;
pub mod test_broker;
pub mod test_db;
pub mod test_stores;
pub mod tmpfs;
