//! Settings of a store: `[staging]` and `[blobs]`.

use bytesize::ByteSize;
use domain::Secret;
use serde::{Deserialize, Serialize};

/// The address of a store and its credentials. `engines` parses the address.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// The address, whose beginning names the engine; empty means a folder below the data directory.
    pub url: Secret,
    /// For a bucket: the server's address, if it is not the provider's own.
    pub endpoint: String,
    /// For a bucket: the region, if the engine has regions.
    pub region: String,
    /// For a bucket: the id of the key; empty means the usual variables of the engine.
    pub access_key_id: String,
    /// For a bucket: the key.
    pub secret_access_key: Secret,
    /// For a folder: free space on its file system below which uploads are refused. 0 refuses none.
    pub min_free: ByteSize,
}

impl StoreSettings {
    /// Whether the connection to the server is without TLS.
    pub(crate) fn is_plaintext(&self) -> bool {
        self.endpoint.starts_with("http://")
    }
}
