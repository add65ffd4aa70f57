//! Password hashing with argon2id. At most two hashes are computed at a time, on threads for blocking work, because
//! each hash takes 19 MiB and tens of milliseconds.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// The longest password that is accepted, in bytes.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;

/// The most hashes and verifications at once, waiting and running together. More than that is an attack or an overload.
const MAX_QUEUED: usize = 64;

/// Hashes and verifies passwords, two at a time. Clones share the limit.
#[derive(Clone)]
pub(crate) struct Passwords {
    hash_permits: Arc<Semaphore>,
    queue_permits: Arc<Semaphore>,
}

/// Why a password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed: {0}")]
pub struct HashError(String);

/// Hashes a password in this thread, which is slow. Returns the PHC string that the records store.
///
/// # Errors
/// A password that is too long, or a machine without randomness.
pub fn hash_password(password: &str) -> Result<String, HashError> {
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(HashError(format!("it has {} bytes and the limit is {MAX_PASSWORD_BYTES}", password.len())));
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash: argon2::password_hash::phc::PasswordHash| hash.to_string())
        .map_err(|error| HashError(error.to_string()))
}

/// Returns a hash that no password matches and that takes as long to verify as any other. So a login with an unknown
/// e-mail address takes as long as a login with a wrong password.
fn dummy_hash() -> String {
    let (memory, passes, lanes) = (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST);
    let (salt, digest) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${digest}")
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { hash_permits: Arc::new(Semaphore::new(2)), queue_permits: Arc::new(Semaphore::new(MAX_QUEUED)) }
    }

    /// Hashes a password when its turn comes.
    pub(crate) async fn hash(&self, password: String) -> Result<String, ApiError> {
        const BUSY: ApiError = ApiError::Overloaded("too many passwords are being hashed at once");
        let _queue_slot = self.queue_permits.try_acquire().map_err(|_| BUSY)?;
        let _permit = self.hash_permits.acquire().await.map_err(|_| BUSY)?;
        let hashed = tokio::task::spawn_blocking(move || hash_password(&password)).await;
        let hashed = hashed.map_err(|error| ApiError::Internal(format!("hashing a password: {error}")))?;
        hashed.map_err(|error| ApiError::Internal(error.to_string()))
    }

    /// Returns whether `password` matches `hash`. Without a hash, a verification of [`dummy_hash`] takes the same time,
    /// and the result is false.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, ApiError> {
        const BUSY: ApiError = ApiError::Overloaded("too many logins are in progress");
        let _queue_slot = self.queue_permits.try_acquire().map_err(|_| BUSY)?;
        let _permit = self.hash_permits.acquire().await.map_err(|_| BUSY)?;
        let has_hash = hash.is_some();
        let hash = hash.unwrap_or_else(dummy_hash);
        let verified = tokio::task::spawn_blocking(move || {
            let hash = PasswordHash::new(&hash).ok()?;
            Argon2::default().verify_password(password.as_bytes(), &hash).ok()
        });
        let verified = verified.await.map_err(|error| ApiError::Internal(format!("verifying a password: {error}")))?;
        Ok(verified.is_some() && has_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dummy_hash_costs_as_much_as_a_real_hash() {
        let (dummy, real) = (dummy_hash(), hash_password("a password").unwrap());
        let (dummy, real) = (PasswordHash::new(&dummy).unwrap(), PasswordHash::new(&real).unwrap());
        assert_eq!((dummy.algorithm, dummy.version, &dummy.params), (real.algorithm, real.version, &real.params));
        let lengths = |hash: &PasswordHash| (hash.salt.as_ref().map(|s| s.len()), hash.hash.as_ref().map(|h| h.len()));
        assert_eq!(lengths(&dummy), lengths(&real));
        let wrong = Argon2::default().verify_password(b"", &dummy);
        assert!(matches!(wrong, Err(argon2::password_hash::Error::PasswordInvalid)), "{wrong:?}");
    }
}
