//! The addresses of backends: their parameters, and the certificate authorities that are trusted at them.

mod ca_file;
mod params;

pub use ca_file::{TlsSettings, read_ca_file};
pub use params::{param, parse_params, with_param};
