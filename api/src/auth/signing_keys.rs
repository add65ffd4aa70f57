//! The keys that sign sessions. The newest key signs, and all keys verify, so that a new key does not log users out.
//! The keys are in the records, where every API process finds them. A key is deleted once everything that it signed has
//! expired.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::{NoRandomness, hex, random_bytes};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use records::{Records, RecordsError, SigningKey};
use ring::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use sha2::Sha256;

/// What a signature is for. A signature for one purpose is invalid for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Session,
    Csrf,
}

impl Purpose {
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Session => b"cloakroom session\0",
            Self::Csrf => b"cloakroom csrf\0",
        }
    }
}

/// The result of verifying a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureCheck {
    Valid,
    Invalid,
    /// Signed by a key that this process has not loaded. Another process may have made the key a moment ago.
    UnknownKey,
}

/// The longest time for which a sealed text ([`aead`](super::aead)) is needed. The refresh token of an applink, and the
/// response that is stored for an idempotency key, are needed for this time.
const MAX_SEALED_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Within this time every process has loaded a new key, and signs with it.
const KEY_PROPAGATION_TIME: Duration = Duration::from_secs(60);

pub(super) const ID_BYTES: usize = 8;
const MAC_BYTES: usize = 32;

#[derive(Clone)]
struct LoadedKey {
    id: [u8; ID_BYTES],
    mac: Hmac<Sha256>,
    aead: LessSafeKey,
}

/// The key ring. Clones share it.
#[derive(Clone)]
pub(crate) struct SigningKeys {
    records: Records,
    key_ring: Arc<RwLock<KeyRing>>,
}

struct KeyRing {
    keys: Vec<LoadedKey>,
    read_at: Timestamp,
}

impl SigningKeys {
    /// Reads the key ring, and creates its first key if there is none.
    ///
    /// # Errors
    /// Any database error, or a machine without randomness.
    pub(crate) async fn load(records: &Records) -> Result<Self, KeyError> {
        if records.signing_keys().await?.is_empty() {
            add_key(records).await?;
        }
        let ring = KeyRing { keys: parse_keys(records.signing_keys().await?), read_at: records.clock().now() };
        Ok(Self { records: records.clone(), key_ring: Arc::new(RwLock::new(ring)) })
    }

    /// Reads the key ring again, at most once a second.
    pub(crate) async fn refresh(&self) -> Result<(), RecordsError> {
        let now = self.records.clock().now();
        let age = now.duration_since(self.key_ring.read().unwrap_or_else(PoisonError::into_inner).read_at);
        if age.abs() < jiff::SignedDuration::from_secs(1) {
            return Ok(());
        }
        let keys = parse_keys(self.records.signing_keys().await?);
        *self.key_ring.write().unwrap_or_else(PoisonError::into_inner) = KeyRing { keys, read_at: now };
        Ok(())
    }

    /// Adds a key if the newest is older than `max_age`. Deletes the keys that no valid signature depends on. A session
    /// lasts for `session_lifetime` unless it is renewed, and a renewal signs with the newest key.
    pub(crate) async fn rotate(&self, max_age: Duration, session_lifetime: Duration) -> Result<(), KeyError> {
        if self.records.newest_signing_key_age().await?.is_none_or(|age| age >= max_age) {
            add_key(&self.records).await?;
            tracing::info!("created a new signing key for sessions");
        }
        let deleted = self
            .records
            .delete_old_signing_keys(session_lifetime.max(MAX_SEALED_LIFETIME) + KEY_PROPAGATION_TIME)
            .await?;
        if deleted > 0 {
            tracing::info!(deleted, "deleted signing keys whose signatures have all expired");
        }
        Ok(self.refresh().await?)
    }

    /// Signs with the newest key. Returns the key's id and the authentication code, as one text in
    /// base64url.
    pub(crate) fn sign(&self, purpose: Purpose, text: &str) -> Option<String> {
        let ring = self.key_ring.read().unwrap_or_else(PoisonError::into_inner);
        let key = ring.keys.first()?;
        let mut mac = key.mac.clone();
        mac.update(purpose.prefix());
        mac.update(text.as_bytes());
        let mut signature = key.id.to_vec();
        signature.extend_from_slice(&mac.finalize().into_bytes());
        Some(BASE64.encode(signature))
    }

    /// The id of the key that signs, in the form that the records use.
    pub(crate) fn signing_key_id(&self) -> Option<String> {
        let ring = self.key_ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.keys.first().map(|key| hex(&key.id))
    }

    /// The newest key and its id, to seal texts.
    pub(super) fn newest_aead_key(&self) -> Option<([u8; ID_BYTES], LessSafeKey)> {
        let ring = self.key_ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.keys.first().map(|key| (key.id, key.aead.clone()))
    }

    /// The key with that id, to open sealed texts.
    pub(super) fn aead_key(&self, id: &[u8]) -> Option<LessSafeKey> {
        let ring = self.key_ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.keys.iter().find(|key| key.id == id).map(|key| key.aead.clone())
    }

    /// Verifies a signature in constant time.
    pub(crate) fn verify(&self, purpose: Purpose, text: &str, signature: &str) -> SignatureCheck {
        let Ok(signature) = BASE64.decode(signature) else { return SignatureCheck::Invalid };
        let Some((id, code)) = signature.split_at_checked(ID_BYTES) else { return SignatureCheck::Invalid };
        if code.len() != MAC_BYTES {
            return SignatureCheck::Invalid;
        }
        let ring = self.key_ring.read().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = ring.keys.iter().find(|key| key.id == id) else { return SignatureCheck::UnknownKey };
        let mut mac = key.mac.clone();
        mac.update(purpose.prefix());
        mac.update(text.as_bytes());
        if mac.verify_slice(code).is_ok() { SignatureCheck::Valid } else { SignatureCheck::Invalid }
    }
}

/// Why the key ring cannot be read or extended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// Creates a key and stores it in the records. New signatures use it from now on. Returns its id.
pub(crate) async fn add_key(records: &Records) -> Result<String, KeyError> {
    let (id, secret): ([u8; ID_BYTES], [u8; 32]) = (random_bytes()?, random_bytes()?);
    records.add_signing_key(&SigningKey { id: hex(&id), secret: hex(&secret) }).await?;
    Ok(hex(&id))
}

/// Parses keys. A key that cannot be parsed is left out, so what it signed is invalid.
fn parse_keys(keys: Vec<SigningKey>) -> Vec<LoadedKey> {
    let parse = |key: SigningKey| {
        let id = decode_hex(&key.id)?.try_into().ok()?;
        let mac = Hmac::new_from_slice(&decode_hex(&key.secret)?).ok()?;
        Some(LoadedKey { id, aead: derive_aead_key(&mac)?, mac })
    };
    keys.into_iter().filter_map(parse).collect()
}

/// Derives the key that seals texts. `mac` is keyed with a key that signs.
fn derive_aead_key(mac: &Hmac<Sha256>) -> Option<LessSafeKey> {
    let mut mac = mac.clone();
    mac.update(b"cloakroom sealing\0");
    UnboundKey::new(&CHACHA20_POLY1305, &mac.finalize().into_bytes()).ok().map(LessSafeKey::new)
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
