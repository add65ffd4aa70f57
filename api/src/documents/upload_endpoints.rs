//! Uploads to a file: a custom rendition, a new file, a new version. `ingest` has the order of their steps.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use super::documented_errors::{DocumentErrors, UploadErrors};
use super::error::DocumentError;
use super::file_upload::{FileUpload, FileUploadKind, FileUploads};
use super::parameters::{FileForm, FilePath, RenditionForm, VersionPath};
use super::request::DocumentRequest;
use super::response_bodies::{FileInformation, ItemBody, SuccessBody};
use crate::ingest::Ingest;
use crate::openapi::error_responses::PreconditionErrors;
use crate::openapi::request_headers::{IdempotencyKeyHeader, PreferHeader, WriteConditionHeaders};

/// The response when a new file or version is ready.
#[derive(utoipa::IntoResponses)]
#[response(
    status = 201,
    description = "The file is ready",
    headers(("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied")),
)]
#[expect(dead_code, reason = "describes a response of `FileUpload::answer`")]
struct FileReady(ItemBody<FileInformation>);

/// The response when a worker has not finished.
#[derive(utoipa::IntoResponses)]
#[response(
    status = 202,
    description = "Accepted, and not ready yet. `Location` has the status of the upload",
    headers(
        ("Location" = String, description = "`/uploads/{id}`"),
        ("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"),
    ),
)]
#[expect(dead_code, reason = "describes a response of `FileUpload::answer`")]
struct UploadAccepted(SuccessBody);

/// `POST …/files/{fileId}/data/rendition`: uploads a custom rendition of the latest version.
#[utoipa::path(
    post,
    path = "/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "uploadRendition",
    request_body(content = RenditionForm, content_type = "multipart/form-data"),
    params(FilePath, PreferHeader, IdempotencyKeyHeader, WriteConditionHeaders),
    responses(
        (status = 200, description = "The rendition is ready", body = SuccessBody,
            headers(("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"))),
        UploadAccepted,
        DocumentErrors::<(UploadErrors, PreconditionErrors)>,
    ),
)]
pub(crate) async fn rendition(
    State(ingest): State<Arc<Ingest>>,
    State(services): State<Arc<FileUploads>>,
    request: DocumentRequest,
    body: Body,
) -> Result<Response, DocumentError> {
    let upload = FileUpload { services: &services, request: &request, kind: FileUploadKind::Rendition };
    ingest.run(upload, &request.head.headers, body).await
}

/// `POST …/files/data`: uploads a new file.
#[utoipa::path(
    post,
    path = "/files/data",
    tag = "documents",
    operation_id = "uploadFile",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    params(VersionPath, PreferHeader, IdempotencyKeyHeader),
    responses(
        FileReady,
        UploadAccepted,
        DocumentErrors::<UploadErrors>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn file(
    State(ingest): State<Arc<Ingest>>,
    State(services): State<Arc<FileUploads>>,
    request: DocumentRequest,
    body: Body,
) -> Result<Response, DocumentError> {
    let upload = FileUpload { services: &services, request: &request, kind: FileUploadKind::NewFile };
    ingest.run(upload, &request.head.headers, body).await
}

/// `POST …/files/{fileId}/data`: uploads a new version, which begins without custom renditions.
#[utoipa::path(
    post,
    path = "/files/{id}/data",
    tag = "documents",
    operation_id = "uploadFileVersion",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    params(FilePath, PreferHeader, IdempotencyKeyHeader, WriteConditionHeaders),
    responses(
        FileReady,
        UploadAccepted,
        DocumentErrors::<(UploadErrors, PreconditionErrors)>,
    ),
)]
pub(crate) async fn next_version(
    State(ingest): State<Arc<Ingest>>,
    State(services): State<Arc<FileUploads>>,
    request: DocumentRequest,
    body: Body,
) -> Result<Response, DocumentError> {
    let upload = FileUpload { services: &services, request: &request, kind: FileUploadKind::NextVersion };
    ingest.run(upload, &request.head.headers, body).await
}
