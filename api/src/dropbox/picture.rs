//! An unclaimed picture: `GET /api/dropbox/pictures/{id}[?size=N]`.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::Response;
use domain::{Media, Upload, UploadId, UploadKind, UploadState as Standing};

use crate::auth::auth_user::AuthUser;
use crate::dropbox::picture_id::parse_picture_id;
use crate::dropbox::requested_variant;
use crate::dropbox::variant_server::{ensure_variant, variant_response, wait_until_settled};
use crate::error::ApiError;
use crate::http::path_params::PathParams;
use crate::openapi::content_responses::PictureContent;
use crate::openapi::error_responses::{
    ParameterErrors, PreconditionErrors, RejectionErrors, TargetErrors, TextErrors, UserErrors,
};
use crate::openapi::path_parameters::{PicturePath, SizeQuery};
use crate::openapi::request_headers::ConditionalHeaders;
use crate::state::AppState;

/// `GET /api/dropbox/pictures/{id}`: returns a picture to its uploader or to a site administrator, until it is claimed or
/// expires.
#[utoipa::path(
    get,
    path = "/api/dropbox/pictures/{id}",
    tag = "pictures",
    operation_id = "getPicture",
    params(PicturePath, SizeQuery, ConditionalHeaders),
    responses(
        PictureContent,
        TextErrors::<(UserErrors, ParameterErrors, TargetErrors, PreconditionErrors, RejectionErrors)>,
    ),
    security(("session" = []), ("bearer" = [])),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: AuthUser,
    PathParams(id): PathParams<String>,
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
