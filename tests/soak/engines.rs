//! The engines, their proxies and the oracle, as the other tests have them.

#[path = "../engines/oracle.rs"]
pub mod oracle;
#[path = "../../upload/tests/places/proxy.rs"]
pub mod proxy;
#[path = "../engines/stack.rs"]
pub mod stack;
