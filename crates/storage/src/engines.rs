//! The table of the engines, and the choice among them by the address in the settings.

use address::{param, parse_params, with_param};
use domain::Secret;

use crate::engine_address::{AddressFault, CA_FILE, EngineAddress, EngineKind, OpenEngine};
use crate::error::StoreError;
use crate::settings::StoreSettings;

/// All engines. A new engine adds one line.
const ENGINES: &[EngineKind] = &[
    crate::folder::KIND, // a folder of this machine
    crate::s3::KIND,     // a bucket of Amazon S3 or of another server with its interface
    crate::azure::KIND,  // a container of Azure Blob Storage
];

/// The engine that an address names.
fn find_engine(url: &str) -> Option<&'static EngineKind> {
    let (scheme, _) = url.split_once(':')?;
    ENGINES.iter().find(|kind| kind.scheme == scheme)
}

/// The forms of all addresses, such as `a, b or c`.
fn address_forms() -> String {
    let mut forms = String::new();
    for (index, kind) in ENGINES.iter().enumerate() {
        let separator = match ENGINES.len() - index {
            _ if index == 0 => "",
            1 => " or ",
            _ => ", ",
        };
        forms.extend([separator, kind.form]);
    }
    forms
}

impl StoreSettings {
    /// Checks the settings without opening anything.
    pub fn check(&self, backend: &'static str) -> Result<(), StoreError> {
        self.with_engine(backend, |kind, address| (kind.check)(address))
    }

    /// Opens the engine at the address. `backend` names the store in errors.
    pub(crate) fn open_engine(&self, backend: &'static str) -> Result<OpenEngine, StoreError> {
        self.with_engine(backend, |kind, address| (kind.open)(address))
    }

    /// Trusts the certificate authorities in this file for the certificate of a bucket's server, unless the address
    /// names a file of its own.
    pub fn trust_ca_file(&mut self, ca_file: &str) {
        let url = self.url.expose();
        let Some(kind) = find_engine(url).filter(|kind| kind.params.contains(&CA_FILE)) else { return };
        let has_ca_file = parse_params(url, kind.params).is_ok_and(|found| param(&found, CA_FILE).is_some());
        if !has_ca_file && !self.is_plaintext() {
            self.url = Secret::new(with_param(url, CA_FILE, ca_file));
        }
    }

    fn with_engine<T>(
        &self,
        backend: &'static str,
        run: impl FnOnce(&EngineKind, &EngineAddress<'_>) -> Result<T, AddressFault>,
    ) -> Result<T, StoreError> {
        let invalid = |why: String| StoreError::Address { backend, url: self.url.to_string(), why };
        let url = self.url.expose();
        let kind = find_engine(url);
        let params = parse_params(url, kind.map_or(&[], |kind| kind.params)).map_err(invalid)?;
        let url = url.split_once('?').map_or(url, |(url, _)| url);
        let result = match (kind, url.split_once(':')) {
            (Some(kind), Some((_, place))) => run(kind, &EngineAddress { place, params, settings: self }),
            _ => Err(AddressFault::Form),
        };
        result.map_err(|fault| match fault {
            AddressFault::Form => invalid(format!("write {}", address_forms())),
            AddressFault::Other(why) => invalid(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> StoreSettings {
        StoreSettings {
            url: Secret::new(url),
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            min_free: Default::default(),
        }
    }

    #[test]
    fn every_engine_takes_an_address_of_its_form() {
        for (index, kind) in ENGINES.iter().enumerate() {
            assert!(find_engine(kind.form).is_some_and(|found| found.form == kind.form), "{}", kind.form);
            settings(kind.form).check("blobs").unwrap();
            assert!(ENGINES[..index].iter().all(|other| other.scheme != kind.scheme), "{} is there twice", kind.scheme);
        }
    }

    #[test]
    fn an_address_of_no_engine_is_refused_with_the_forms_of_all() {
        for url in ["", "folder", "ftp://host/folder", "s3:bucket", "s3://", "s3:///prefix"] {
            let message = settings(url).check("blobs").unwrap_err().to_string();
            assert!(message.starts_with("blobs.url = ") && message.contains(": write "), "{url}: {message}");
            assert!(ENGINES.iter().all(|kind| message.contains(kind.form)), "{message}");
        }
        assert!(address_forms().starts_with("file:///a/folder"), "{}", address_forms());
    }

    #[test]
    fn an_authority_is_trusted_at_servers_with_tls() {
        for (url, endpoint, trusted) in [
            ("s3://bucket/prefix", "https://host", "s3://bucket/prefix?ca_file=/our/ca.pem"),
            ("s3://bucket?ca_file=/its/own.pem", "https://host", "s3://bucket?ca_file=/its/own.pem"),
            ("s3://bucket", "http://host", "s3://bucket"),
            ("file:///a/folder", "", "file:///a/folder"),
        ] {
            let mut settings = StoreSettings { endpoint: endpoint.to_owned(), ..settings(url) };
            settings.trust_ca_file("/our/ca.pem");
            assert_eq!(settings.url.expose(), trusted);
        }
    }
}
