//! Avatars: the picture of a resource, public because pages everywhere embed it.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use domain::{Media, Service, Upload};

use super::default_avatar::default_avatar;
use super::{ensure_variant, requested_variant, variant_response};
use crate::auth::{Action, AuthUser};
use crate::error::{ApiError, Problem};
use crate::openapi::binary::Binary;
use crate::resource::parse_resource;
use crate::state::AppState;

/// The default size, in pixels.
const DEFAULT_SIZE: u32 = 512;

/// `GET /api/{service}/{ID}/avatar`: the avatar of now, or the default one.
#[utoipa::path(
    get,
    path = "/api/{service}/{id}/avatar",
    tag = "avatars",
    operation_id = "getAvatar",
    params(
        ("service" = String, Path, description = "users, apps, apis, groups or businesses"),
        ("id" = String, Path, description = "The resource: <unique>.<federation member>"),
        ("size" = Option<u32>, Query, minimum = 1, maximum = 512, description = "The side of a square in pixels; 512 without it"),
    ),
    responses(
        (status = 200, description = "The avatar, or the default one", body = inline(Binary), content_type = "image/png"),
        (status = 302, description = "The picture is at this address of the store, for a while; only where the settings say so"),
        (status = 304, description = "The client has it"),
        (status = 400, description = "What was sent makes no sense; the detail says what and what to send instead", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, for this caller", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It is none of those that If-Match names", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The picture is broken or over a limit; the detail says which", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not ready yet, or overloaded; see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn current(
    State(state): State<AppState>,
    Path((service, id)): Path<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    const CACHE: &str = "public, no-cache";
    let size = requested_variant::parse_size(&uri)?.unwrap_or(DEFAULT_SIZE);
    let resource = parse_resource(&state, &service, &id)?;
    match state.backends.records.avatar(&resource).await? {
        Some((_, upload)) => avatar_response(&state, &upload, size, &method, &headers, CACHE).await,
        None => default_avatar(size, &headers, CACHE),
    }
}

/// `GET /api/{service}/{ID}/avatars/{version}.png`: one version, which never changes.
#[utoipa::path(
    get,
    path = "/api/{service}/{id}/avatars/{version}",
    tag = "avatars",
    operation_id = "getAvatarVersion",
    params(
        ("service" = String, Path, description = "users, apps, apis, groups or businesses"),
        ("id" = String, Path, description = "The resource: <unique>.<federation member>"),
        ("version" = String, Path, description = "<version>.png"),
        ("size" = Option<u32>, Query, minimum = 1, maximum = 512, description = "The side of a square in pixels; 512 without it"),
    ),
    responses(
        (status = 200, description = "That version; it never changes", body = inline(Binary), content_type = "image/png"),
        (status = 302, description = "The picture is at this address of the store, for a while; only where the settings say so"),
        (status = 304, description = "The client has it"),
        (status = 400, description = "What was sent makes no sense; the detail says what and what to send instead", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, for this caller", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It is none of those that If-Match names", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The picture is broken or over a limit; the detail says which", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not ready yet, or overloaded; see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn version(
    State(state): State<AppState>,
    Path((service, id, file)): Path<(String, String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let size = requested_variant::parse_size(&uri)?.unwrap_or(DEFAULT_SIZE);
    let resource = parse_resource(&state, &service, &id)?;
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

/// `DELETE /api/users/{UserID}/picture`: back to the default one; users only.
#[utoipa::path(
    delete,
    path = "/api/{service}/{id}/picture",
    tag = "avatars",
    operation_id = "removeAvatar",
    params(
        ("service" = String, Path, description = "users"),
        ("id" = String, Path, description = "The resource: <unique>.<federation member>"),
    ),
    responses(
        (status = 200, description = "Back to the default avatar"),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not act for this resource", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, for this caller", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The caller has had their share; see Retry-After", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not ready yet, or overloaded; see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn remove(
    State(state): State<AppState>,
    Path((service, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let caller = AuthUser::for_write(&state, &headers).await?;
    state.check_rate_limit(&caller)?;
    let resource = parse_resource(&state, &service, &id)?;
    if resource.service != Service::Users {
        return Err(ApiError::NotFound("only users have a picture that can be removed".to_owned()));
    }
    state.authorize(&caller, Action::RemoveAvatar, &resource).await?;
    state.backends.records.remove_avatar(&resource, &caller.user_id).await?;
    Ok(StatusCode::OK)
}
