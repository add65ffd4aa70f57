//! An unclaimed picture: `GET /api/dropbox/pictures/{id}[?size=N][&space=picture]`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use domain::Media;

use crate::auth::access::PictureAccess;
use crate::dropbox::picture_id::parse_picture_id;
use crate::dropbox::requested_variant;
use crate::dropbox::unclaimed_pictures::UnclaimedPictures;
use crate::dropbox::variant_server::VariantServer;
use crate::error::ApiError;
use crate::http::path_params::PathParams;
use crate::http::request_head::RequestHead;
use crate::openapi::content_responses::PictureContent;
use crate::openapi::error_responses::{
    ParameterErrors, PreconditionErrors, RejectionErrors, TargetErrors, TextErrors, UserErrors,
};
use crate::openapi::path_parameters::{PicturePath, SizeQuery, SpaceQuery};
use crate::openapi::request_headers::{ConditionalHeaders, DateConditionHeaders};

/// `GET /api/dropbox/pictures/{id}`: returns a picture to its uploader or to a site administrator, until it is claimed or
/// expires.
#[utoipa::path(
    get,
    path = "/api/dropbox/pictures/{id}",
    tag = "pictures",
    operation_id = "getPicture",
    params(PicturePath, SizeQuery, SpaceQuery, ConditionalHeaders, DateConditionHeaders),
    responses(
        PictureContent,
        TextErrors::<(UserErrors, ParameterErrors, TargetErrors, PreconditionErrors, RejectionErrors)>,
    ),
    security(("session" = []), ("bearer" = [])),
)]
pub(crate) async fn get(
    PictureAccess(caller): PictureAccess,
    PathParams(id): PathParams<String>,
    State(pictures): State<Arc<UnclaimedPictures>>,
    State(variants): State<Arc<VariantServer>>,
    request: RequestHead,
) -> Result<Response, ApiError> {
    let size = requested_variant::parse_size(&request.uri)?;
    let whole = requested_variant::wants_whole(&request.uri)?;
    let upload = pictures.find(&caller, parse_picture_id(&id)?).await?;
    let media = requested_variant::preferred_media(&request.headers, upload.default_media.unwrap_or(Media::Png));
    let variant = if whole {
        variants.ensure_uncropped(&upload, requested_variant::whole_variant_name(size, media)?).await?
    } else {
        variants.ensure(&upload, requested_variant::variant_name(size, media)?).await?
    };
    // No long caching, because the picture may be cropped, claimed or removed at any time.
    let modified_at = pictures.modified_at(&upload).await?;
    let mut response = variants.respond((&variant, modified_at), &request, "private, no-cache").await?;
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Cookie, Authorization"));
    Ok(response)
}
