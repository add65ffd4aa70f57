//! Avatars: the picture of a resource, public because pages everywhere embed it.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use domain::{Media, Service, Upload};

use crate::auth::auth_user::AuthUser;
use crate::auth::policy_client::Action;
use crate::dropbox::default_avatar::default_avatar;
use crate::dropbox::requested_variant;
use crate::dropbox::variant_server::{ensure_variant, variant_response};
use crate::error::ApiError;
use crate::http::path_params::PathParams;
use crate::openapi::content_responses::AvatarContent;
use crate::openapi::error_responses::{
    CsrfErrors, ParameterErrors, PermissionErrors, PreconditionErrors, Problems, RejectionErrors, TargetErrors,
};
use crate::openapi::path_parameters::{ResourcePath, SizeQuery};
use crate::openapi::request_headers::ConditionalHeaders;
use crate::resource::parse_resource;
use crate::state::AppState;

/// The default size, in pixels.
const DEFAULT_SIZE: u32 = 512;

/// `GET /api/{service}/{ID}/avatar`: returns the current avatar of a resource, or the default avatar.
#[utoipa::path(
    get,
    path = "/api/{service}/{id}/avatar",
    tag = "avatars",
    operation_id = "getAvatar",
    params(ResourcePath, SizeQuery, ConditionalHeaders),
    responses(
        AvatarContent,
        Problems::<(ParameterErrors, TargetErrors, PreconditionErrors, RejectionErrors)>,
    ),
    security(()),
)]
pub(crate) async fn current(
    State(state): State<AppState>,
    PathParams((service, id)): PathParams<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    const CACHE: &str = "public, no-cache";
    let size = requested_variant::parse_size(&uri)?.unwrap_or(DEFAULT_SIZE);
    let resource = parse_resource(&state.realm_names.fedmember, &service, &id)?;
    match state.backends.records.avatar(&resource).await? {
        Some((_, upload)) => avatar_response(&state, &upload, size, &method, &headers, CACHE).await,
        None => default_avatar(size, &headers, CACHE),
    }
}

/// `GET /api/{service}/{ID}/avatars/{version}.png`: returns one version of an avatar, which never changes.
#[utoipa::path(
    get,
    path = "/api/{service}/{id}/avatars/{version}",
    tag = "avatars",
    operation_id = "getAvatarVersion",
    params(
        ResourcePath,
        ("version" = String, Path, pattern = "^[0-9]+\\.png$", example = "1.png", description = "`<version>.png`"),
        SizeQuery,
        ConditionalHeaders,
    ),
    responses(
        AvatarContent,
        Problems::<(ParameterErrors, TargetErrors, PreconditionErrors, RejectionErrors)>,
    ),
    security(()),
)]
pub(crate) async fn version(
    State(state): State<AppState>,
    PathParams((service, id, file)): PathParams<(String, String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let size = requested_variant::parse_size(&uri)?.unwrap_or(DEFAULT_SIZE);
    let resource = parse_resource(&state.realm_names.fedmember, &service, &id)?;
    let unknown = || ApiError::NotFound(format!("{resource} has no avatar {file:.40}"));
    let version = file.strip_suffix(".png").and_then(|version| version.parse().ok()).ok_or_else(unknown)?;
    let upload = state.backends.records.avatar_version(&resource, version).await?.ok_or_else(unknown)?;
    avatar_response(&state, &upload, size, &method, &headers, "public, max-age=31536000, immutable").await
}

async fn avatar_response(
    state: &AppState,
    upload: &Upload,
    size: u32,
    method: &Method,
    headers: &HeaderMap,
    cache: &'static str,
) -> Result<Response, ApiError> {
    let variant = ensure_variant(state, upload, requested_variant::variant_name(Some(size), Media::Png)?).await?;
    variant_response(state, &variant, method, headers, cache).await
}

/// `DELETE /api/users/{UserID}/picture`: removes the avatar of a user, who then has the default avatar.
#[utoipa::path(
    delete,
    path = "/api/{service}/{id}/picture",
    tag = "avatars",
    operation_id = "removeAvatar",
    params(ResourcePath),
    responses(
        (status = 200, description = "The user has the default avatar"),
        Problems::<(CsrfErrors, PermissionErrors, TargetErrors)>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn remove(
    State(state): State<AppState>,
    PathParams((service, id)): PathParams<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let caller = AuthUser::for_write(&state, &headers).await?;
    state.check_rate_limit(&caller)?;
    let resource = parse_resource(&state.realm_names.fedmember, &service, &id)?;
    if resource.service != Service::Users {
        return Err(ApiError::NotFound("only users have a picture that can be removed".to_owned()));
    }
    state.authorize(&caller, Action::RemoveAvatar, &resource).await?;
    state.backends.records.remove_avatar(&resource, &caller.user_id).await?;
    Ok(StatusCode::OK)
}
