//! Texts that only we can read: sealed with a key derived from those that sign sessions (ChaCha20-Poly1305, RFC 8439), for
//! one purpose each. What was sealed for another purpose, or cut, or changed, does not open.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::aead::{Aad, NONCE_LEN, Nonce};

use super::keys::{ID_BYTES, Keys};

/// Why a text does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSealed {
    /// It was not sealed by us for this purpose, or not all of it is there.
    Bad,
    /// It names a key that this process has not seen: another may have made it a moment ago.
    UnknownKey,
}

impl Keys {
    /// Seals a text with the newest key. None where there is no key or no randomness.
    pub(crate) fn conceal(&self, purpose: &str, text: &str) -> Option<String> {
        let (id, key) = self.newest_sealing()?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let mut sealed = text.as_bytes().to_vec();
        let aad = Aad::from(purpose.as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some(BASE64.encode([&id[..], &nonce, &sealed].concat()))
    }

    /// The text that was sealed for this purpose. A key made by another process a moment ago is looked for.
    pub(crate) async fn reveal(&self, purpose: &str, sealed: &str) -> Result<String, NotSealed> {
        match self.open_sealed(purpose, sealed) {
            Err(NotSealed::UnknownKey) => {
                self.refresh().await.map_err(|_| NotSealed::UnknownKey)?;
                self.open_sealed(purpose, sealed)
            }
            other => other,
        }
    }

    fn open_sealed(&self, purpose: &str, sealed: &str) -> Result<String, NotSealed> {
        let bytes = BASE64.decode(sealed).map_err(|_| NotSealed::Bad)?;
        let (id, rest) = bytes.split_at_checked(ID_BYTES).ok_or(NotSealed::Bad)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(NotSealed::Bad)?;
        let key = self.sealing(id).ok_or(NotSealed::UnknownKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotSealed::Bad)?;
        let mut text = text.to_vec();
        let opened = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut text);
        let opened = opened.map_err(|_| NotSealed::Bad)?.to_vec();
        String::from_utf8(opened).map_err(|_| NotSealed::Bad)
    }
}
