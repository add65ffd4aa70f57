//! The engines and their processes, shared with the tests.

#[path = "../../upload/tests/places/proxy.rs"]
pub mod proxy;
#[path = "../engines/stack.rs"]
pub mod stack;
