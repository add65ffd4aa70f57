//! The engines, their proxies and the invariants, shared with the other tests.

#[path = "../engines/oracle.rs"]
pub mod oracle;
#[path = "../../crates/backends/tests/backends/proxy.rs"]
pub mod proxy;
#[path = "../engines/stack.rs"]
pub mod stack;
