//! The error responses of the documents API in the OpenAPI document. Errors are JSON or XML, and each has a code beside
//! its status (`docs/contracts/renditions.md`, 4.4).

use axum::http::StatusCode;
use domain::FileId;
use serde_json::Value;
use utoipa::openapi::{Ref, RefOr, Schema};

use super::error::{self, DocumentError, DocumentOperation};
use super::request_path::RequestPath;
use crate::error::ApiError;
use crate::openapi::error_responses::{
    BodyErrors, ConflictErrors, CsrfErrors, ErrorForm, Errors, IdempotencyErrors, ParameterErrors, PermissionErrors,
    TargetErrors, UploadRejectionErrors, UserErrors,
};

/// Errors in the form of the documents API.
pub(super) type DocumentErrors<G> = Errors<DocumentForm, G>;

/// Errors of an operation that reads a file.
pub(super) type ReadErrors = (ParameterErrors, UserErrors, PermissionErrors, TargetErrors);

/// Errors of an operation that changes a file and has no body.
pub(super) type WriteErrors = (ParameterErrors, CsrfErrors, PermissionErrors, TargetErrors);

/// Errors of an operation that creates a link.
pub(super) type CreateErrors = (WriteErrors, BodyErrors, IdempotencyErrors);

/// Errors of an upload.
pub(super) type UploadErrors = (CreateErrors, ConflictErrors, UploadRejectionErrors);

/// Error bodies of the documents API.
pub(super) struct DocumentForm;

impl ErrorForm for DocumentForm {
    const MEDIA_TYPES: &'static [&'static str] = &["application/json", "application/xml"];

    fn schema() -> RefOr<Schema> {
        Ref::from_schema_name("DocumentErrorBody").into()
    }

    fn status(error: &ApiError) -> StatusCode {
        error::document_status(error.status())
    }

    fn example(error: &ApiError) -> Value {
        let path = RequestPath::parse("/documents/api/1.2/files/D1A2B3C4");
        let file = path.id.parse::<FileId>().ok();
        let error = match (error, file) {
            (ApiError::NotPermitted(_), Some(file)) => {
                DocumentError::insufficient_privileges(DocumentOperation::GET_INFO, "Jane Doe", &file)
            }
            (ApiError::NotFound(_), _) => DocumentError::file_not_found(),
            (ApiError::Malformed { .. }, _) => DocumentError::missing_field("name"),
            (error, _) => DocumentError::from(error),
        };
        serde_json::to_value(error.body(&path)).unwrap_or_default()
    }

    fn note(status: StatusCode) -> &'static str {
        match status {
            StatusCode::BAD_REQUEST => "Codes: -97 (a parameter), -26 (a link), -1.",
            StatusCode::FORBIDDEN => "Codes: -20 (the role is too low), -18 (the access code is missing or wrong).",
            StatusCode::NOT_FOUND => "Codes: -16, or -1 for an unknown version of this API.",
            StatusCode::CONFLICT => "Codes: -17 (the name is taken), -1.",
            _ => "",
        }
    }
}
