//! The credential of other systems: one of the keys in `realm.service.keys`, as a bearer token. Cookies are ignored.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::auth::bearer_token::bearer_token;
use crate::error::ApiError;

/// The digests of all keys.
pub(crate) struct ServiceKeys(pub(crate) Vec<[u8; 32]>);

/// Proof that a request has one of the keys.
pub(crate) struct ServiceKey;

impl<S: Sync> FromRequestParts<S> for ServiceKey
where
    Arc<ServiceKeys>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let key = bearer_token(&parts.headers);
        let key = key.ok_or(ApiError::NotLoggedIn("the service key is missing; send it as a bearer token"))?;
        let sent_digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        // All keys are compared, in constant time, so that the time tells nothing about them.
        let ServiceKeys(digests) = &*Arc::<ServiceKeys>::from_ref(state);
        let known = digests.iter().fold(subtle::Choice::from(0), |known, digest| known | digest.ct_eq(&sent_digest));
        if bool::from(known) {
            Ok(Self)
        } else {
            Err(ApiError::NotLoggedIn("the service key is not valid; use a key of realm.service.keys"))
        }
    }
}
