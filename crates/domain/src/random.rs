//! The source of randomness. No other module takes random numbers, so that one place says where they are from: the
//! operating system.

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

/// Returns an id that is unique and larger than those returned before, by time (UUID version 7), so that the rows of an
/// index are inserted at its end.
pub fn ordered_id() -> Uuid {
    Uuid::now_v7()
}
