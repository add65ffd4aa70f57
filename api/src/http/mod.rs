//! HTTP for every API: connections, bodies and headers.
//!
//! - `server` and `connections` accept connections within limits; `client_ip`, `client_network` and `forwarded` find the
//!   client behind proxies.
//! - `body` bounds a body, `multipart` and `small_body` read one, `json_object` is an object without repeated members,
//!   and `path_params` reads a path. `content_encoding` refuses a body that is compressed, and `header_parameters`
//!   reads headers that have parameters.
//! - `idempotency` and `idempotency_lock` answer a repeated request with its first response.
//! - `message_checks` checks what every request must have. `request_head` is the request in the form in which a handler
//!   that serves bytes gets it. `accept`, `conditional`, `ranges` and `prefer` read headers of requests.
//! - `other_methods` answers 405 and `OPTIONS`. `cross_origin` tells browsers what pages of other origins may do.
//!   `path_prefix` is the start of every address. `html` escapes text for pages and renders pages.
//! - `settings` are the settings of all of these.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod client_ip;
pub(crate) mod client_network;
pub(crate) mod conditional;
pub(crate) mod connections;
pub(crate) mod content_encoding;
pub(crate) mod cross_origin;
pub(crate) mod forwarded;
pub(crate) mod header_parameters;
pub(crate) mod html;
pub(crate) mod idempotency;
pub(crate) mod idempotency_lock;
pub(crate) mod json_object;
pub(crate) mod message_checks;
pub(crate) mod multipart;
pub(crate) mod other_methods;
pub(crate) mod path_params;
pub(crate) mod path_prefix;
pub(crate) mod prefer;
pub(crate) mod ranges;
pub(crate) mod request_head;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod small_body;
