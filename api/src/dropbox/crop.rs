//! Crops a picture, which selects the part that is shown: `PUT /api/dropbox/pictures/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use records::CropRefusal;

use crate::auth::access::WriteAccess;
use crate::auth::auth_user::AuthUser;
use crate::dropbox::crop_fields::{CropForm, RequestedCrop};
use crate::dropbox::picture_id::parse_picture_id;
use crate::dropbox::unclaimed_pictures::UnclaimedPictures;
use crate::error::ApiError;
use crate::http::conditional::write_condition_error;
use crate::http::path_params::PathParams;
use crate::http::small_body::{FormField, UnreadBody};
use crate::openapi::error_responses::{
    BodyErrors, CsrfErrors, PreconditionErrors, RejectionErrors, TargetErrors, TextErrors,
};
use crate::openapi::path_parameters::PicturePath;
use crate::openapi::request_headers::WriteConditionHeaders;

/// `PUT /api/dropbox/pictures/{id}`: crops a picture and returns its PictureID as JSON.
#[utoipa::path(
    put,
    path = "/api/dropbox/pictures/{id}",
    tag = "pictures",
    operation_id = "cropPicture",
    request_body(content = CropForm, content_type = "application/x-www-form-urlencoded"),
    params(PicturePath, WriteConditionHeaders),
    responses(
        (status = 200, description = "The PictureID", body = inline(i64), content_type = "application/json", example = json!(1001)),
        TextErrors::<(CsrfErrors, BodyErrors, TargetErrors, PreconditionErrors, RejectionErrors)>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn put(
    WriteAccess(caller): WriteAccess,
    PathParams(id): PathParams<String>,
    State(pictures): State<Arc<UnclaimedPictures>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Result<Json<i64>, ApiError> {
    let fields = body.read_form("the crop").await?;
    apply_crop(&pictures, &caller, &id, &fields, &headers).await.map(Json)
}

/// Applies the crop in the form fields to a picture of the caller, under the conditions in the head of the request.
pub(crate) async fn apply_crop(
    pictures: &UnclaimedPictures,
    caller: &AuthUser,
    id: &str,
    fields: &[FormField],
    headers: &HeaderMap,
) -> Result<i64, ApiError> {
    let id = parse_picture_id(id)?;
    let requested = RequestedCrop::parse(fields)?;
    // The owner is checked first, and only then whether the picture is ready. A crop of a picture that is being
    // processed waits.
    let upload = pictures.find(caller, id).await?;
    let (Some(width), Some(height)) = (upload.width, upload.height) else {
        return Err(ApiError::Internal(format!("picture {id} is ready and has no size")));
    };
    let crop = requested.of_picture((width, height))?;
    let expected = pictures.expected_generation(headers, &upload).await?;
    match pictures.records().crop(upload.id, crop, &caller.claimant(), expected).await? {
        Ok(_) => Ok(id.get()),
        Err(CropRefusal::Unknown) => Err(ApiError::NotFound(format!("there is no picture {id}"))),
        Err(CropRefusal::TooManyCrops(reason)) => Err(ApiError::Rejected(reason)),
        Err(CropRefusal::VersionChanged) => Err(write_condition_error(headers)),
    }
}
