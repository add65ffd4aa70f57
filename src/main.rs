//! cloakroom
fn main() {}
