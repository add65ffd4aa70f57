//! Avatars: the picture of a resource, public because pages everywhere embed it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use backends::Backends;
use domain::{ExpectedVersion, Media, Resource, Service, Upload, UploadState, VersionChanged};
use jiff::Timestamp;
use records::Records;
use serde::Deserialize;

use crate::auth::access::WriteAccess;
use crate::auth::permissions::Permissions;
use crate::auth::policy_client::Action;
use crate::dropbox::default_avatar::{default_avatar, default_avatar_tags};
use crate::dropbox::requested_variant;
use crate::dropbox::variant_server::VariantServer;
use crate::error::ApiError;
use crate::http::conditional::{CurrentVersion, etag, expected_version, has_write_condition, write_condition_error};
use crate::http::path_params::PathParams;
use crate::http::request_head::RequestHead;
use crate::openapi::content_responses::AvatarContent;
use crate::openapi::error_responses::{
    CsrfErrors, GoneErrors, ParameterErrors, PermissionErrors, PreconditionErrors, Problems, RejectionErrors,
    TargetErrors,
};
use crate::openapi::path_parameters::{ResourcePath, SizeQuery};
use crate::openapi::request_headers::{ConditionalHeaders, DateConditionHeaders, WriteConditionHeaders};
use crate::resource::ResourceParam;

/// The default size, in pixels.
const DEFAULT_SIZE: u32 = 512;

/// `GET /api/{service}/{ID}/avatar`: returns the current avatar of a resource, or the default avatar.
#[utoipa::path(
    get,
    path = "/api/{service}/{id}/avatar",
    tag = "avatars",
    operation_id = "getAvatar",
    params(ResourcePath, SizeQuery, ConditionalHeaders, DateConditionHeaders),
    responses(
        AvatarContent,
        Problems::<(ParameterErrors, TargetErrors, PreconditionErrors, RejectionErrors)>,
    ),
    security(()),
)]
pub(crate) async fn current(
    ResourceParam(resource): ResourceParam,
    State(records): State<Records>,
    State(variants): State<Arc<VariantServer>>,
    request: RequestHead,
) -> Result<Response, ApiError> {
    const CACHE: &str = "public, no-cache";
    let size = requested_variant::parse_size(&request.uri)?.unwrap_or(DEFAULT_SIZE);
    match records.avatar(&resource).await? {
        Some((_, upload)) => avatar_response(&variants, &upload, size, &request, CACHE).await,
        None => default_avatar(size, &request.headers, CACHE),
    }
}

/// The file name in the path of one version.
#[derive(Deserialize)]
pub(crate) struct VersionParam {
    version: String,
}

/// `GET /api/{service}/{ID}/avatars/{version}.png`: returns one version of an avatar, which never changes until it is
/// removed.
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
        DateConditionHeaders,
    ),
    responses(
        AvatarContent,
        Problems::<(ParameterErrors, TargetErrors, GoneErrors, PreconditionErrors, RejectionErrors)>,
    ),
    security(()),
)]
pub(crate) async fn version(
    ResourceParam(resource): ResourceParam,
    PathParams(VersionParam { version: file }): PathParams<VersionParam>,
    State(records): State<Records>,
    State(variants): State<Arc<VariantServer>>,
    request: RequestHead,
) -> Result<Response, ApiError> {
    let size = requested_variant::parse_size(&request.uri)?.unwrap_or(DEFAULT_SIZE);
    let unknown = || ApiError::NotFound(format!("there is no avatar {file:.40} of {resource}"));
    let version = file.strip_suffix(".png").and_then(|version| version.parse().ok()).ok_or_else(unknown)?;
    let upload = records.avatar_version(&resource, version).await?.ok_or_else(unknown)?;
    match upload.state {
        UploadState::Ready => {}
        UploadState::Expired => return Err(ApiError::Gone(format!("avatar {version} of {resource} was removed"))),
        UploadState::Accepted | UploadState::Rejected | UploadState::Failed => return Err(unknown()),
    }
    avatar_response(&variants, &upload, size, &request, "public, max-age=31536000, immutable").await
}

/// Returns the version of the avatar of a resource that a write expects, by its conditions. Any size of the avatar may
/// be what the client has.
pub(super) async fn expected_avatar(
    records: &Records,
    resource: &Resource,
    headers: &HeaderMap,
) -> Result<ExpectedVersion<Option<i64>>, ApiError> {
    if !has_write_condition(headers) {
        return Ok(ExpectedVersion::Any);
    }
    let current = match records.avatar(resource).await? {
        Some((version, upload)) => {
            let variants = records.variants(upload.id, upload.generation).await?;
            let tags = variants.iter().map(|variant| etag(&variant.sha256)).collect();
            CurrentVersion { version: Some(version), tags, modified_at: shown_since(&upload) }
        }
        None => CurrentVersion { version: None, tags: default_avatar_tags(), modified_at: None },
    };
    Ok(expected_version(headers, current))
}

/// Returns when a resource began to show this upload. A picture may be claimed before it is ready.
fn shown_since(upload: &Upload) -> Option<Timestamp> {
    upload.claim.as_ref().map(|claim| claim.at).max(upload.settled_at)
}

async fn avatar_response(
    variants: &VariantServer,
    upload: &Upload,
    size: u32,
    request: &RequestHead,
    cache: &'static str,
) -> Result<Response, ApiError> {
    let variant = variants.ensure(upload, requested_variant::variant_name(Some(size), Media::Png)?).await?;
    variants.respond((&variant, shown_since(upload)), request, cache).await
}

/// `DELETE /api/users/{UserID}/picture`: removes the avatar of a user, with its former versions. The user then has the
/// default avatar.
#[utoipa::path(
    delete,
    path = "/api/{service}/{id}/picture",
    tag = "avatars",
    operation_id = "removeAvatar",
    params(ResourcePath, WriteConditionHeaders),
    responses(
        (status = 200, description = "The user has the default avatar"),
        Problems::<(CsrfErrors, PermissionErrors, TargetErrors, PreconditionErrors)>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn remove(
    WriteAccess(caller): WriteAccess,
    ResourceParam(resource): ResourceParam,
    State(permissions): State<Arc<Permissions>>,
    State(backends): State<Backends>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let records = &backends.records;
    if resource.service != Service::Users {
        return Err(ApiError::NotFound("only users have a picture that can be removed".to_owned()));
    }
    permissions.authorize(&caller, Action::RemoveAvatar, &resource).await?;
    let expected = expected_avatar(records, &resource, &headers).await?;
    let removed = records.remove_avatar(&resource, &caller.user_id, expected).await?;
    let discarded = removed.map_err(|VersionChanged| write_condition_error(&headers))?;
    backends.clean_up_discarded(&discarded).await;
    Ok(StatusCode::OK)
}
