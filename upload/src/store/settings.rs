//! Where a store is: `[staging]` and `[blobs]`, and what their addresses name.

use std::path::PathBuf;

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::secret::Secret;

/// Where a store is and how to get in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `file:///a/folder` or `s3://bucket/prefix`; empty means a folder below the data directory.
    pub url: Secret,
    /// The S3 server's address, where it is not Amazon's.
    pub endpoint: String,
    /// The S3 region.
    pub region: String,
    /// The S3 key's id; empty means the usual `AWS_…` variables.
    pub access_key_id: String,
    /// The S3 key.
    pub secret_access_key: Secret,
}

/// What an address names.
pub(super) enum Address<'a> {
    Folder(PathBuf),
    Bucket { bucket: &'a str, prefix: Path },
}

impl StoreSettings {
    /// What the address names; `place` is whose it is.
    pub(super) fn address(&self, place: &'static str) -> Result<Address<'_>, StoreError> {
        let url = self.url.expose();
        let wrong = |why: String| StoreError::Address { place, url: self.url.to_string(), why };
        if let Some(folder) = url.strip_prefix("file:") {
            return Ok(Address::Folder(PathBuf::from(folder.strip_prefix("//").unwrap_or(folder))));
        }
        let (bucket, prefix) = match url.strip_prefix("s3://") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", ""),
        };
        if bucket.is_empty() {
            return Err(wrong("write file:///a/folder or s3://bucket/prefix".to_owned()));
        }
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| wrong(error.to_string()))?;
        Ok(Address::Bucket { bucket, prefix })
    }

    /// Looks at them without opening anything.
    pub(crate) fn check(&self, place: &'static str) -> Result<(), StoreError> {
        self.address(place).map(drop)
    }
}
