//! Verifies signatures of an identity provider's tokens with the crate `ring`, which TLS needs anyway. The JWT library
//! leaves the cryptography to the [`CryptoProvider`] that the process installs. The `CryptoProvider` in this file
//! verifies with public keys only, and signs nothing.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::signature as ring_signature;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes the JWT library use `ring` in this process. Does nothing if the library has a `CryptoProvider` already.
pub(super) fn install() {
    PROVIDER.install_default().ok();
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let key_fits = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => key.family() == AlgorithmFamily::Ec,
        Algorithm::EdDSA => key.family() == AlgorithmFamily::Ed,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => false,
        _ => key.family() == AlgorithmFamily::Rsa,
    };
    if key_fits {
        Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
    } else {
        Err(ErrorKind::InvalidAlgorithm.into())
    }
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl RingVerifier {
    fn verify_signature(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        if let DecodingKeyKind::RsaModulusExponent { n, e } = self.key.kind() {
            let algorithm = match self.algorithm {
                Algorithm::RS256 => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
                Algorithm::RS384 => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
                Algorithm::RS512 => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
                Algorithm::PS256 => &ring_signature::RSA_PSS_2048_8192_SHA256,
                Algorithm::PS384 => &ring_signature::RSA_PSS_2048_8192_SHA384,
                Algorithm::PS512 => &ring_signature::RSA_PSS_2048_8192_SHA512,
                _ => return None,
            };
            let key = ring_signature::RsaPublicKeyComponents { n, e };
            return key.verify(algorithm, message, signature).ok();
        }
        let algorithm: &dyn ring_signature::VerificationAlgorithm = match self.algorithm {
            Algorithm::ES256 => &ring_signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::ES384 => &ring_signature::ECDSA_P384_SHA384_FIXED,
            Algorithm::EdDSA => &ring_signature::ED25519,
            _ => return None,
        };
        let key = self.key.try_get_as_bytes().ok()?;
        ring_signature::UnparsedPublicKey::new(algorithm, key).verify(message, signature).ok()
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.verify_signature(message, signature).ok_or_else(signature::Error::new)
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
