//! The service-to-service API, `/service/…`: a portal that keeps its resources or files elsewhere registers them here.
//! The credential is a service key.

pub(crate) mod files;
pub(crate) mod resources;
