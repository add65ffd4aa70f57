//! Deletes a file: `DELETE …/files/{id}`. A portal or an operator can restore it for some time.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::FileRole;
use records::{DeleteFileRefusal, Records};

use super::authorize::DocumentAccess;
use super::documented_errors::{DocumentErrors, WriteErrors};
use super::error::{DocumentError, DocumentOperation};
use super::latest_version::expected_latest_version;
use super::parameters::FilePath;
use super::request::DocumentRequest;
use super::response_bodies::{ItemKind, SuccessBody};
use super::settings::DocumentSettings;
use crate::http::conditional::write_condition_error;
use crate::openapi::error_responses::PreconditionErrors;
use crate::openapi::request_headers::WriteConditionHeaders;

/// `DELETE …/files/{fileId}`: deletes a file with all its versions, renditions and links. It is invisible at once. Its
/// bytes stay for `documents.deletion_grace`; until then `POST /service/files/{id}/restore` restores it.
#[utoipa::path(
    delete,
    path = "/files/{id}",
    tag = "documents",
    operation_id = "deleteFile",
    params(FilePath, WriteConditionHeaders),
    responses(
        (status = 200, description = "The file is deleted", body = SuccessBody),
        DocumentErrors::<(WriteErrors, PreconditionErrors)>,
    ),
)]
pub(crate) async fn remove(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    State(settings): State<Arc<DocumentSettings>>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let authorized = access.authorize_file(&request, DocumentOperation::DELETE_FILE, FileRole::Manager).await?;
    let (file, by, headers) = (authorized.file.id, authorized.principal.user_id, &request.head.headers);
    let expected = expected_latest_version(&records, headers, &file).await?;
    match records.delete_file(&file, &by, settings.deletion_grace, expected).await? {
        Ok(until) => tracing::info!(%file, by, %until, "a file was deleted; it can be restored until then"),
        // Another request has deleted it since.
        Err(DeleteFileRefusal::Unknown) => return Err(DocumentError::file_not_found()),
        Err(DeleteFileRefusal::VersionChanged) => return Err(write_condition_error(headers).into()),
    }
    let body = SuccessBody::new(ItemKind::File, &file);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::File, &body)?)
}
