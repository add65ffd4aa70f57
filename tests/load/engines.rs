//! The engines and their processes, shared with the tests.

#[path = "../../crates/backends/tests/backends/proxy.rs"]
pub mod proxy;
#[path = "../engines/stack.rs"]
pub mod stack;
