//! The engines, their proxies and the invariants, shared with the other tests.

#[path = "../engines/invariants.rs"]
pub mod invariants;
#[path = "../../crates/backends/tests/backends/proxy.rs"]
pub mod proxy;
#[path = "../engines/stack.rs"]
pub mod stack;
