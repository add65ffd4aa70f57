//! Avatars: the picture that a resource shows, to everybody, since pages everywhere embed it.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use upload::{Media, Service, Upload};

use super::default_avatar::default_avatar;
use super::{size, stream, variant};
use crate::desk::Desk;
use crate::problem::ApiError;
use crate::resource::resource;
use crate::who::{Action, Caller};

/// The size shown when none is asked for.
const USUAL: u32 = 512;

/// `GET /api/{service}/{ID}/avatar`: the avatar of now, or the default one.
pub(crate) async fn current(
    State(desk): State<Desk>,
    Path((service, id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    const CACHE: &str = "public, no-cache";
    let size = size::size(&uri)?.unwrap_or(USUAL);
    let resource = resource(&desk, &service, &id)?;
    match desk.places.records.avatar(&resource).await? {
        Some((_, upload)) => show(&desk, &upload, size, &headers, CACHE).await,
        None => Ok(default_avatar(size, &headers, CACHE)),
    }
}

/// `GET /api/{service}/{ID}/avatars/{version}.png`: one version, which never changes.
pub(crate) async fn version(
    State(desk): State<Desk>,
    Path((service, id, file)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let size = size::size(&uri)?.unwrap_or(USUAL);
    let resource = resource(&desk, &service, &id)?;
    let unknown = || ApiError::NotFound(format!("{resource} has no avatar {file:.40}"));
    let version = file.strip_suffix(".png").and_then(|version| version.parse().ok()).ok_or_else(unknown)?;
    let upload = desk.places.records.avatar_version(&resource, version).await?.ok_or_else(unknown)?;
    show(&desk, &upload, size, &headers, "public, max-age=31536000, immutable").await
}

async fn show(
    desk: &Desk,
    upload: &Upload,
    size: u32,
    headers: &HeaderMap,
    cache: &'static str,
) -> Result<Response, ApiError> {
    let variant = variant(desk, upload, size::named(Some(size), Media::Png)?).await?;
    stream(desk, &variant, headers, cache).await
}

/// `DELETE /api/users/{UserID}/picture`: back to the default one; users only.
pub(crate) async fn remove(
    State(desk): State<Desk>,
    Path((service, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let caller = Caller::writer(&desk, &headers).await?;
    desk.count_request(&caller)?;
    let resource = resource(&desk, &service, &id)?;
    if resource.service != Service::Users {
        return Err(ApiError::NotFound("only users have a picture that can be removed".to_owned()));
    }
    desk.authorize(&caller, Action::RemoveAvatar, &resource).await?;
    desk.places.records.remove_avatar(&resource, &caller.user).await?;
    Ok(StatusCode::OK)
}
