//! SHA-256 digests in hex, as records and entity tags contain them. The crate `ring` computes them,
//! because on processors without SHA instructions it takes little more than half the time of the
//! usual crate, `sha2`.

use std::fmt::Write;

use ring::digest::{Context, SHA256, digest};

/// The digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// An incremental digest.
pub struct Sha256Hasher(Context);

impl Sha256Hasher {
    /// A digest of no bytes yet.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all added bytes.
    pub fn finish(&self) -> String {
        hex(self.0.clone().finish().as_ref())
    }
}

impl Default for Sha256Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sha256Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

/// Returns the bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text `abc` and its digest are the example of FIPS 180-2, appendix B.1.
    #[test]
    fn the_digest_of_pieces_is_the_digest_of_the_whole() {
        let mut hasher = Sha256Hasher::new();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), sha256(b"abc"));
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
