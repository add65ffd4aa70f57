//! The open connections: `registry` counts them and knows which are idle; `tracked` are the socket and bodies that tell it
//! when a request ends.

pub(crate) mod registry;
pub(crate) mod tracked;
