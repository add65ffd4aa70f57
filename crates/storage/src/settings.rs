//! Settings of a store: `[staging]` and `[blobs]`, and the forms of their addresses.

use std::path::PathBuf;

use address::{param, parse_params, read_ca_file, with_param};
use bytesize::ByteSize;
use domain::Secret;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// The address of a store and its credentials.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `file:///a/folder` or `s3://bucket/prefix`; empty means a folder below the data directory.
    pub url: Secret,
    /// The S3 server's address, if it is not Amazon's.
    pub endpoint: String,
    /// The S3 region.
    pub region: String,
    /// The S3 key's id; empty means the usual `AWS_…` variables.
    pub access_key_id: String,
    /// The S3 key.
    pub secret_access_key: Secret,
    /// For a folder: free space on its file system below which uploads are refused. 0 refuses none.
    pub min_free: ByteSize,
}

/// The parsed address of a store.
pub(super) enum StoreAddress<'a> {
    Folder(PathBuf),
    /// A bucket. `ca_file` names certificate authorities that may have issued the server's certificate.
    Bucket {
        bucket: &'a str,
        prefix: Path,
        ca_file: Option<String>,
    },
}

/// The parameter of a bucket's address that names a file with certificate authorities.
const CA_FILE: &str = "ca_file";

impl StoreSettings {
    /// Parses the address. `backend` names the store in errors.
    pub(super) fn parse_address(&self, backend: &'static str) -> Result<StoreAddress<'_>, StoreError> {
        let url = self.url.expose();
        let invalid = |why: String| StoreError::Address { backend, url: self.url.to_string(), why };
        let known: &[&str] = if url.starts_with("s3:") { &[CA_FILE] } else { &[] };
        let parameters = parse_params(url, known).map_err(invalid)?;
        let url = url.split_once('?').map_or(url, |(url, _)| url);
        if let Some(folder) = url.strip_prefix("file:") {
            return Ok(StoreAddress::Folder(PathBuf::from(folder.strip_prefix("//").unwrap_or(folder))));
        }
        let (bucket, prefix) = match url.strip_prefix("s3://") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", ""),
        };
        if bucket.is_empty() {
            return Err(invalid("write file:///a/folder or s3://bucket/prefix".to_owned()));
        }
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| invalid(error.to_string()))?;
        let ca_file = param(&parameters, CA_FILE).map(str::to_owned);
        if ca_file.is_some() && self.is_plaintext() {
            return Err(invalid(format!("{CA_FILE} is for an endpoint that begins with https://")));
        }
        Ok(StoreAddress::Bucket { bucket, prefix, ca_file })
    }

    /// Makes a bucket's server trusted if its certificate is from an authority in this file, unless the address names
    /// a file itself.
    pub fn trust_ca_file(&mut self, ca_file: &str) {
        let url = self.url.expose();
        let named = parse_params(url, &[CA_FILE]).is_ok_and(|found| param(&found, CA_FILE).is_some());
        if url.starts_with("s3:") && !named && !self.is_plaintext() {
            self.url = Secret::new(with_param(url, CA_FILE, ca_file));
        }
    }

    /// Whether the connection to the server is without TLS.
    fn is_plaintext(&self) -> bool {
        self.endpoint.starts_with("http://")
    }

    /// Checks the settings without opening anything.
    pub fn check(&self, backend: &'static str) -> Result<(), StoreError> {
        match self.parse_address(backend)? {
            StoreAddress::Bucket { ca_file: Some(file), .. } => {
                let invalid = |why: String| StoreError::Address { backend, url: self.url.to_string(), why };
                read_ca_file(&file).map(drop).map_err(invalid)
            }
            _ => Ok(()),
        }
    }
}
