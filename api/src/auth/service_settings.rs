//! `[realm.service]`: the keys of other services.

use domain::{InvalidSetting, Secret};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// `[realm.service]`: which systems may call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// One or more keys of at least 32 characters each, separated by blanks, so that they can be exchanged one by one.
    /// Empty: no system may call.
    pub keys: Secret,
}

impl ServiceSettings {
    /// Returns digests of the keys, so that a comparison takes the same time for all keys.
    ///
    /// # Errors
    /// A key that is too short to be a secret.
    pub(crate) fn key_digests(&self) -> Result<Vec<[u8; 32]>, InvalidSetting> {
        let digest = |key: &str| match key.len() {
            32.. => Ok(Sha256::digest(key.as_bytes()).into()),
            short => {
                let allowed = format!("one of its keys has {short} characters; make each at least 32 long");
                Err(InvalidSetting::new("realm.service.keys", "…", allowed))
            }
        };
        self.keys.expose().split_whitespace().map(digest).collect()
    }
}
