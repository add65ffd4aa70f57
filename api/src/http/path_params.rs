//! Extracts the parameters of a path. Text that is not UTF-8 names nothing, so such a path gets 404 like any other text
//! that names nothing (`docs/contracts/dropbox.md`, 1.2).

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The parameters of a path, in their order.
pub(crate) struct PathParams<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = Path::from_request_parts(parts, state).await;
        params
            .map(|Path(params)| Self(params))
            .map_err(|_| ApiError::NotFound("there is nothing at this path, because it is not UTF-8".to_owned()))
    }
}
