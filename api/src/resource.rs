//! The resource and the user that a path names: `{service}/{ID}` and `{user}` (`docs/contracts/dropbox.md`, 1.3).

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use domain::{Resource, Service};
use serde::Deserialize;

use crate::auth::realm_names::RealmNames;
use crate::error::ApiError;
use crate::http::path_params::PathParams;

/// The resource that `{service}/{id}` in a path names: one of the five services, and `<unique>.<fed>`.
pub(crate) struct ResourceParam(pub(crate) Resource);

/// The user that `{user}` in a path names.
pub(crate) struct UserParam(pub(crate) String);

#[derive(Deserialize)]
struct ResourceNames {
    service: String,
    id: String,
}

#[derive(Deserialize)]
struct UserName {
    user: String,
}

impl<S: Send + Sync> FromRequestParts<S> for ResourceParam
where
    Arc<RealmNames>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let PathParams(names) = PathParams::<ResourceNames>::from_request_parts(parts, state).await?;
        parse_resource(&Arc::<RealmNames>::from_ref(state).fedmember, &names.service, &names.id).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for UserParam
where
    Arc<RealmNames>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let PathParams(UserName { user }) = PathParams::from_request_parts(parts, state).await?;
        parse_user_id(&Arc::<RealmNames>::from_ref(state).fedmember, &user).map(Self)
    }
}

/// Returns the resource that a path names, if its id ends with this federation member.
fn parse_resource(fedmember: &str, service: &str, id: &str) -> Result<Resource, ApiError> {
    let service: Service =
        service.parse().map_err(|_| ApiError::NotFound(format!("there is no service \"{service:.40}\"")))?;
    match unique_part(fedmember, id) {
        Some(unique) => Ok(Resource { service, id: unique.to_owned() }),
        None => {
            let service = service.as_str();
            Err(ApiError::NotFound(format!(
                "there is nothing called {service}/{id:.80} here; ids end in \".{fedmember}\""
            )))
        }
    }
}

/// Parses the id of a user: `<unique>.<fed>`, or just the unique part. Returns the unique part.
pub(crate) fn parse_user_id(fedmember: &str, user: &str) -> Result<String, ApiError> {
    let unique = unique_part(fedmember, user).or_else(|| is_unique_part(user).then_some(user));
    unique
        .map(ToOwned::to_owned)
        .ok_or_else(|| ApiError::malformed("bad_user", format!("\"{user:.80}\" is no user's id")))
}

/// Returns the part of an id before the federation member. None if the id does not end with it, or if the part is
/// invalid.
fn unique_part<'a>(fedmember: &str, id: &'a str) -> Option<&'a str> {
    id.strip_suffix(fedmember)?.strip_suffix('.').filter(|unique| is_unique_part(unique))
}

/// Returns whether a text can be the part of an id before the federation member.
pub(crate) fn is_unique_part(unique: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    (1..=128).contains(&unique.len()) && unique.bytes().all(fine)
}
