//! Extractors of the caller. Each authenticates the caller and counts the request against the rate limit, before any of
//! the body is read.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use crate::auth::auth_user::AuthUser;
use crate::auth::authenticator::Authenticator;
use crate::auth::request_limits::RequestLimits;
use crate::error::ApiError;

/// The caller of a read of a picture. An `<img>` element sends no CSRF token, so none is required.
pub(crate) struct PictureAccess(pub(crate) AuthUser);

/// The caller of a read of anything but a picture.
pub(crate) struct ReadAccess(pub(crate) AuthUser);

/// The caller of a write.
pub(crate) struct WriteAccess(pub(crate) AuthUser);

/// Implements the extractor `$access`. It authenticates the caller with the method `$authenticate` of
/// [`Authenticator`].
macro_rules! extractor {
    ($access:ident, $authenticate:ident) => {
        impl<S: Sync> FromRequestParts<S> for $access
        where
            Arc<Authenticator>: FromRef<S>,
            Arc<RequestLimits>: FromRef<S>,
        {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
                let (authenticator, limits) =
                    (Arc::<Authenticator>::from_ref(state), Arc::<RequestLimits>::from_ref(state));
                let caller = authenticator.$authenticate(&parts.headers).await?;
                limits.count_user(&caller)?;
                Ok(Self(caller))
            }
        }
    };
}

extractor!(PictureAccess, authenticate);
extractor!(ReadAccess, authenticate_read);
extractor!(WriteAccess, authenticate_write);
