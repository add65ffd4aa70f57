//! The open connections: `registry` counts them and knows which are idle; `tracked` has the socket
//! and the bodies that tell the registry when a request ends.

pub(crate) mod registry;
pub(crate) mod tracked;
