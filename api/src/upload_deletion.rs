//! Deletes an unclaimed picture: `DELETE /uploads/{id}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use backends::Backends;
use records::DeleteUploadRefusal;

use crate::auth::access::WriteAccess;
use crate::auth::realm_names::RealmNames;
use crate::dropbox::picture_id::parse_picture_id;
use crate::dropbox::unclaimed_pictures::UnclaimedPictures;
use crate::error::ApiError;
use crate::http::conditional::write_condition_error;
use crate::http::path_params::PathParams;
use crate::openapi::error_responses::{CsrfErrors, InUseErrors, PreconditionErrors, Problems, TargetErrors};
use crate::openapi::path_parameters::PicturePath;
use crate::openapi::request_headers::WriteConditionHeaders;

/// `DELETE /uploads/{id}`: deletes a picture that is not claimed, for its uploader or a site administrator. A picture that
/// is still being processed is cancelled. Repeating the request gives the same response.
#[utoipa::path(
    delete,
    path = "/uploads/{id}",
    tag = "pictures",
    operation_id = "deleteUpload",
    params(PicturePath, WriteConditionHeaders),
    responses(
        (status = 204, description = "The picture is deleted, or it had expired"),
        Problems::<(CsrfErrors, TargetErrors, InUseErrors, PreconditionErrors)>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn remove(
    WriteAccess(caller): WriteAccess,
    PathParams(id): PathParams<String>,
    State(backends): State<Backends>,
    State(pictures): State<Arc<UnclaimedPictures>>,
    State(realm): State<Arc<RealmNames>>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let id = parse_picture_id(&id)?;
    let unknown = || ApiError::NotFound(format!("there is no upload {id}"));
    let upload = backends.records.upload(id).await?.filter(|upload| caller.owns(upload)).ok_or_else(unknown)?;
    let expected = pictures.expected_generation(&headers, &upload).await?;
    match backends.records.delete_upload(id, &caller.claimant(), expected).await? {
        Ok(discarded) => {
            backends.clean_up_discarded(&discarded).await;
            Ok(StatusCode::NO_CONTENT)
        }
        Err(DeleteUploadRefusal::Unknown) => Err(unknown()),
        Err(DeleteUploadRefusal::Claimed(resource)) => Err(ApiError::InUse {
            code: "claimed",
            message: format!(
                "picture {id} is claimed for {resource}.{}; remove that avatar, or claim another picture in its place",
                realm.fedmember
            ),
        }),
        Err(DeleteUploadRefusal::BelongsToFile) => Err(ApiError::InUse {
            code: "belongs_to_file",
            message: format!("upload {id} belongs to a file; delete the file or the rendition with the documents API"),
        }),
        Err(DeleteUploadRefusal::VersionChanged) => Err(write_condition_error(&headers)),
    }
}
