//! `[tls]`: the certificate authorities that are trusted besides the public ones, for every connection of this program.

use domain::InvalidSetting;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

/// Section `[tls]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// A file with the certificates of private certificate authorities, in PEM; empty for none.
    pub ca_file: String,
}

impl TlsSettings {
    /// Checks the file, if one is set.
    ///
    /// # Errors
    /// If the file cannot be read, has no certificate in it, or has a certificate that cannot be used.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        self.certificates().map(drop)
    }

    /// The file's text, in PEM; None if no file is set.
    ///
    /// # Errors
    /// If the file cannot be read, has no certificate in it, or has a certificate that cannot be used.
    pub fn certificates(&self) -> Result<Option<String>, InvalidSetting> {
        if self.ca_file.is_empty() {
            return Ok(None);
        }
        let read = read_ca_file(&self.ca_file);
        read.map(Some).map_err(|why| InvalidSetting::new("tls.ca_file", format_args!("\"{}\"", self.ca_file), why))
    }
}

/// Returns the text of a file with certificates in PEM, after checking that each certificate can be used.
///
/// # Errors
/// The reason why the file is invalid.
pub fn read_ca_file(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))?;
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let added = certificate.map_err(|error| error.to_string());
        let added = added.and_then(|certificate| trusted.add(certificate).map_err(|error| error.to_string()));
        added.map_err(|error| format!("the file {path} has a certificate that cannot be used: {error}"))?;
    }
    if trusted.is_empty() {
        return Err(format!("the file {path} has no certificate in PEM form (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |name: &str| TlsSettings { ca_file: folder.path().join(name).display().to_string() };
        std::fs::write(folder.path().join("empty.pem"), "none here").unwrap();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(folder.path().join("broken.pem"), broken).unwrap();
        assert_eq!(TlsSettings::default().check(), Ok(()));
        for (name, words) in [
            ("none.pem", "cannot be read"),
            ("empty.pem", "has no certificate in PEM form"),
            ("broken.pem", "has a certificate that cannot be used"),
        ] {
            let message = settings(name).check().unwrap_err().to_string();
            assert!(message.starts_with("tls.ca_file = ") && message.contains(words), "{message}");
        }
    }
}
