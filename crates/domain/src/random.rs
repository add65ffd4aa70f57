//! The source of randomness: the operating system. All other modules take random numbers from here,
//! so that their origin is decided in one place.

#![expect(clippy::disallowed_methods, reason = "the owner of randomness")]

use uuid::Uuid;

/// The operating system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this machine gives no random numbers: {0}")]
pub struct NoRandomness(getrandom::Error);

/// Returns bytes that cannot be guessed, for keys, nonces and tokens.
///
/// # Errors
/// [`NoRandomness`] if the operating system gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// Returns an id that cannot be guessed (UUID version 4).
pub fn random_id() -> Uuid {
    Uuid::new_v4()
}

/// Returns a unique id that grows with time (UUID version 7), so that new rows are inserted at the
/// end of an index.
pub fn ordered_id() -> Uuid {
    Uuid::now_v7()
}
