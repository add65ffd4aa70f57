//! The engines and the processes on them, as the tests have them.

#[path = "../../upload/tests/places/proxy.rs"]
pub mod proxy;
#[path = "../engines/stack.rs"]
pub mod stack;
