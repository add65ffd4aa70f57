//! Authenticated encryption (ChaCha20-Poly1305, RFC 8439) of texts that only this system can read. Each encryption key
//! is derived from a key that signs sessions. A text is sealed for one purpose. It does not open for another purpose,
//! or after it was cut or changed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::random_bytes;
use ring::aead::{Aad, NONCE_LEN, Nonce};

use crate::auth::signing_keys::{ID_BYTES, SigningKeys};

/// Why a text cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AeadError {
    /// The text is incomplete, or this system did not seal it for this purpose.
    Invalid,
    /// The text names a key that this process has not loaded. Another process may have made the key a moment ago.
    UnknownKey,
}

impl SigningKeys {
    /// Seals a text with the newest key. None if there is no key or no randomness.
    pub(crate) fn seal(&self, purpose: &str, text: &str) -> Option<String> {
        let (id, key) = self.newest_aead_key()?;
        let nonce: [u8; NONCE_LEN] = random_bytes().ok()?;
        let mut sealed = text.as_bytes().to_vec();
        let aad = Aad::from(purpose.as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some(BASE64.encode([&id[..], &nonce, &sealed].concat()))
    }

    /// Opens a text that was sealed for this purpose. If the key is unknown, reads the keys again,
    /// because another process may have made the key a moment ago.
    pub(crate) async fn open(&self, purpose: &str, sealed: &str) -> Result<String, AeadError> {
        match self.try_open(purpose, sealed) {
            Err(AeadError::UnknownKey) => {
                self.refresh().await.map_err(|_| AeadError::UnknownKey)?;
                self.try_open(purpose, sealed)
            }
            other => other,
        }
    }

    fn try_open(&self, purpose: &str, sealed: &str) -> Result<String, AeadError> {
        let bytes = BASE64.decode(sealed).map_err(|_| AeadError::Invalid)?;
        let (id, rest) = bytes.split_at_checked(ID_BYTES).ok_or(AeadError::Invalid)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(AeadError::Invalid)?;
        let key = self.aead_key(id).ok_or(AeadError::UnknownKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| AeadError::Invalid)?;
        let mut text = text.to_vec();
        let opened = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut text);
        let opened = opened.map_err(|_| AeadError::Invalid)?.to_vec();
        String::from_utf8(opened).map_err(|_| AeadError::Invalid)
    }
}
