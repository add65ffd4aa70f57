//! The parameters in the addresses of backends, and the certificate authorities that are trusted on connections to
//! backends.

mod ca_file;
mod params;

pub use ca_file::{TlsSettings, read_ca_file};
pub use params::{param, parse_params, with_param};
