//! An unclaimed picture: `GET /api/dropbox/pictures/{id}[?size=N]`.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::Response;
use domain::{Media, Upload, UploadId, UploadKind, UploadState as Standing};

use super::{ensure_variant, requested_variant, variant_response, wait_until_settled};
use crate::auth::AuthUser;
use crate::dropbox::parse_picture_id;
use crate::error::ApiError;
use crate::openapi::binary::Binary;
use crate::state::AppState;

/// `GET /api/dropbox/pictures/{id}`: shows a picture to its uploader and to site administrators, until it is claimed or
/// expires.
#[utoipa::path(
    get,
    path = "/api/dropbox/pictures/{id}",
    tag = "pictures",
    operation_id = "getPicture",
    params(
        ("id" = i64, Path, description = "The PictureID"),
        ("size" = Option<u32>, Query, minimum = 1, maximum = 512, description = "The side of a square in pixels; the own size without it"),
        ("Accept" = Option<String>, Header, description = "image/png or image/jpeg; the stored kind without a preference"),
    ),
    responses(
        (status = 200, description = "The picture", body = inline(Binary), content_type = "image/png"),
        (status = 302, description = "The picture is at this address of the store, for a while; only where the settings say so"),
        (status = 304, description = "The client has it"),
        (status = 400, description = "What was sent makes no sense; the detail says what and what to send instead", body = String, content_type = "text/plain"),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such thing, for this caller", body = String, content_type = "text/plain"),
        (status = 412, description = "It is none of those that If-Match names", body = String, content_type = "text/plain"),
        (status = 422, description = "The picture is broken or over a limit; the detail says which", body = String, content_type = "text/plain"),
        (status = 429, description = "The caller has had their share; see Retry-After", body = String, content_type = "text/plain"),
        (status = 503, description = "Not ready yet, or overloaded; see Retry-After", body = String, content_type = "text/plain"),
    ),
    security(("session" = []), ("bearer" = [])),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: AuthUser,
    Path(id): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    state.check_rate_limit(&caller)?;
    let size = requested_variant::parse_size(&uri)?;
    let upload = unclaimed_picture(&state, &caller, parse_picture_id(&id)?).await?;
    let media = requested_variant::preferred_media(&headers, upload.default_media.unwrap_or(Media::Png));
    let variant = ensure_variant(&state, &upload, requested_variant::variant_name(size, media)?).await?;
    // No long caching, because the picture may be cropped, claimed or removed at any time.
    let mut response = variant_response(&state, &variant, &method, &headers, "private, no-cache").await?;
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Cookie, Authorization"));
    Ok(response)
}

/// Returns a picture that is ready, unclaimed and visible to the caller. Waits a bounded time for the worker.
pub(crate) async fn unclaimed_picture(state: &AppState, caller: &AuthUser, id: UploadId) -> Result<Upload, ApiError> {
    let unknown = || ApiError::NotFound(format!("there is no picture {id}"));
    let now = state.backends.records.clock().now();
    let visible = |upload: &Upload| {
        upload.kind == UploadKind::Dropbox
            && caller.owns(upload)
            && upload.claim.is_none()
            && upload.expires_at.is_none_or(|expires| expires > now)
    };
    let upload = state.backends.records.upload(id).await?.filter(visible).ok_or_else(unknown)?;
    let upload = wait_until_settled(state, upload).await?;
    if !visible(&upload) {
        return Err(unknown());
    }
    match (upload.state, &upload.reason) {
        (Standing::Ready, _) => Ok(upload),
        (Standing::Accepted, _) => Err(ApiError::NotReady("the picture is still being processed")),
        (Standing::Rejected | Standing::Failed, Some(reason)) => {
            Err(ApiError::NotFound(format!("there is no picture {id}: {}", reason.message)))
        }
        _ => Err(unknown()),
    }
}
