//! Crops a picture, which selects the part that is shown: `PUT /api/dropbox/pictures/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::{CROP_SPACE, Crop};
use records::CropRefusal;

use crate::auth::access::WriteAccess;
use crate::auth::auth_user::AuthUser;
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

/// A crop, in pixels of the picture as `?size=512` shows it. Numbers are rounded, and what lies outside the picture is cut
/// off.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({"x": 10, "y": 10, "w": 100, "h": 100}))]
#[expect(dead_code, reason = "describes the form that `parse_crop` reads")]
struct CropForm {
    /// The left edge
    x: f64,
    /// The upper edge
    y: f64,
    /// The width
    #[schema(exclusive_minimum = 0)]
    w: f64,
    /// The height
    #[schema(exclusive_minimum = 0)]
    h: f64,
}

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
    let crop = parse_crop(fields)?;
    // The owner is checked first, and only then whether the picture is ready. A crop of a picture that is being
    // processed waits.
    let upload = pictures.find(caller, id).await?;
    let expected = pictures.expected_generation(headers, &upload).await?;
    match pictures.records().crop(upload.id, crop, &caller.claimant(), expected).await? {
        Ok(_) => Ok(id.get()),
        Err(CropRefusal::Unknown) => Err(ApiError::NotFound(format!("there is no picture {id}"))),
        Err(CropRefusal::TooManyCrops(reason)) => Err(ApiError::Rejected(reason)),
        Err(CropRefusal::VersionChanged) => Err(write_condition_error(headers)),
    }
}

/// Parses the crop in a form. `None` means the whole picture, which the portal's page always sends first.
fn parse_crop(fields: &[FormField]) -> Result<Option<Crop>, ApiError> {
    let bad = |why: String| ApiError::malformed("bad_crop", why);
    let field = |name: &str| {
        let value = fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        let value = value.ok_or_else(|| bad(format!("\"{name}\" is missing; send x, y, w and h")))?;
        // A crop widget sends decimals. "NaN" and "inf" parse as `f64` but are invalid here.
        let number: f64 = value.parse().map_err(|_| bad(format!("\"{name}\" is a number, not \"{value:.20}\"")))?;
        if number.is_finite() { Ok(number) } else { Err(bad(format!("\"{name}\" is a number, not \"{value:.20}\""))) }
    };
    let (x, y, w, h) = (field("x")?, field("y")?, field("w")?, field("h")?);
    if w <= 0.0 || h <= 0.0 {
        return Err(bad("\"w\" and \"h\" are larger than 0".to_owned()));
    }
    let outside = || bad(format!("the crop lies outside the picture, which is {CROP_SPACE} × {CROP_SPACE} here"));
    let (x, w) = clamp_side(x, w).ok_or_else(outside)?;
    let (y, h) = clamp_side(y, h).ok_or_else(outside)?;
    let crop = Crop { x, y, w, h };
    Ok((crop != Crop { x: 0, y: 0, w: CROP_SPACE, h: CROP_SPACE }).then_some(crop))
}

/// Rounds one side of a crop and clamps it to the picture. None if the side lies outside the picture.
fn clamp_side(start: f64, length: f64) -> Option<(u32, u32)> {
    let space = f64::from(CROP_SPACE);
    let from = start.round().clamp(0.0, space);
    let to = (start + length).round().clamp(0.0, space);
    // At this point the values are whole numbers from 0 to 512.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let (from, to) = (from as u32, to as u32);
    (from < to).then(|| (from, to - from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(x: &str, y: &str, w: &str, h: &str) -> Vec<FormField> {
        [("x", x), ("y", y), ("w", w), ("h", h)].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
    }

    #[test]
    fn crops_are_rounded_and_clamped() {
        for (given, expected) in [
            (fields("0", "0", "512", "512"), None),
            (fields("-10", "-10", "600", "600"), None),
            (fields("10.4", "20.6", "100.2", "99.9"), Some(Crop { x: 10, y: 21, w: 101, h: 100 })),
            (fields("500", "0", "100", "512"), Some(Crop { x: 500, y: 0, w: 12, h: 512 })),
            (fields("-5", "0", "10", "512"), Some(Crop { x: 0, y: 0, w: 5, h: 512 })),
            (fields("0", "0", "1e308", "1e308"), None),
        ] {
            assert_eq!(parse_crop(&given).unwrap(), expected, "{given:?}");
        }
    }

    #[test]
    fn invalid_crops_are_refused() {
        for given in [
            fields("NaN", "0", "1", "1"),
            fields("0", "inf", "1", "1"),
            fields("0", "0", "infinity", "1"),
            fields("0", "0", "0", "1"),
            fields("0", "0", "-1", "1"),
            fields("512", "0", "10", "10"),
            fields("1e308", "0", "1e308", "1"),
            fields("-10", "0", "10", "10"),
            fields("", "0", "1", "1"),
            fields("0", "0", "1", "one"),
            fields("0", "0", "1", "1")[..3].to_vec(),
        ] {
            assert!(parse_crop(&given).is_err(), "{given:?}");
        }
    }
}
