//! The address of a store, and the kind of engine that the address names.

use std::sync::Arc;

use object_store::path::Path;

use crate::engine::StorageEngine;
use crate::settings::StoreSettings;

/// The name of the parameter for a file with certificate authorities that may have issued the server's certificate.
pub(crate) const CA_FILE: &str = "ca_file";

/// The kind of engine that an address names by its scheme.
#[derive(Debug)]
pub(crate) struct EngineKind {
    /// What its addresses begin with, before the colon.
    pub(crate) scheme: &'static str,
    /// The form of its addresses, for messages.
    pub(crate) form: &'static str,
    /// The parameters that its addresses may have.
    pub(crate) params: &'static [&'static str],
    /// Checks an address and its credentials without opening anything.
    pub(crate) check: fn(&EngineAddress<'_>) -> Result<(), AddressFault>,
    /// Opens the engine at an address. Succeeds even if a server does not answer.
    pub(crate) open: fn(&EngineAddress<'_>) -> Result<OpenEngine, AddressFault>,
}

/// The address of a store.
#[derive(Debug)]
pub(crate) struct EngineAddress<'a> {
    /// What follows the scheme and its colon, without the parameters.
    pub(crate) place: &'a str,
    /// The parameters, all of them known to the engine.
    pub(crate) params: Vec<(String, String)>,
    /// The endpoint and the credentials.
    pub(crate) settings: &'a StoreSettings,
}

/// An opened engine, and the prefix of all paths of the store.
pub(crate) type OpenEngine = (Arc<dyn StorageEngine>, Path);

/// Why an address cannot be opened.
#[derive(Debug)]
pub(crate) enum AddressFault {
    /// The address does not have the engine's form.
    Form,
    /// Another fault, in words.
    Other(String),
}

impl From<String> for AddressFault {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}
