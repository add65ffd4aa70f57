//! Uploads to a file: a custom rendition, a new file, a new version. All three use the same steps. Permissions are
//! checked before any of the body is read, and after an error nothing stays in staging.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::{
    AccessGrant, FileId, FileRole, InvalidRenditionName, Media, ReasonCode, RenditionName, Staged, TargetConflict,
    UploadId, UploadTarget,
};
use records::{FileAdmission, RecordsError};

use super::documented_errors::{DocumentErrors, UploadErrors};
use super::error::{DocumentError, DocumentOperation};
use super::file_info;
use super::json_params::JsonParams;
use super::parameters::{FileForm, FilePath, RenditionForm, VersionPath};
use super::principal::Principal;
use super::request::DocumentRequest;
use super::response_bodies::{FileInformation, ItemBody, ItemKind, SuccessBody};
use super::upload_form::UploadForm;
use crate::error::ApiError;
use crate::http::body::BoundedBody;
use crate::http::idempotency::IdempotencyOutcome;
use crate::http::prefer::Prefer;
use crate::http::{multipart, small_body};
use crate::openapi::request_headers::{IdempotencyKeyHeader, PreferHeader};
use crate::state::AppState;

/// The longest description of a rendition, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1000;
/// The most bytes beside the file in a body: other parts, headers, boundaries.
const FORM_OVERHEAD_BYTES: u64 = 1 << 20;

/// An upload whose permissions were checked before its body is read.
struct FileUpload {
    principal: Principal,
    grant: AccessGrant,
    /// The operation that an error names if the worker finds that permission is missing.
    operation: DocumentOperation,
    /// The part of the form that holds the file.
    file_field: &'static str,
    limit: u64,
    target: FileUploadTarget,
}

/// What the upload becomes.
enum FileUploadTarget {
    /// A rendition of the version with this row number.
    Rendition(FileId, i64),
    NewFile(FileId),
    NextVersion(FileId),
}

impl FileUploadTarget {
    fn file(&self) -> &FileId {
        match self {
            Self::Rendition(file, _) | Self::NewFile(file) | Self::NextVersion(file) => file,
        }
    }
}

/// `POST …/files/{fileId}/data/rendition`: uploads a custom rendition of the latest version.
#[utoipa::path(
    post,
    path = "/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "uploadRendition",
    request_body(content = RenditionForm, content_type = "multipart/form-data"),
    params(FilePath, PreferHeader, IdempotencyKeyHeader),
    responses(
        (status = 200, description = "The rendition is ready", body = SuccessBody,
            headers(("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"))),
        (status = 202, description = "Accepted, and not ready yet. `Location` has the status of the upload", body = SuccessBody,
            headers(
                ("Location" = String, description = "`/uploads/{id}`"),
                ("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"),
            )),
        DocumentErrors::<UploadErrors>,
    ),
)]
pub(crate) async fn rendition(request: DocumentRequest, body: Body) -> Result<Response, DocumentError> {
    let upload = async {
        let authorized = request.authorize_file(DocumentOperation::ADD_RENDITION, FileRole::Contributor).await?;
        // The version is fixed now. If another version is added during the upload, the rendition still belongs to this
        // one.
        let pinned =
            request.state.backends.records.file_version(&authorized.file.id, authorized.file.latest_version).await?;
        let pinned = pinned.ok_or_else(DocumentError::version_not_found)?;
        let limit = request.state.documents.max_rendition_bytes.as_u64();
        let target = FileUploadTarget::Rendition(authorized.file.id, pinned.id);
        Ok(FileUpload {
            principal: authorized.principal,
            grant: authorized.grant,
            operation: DocumentOperation::ADD_RENDITION,
            file_field: "file",
            limit,
            target,
        })
    };
    receive_upload(&request, body, upload).await
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
        (status = 201, description = "The file is ready", body = ItemBody<FileInformation>,
            headers(("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"))),
        (status = 202, description = "Accepted, and not ready yet. `Location` has the status of the upload", body = SuccessBody,
            headers(
                ("Location" = String, description = "`/uploads/{id}`"),
                ("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"),
            )),
        DocumentErrors::<UploadErrors>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn file(request: DocumentRequest, body: Body) -> Result<Response, DocumentError> {
    let upload = async {
        let principal = request.principal().await?;
        let grant = principal.grants.iter().find(|right| matches!(right, AccessGrant::User(_))).cloned();
        let grant = grant.ok_or(ApiError::NotLoggedIn("a link is for one file; log in to create another file"))?;
        let limit = request.state.documents.max_file_bytes.as_u64();
        let target = FileUploadTarget::NewFile(FileId::generate());
        Ok(FileUpload {
            principal,
            grant,
            operation: DocumentOperation::ADD_FILE,
            file_field: "primaryFile",
            limit,
            target,
        })
    };
    receive_upload(&request, body, upload).await
}

/// `POST …/files/{fileId}/data`: uploads a new version, which begins without custom renditions.
#[utoipa::path(
    post,
    path = "/files/{id}/data",
    tag = "documents",
    operation_id = "uploadFileVersion",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    params(FilePath, PreferHeader, IdempotencyKeyHeader),
    responses(
        (status = 201, description = "The file is ready", body = ItemBody<FileInformation>,
            headers(("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"))),
        (status = 202, description = "Accepted, and not ready yet. `Location` has the status of the upload", body = SuccessBody,
            headers(
                ("Location" = String, description = "`/uploads/{id}`"),
                ("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"),
            )),
        DocumentErrors::<UploadErrors>,
    ),
)]
pub(crate) async fn next_version(request: DocumentRequest, body: Body) -> Result<Response, DocumentError> {
    let upload = async {
        let authorized = request.authorize_file(DocumentOperation::ADD_VERSION, FileRole::Contributor).await?;
        let limit = request.state.documents.max_file_bytes.as_u64();
        let target = FileUploadTarget::NextVersion(authorized.file.id);
        let (principal, grant) = (authorized.principal, authorized.grant);
        Ok(FileUpload {
            principal,
            grant,
            operation: DocumentOperation::ADD_VERSION,
            file_field: "primaryFile",
            limit,
            target,
        })
    };
    receive_upload(&request, body, upload).await
}

async fn receive_upload(
    request: &DocumentRequest,
    body: Body,
    upload: impl Future<Output = Result<FileUpload, DocumentError>>,
) -> Result<Response, DocumentError> {
    let limit = request.state.documents.max_rendition_bytes.max(request.state.documents.max_file_bytes).as_u64();
    let bounded_body = BoundedBody::new(body, limit + FORM_OVERHEAD_BYTES, &request.state.http);
    let answer = async { Box::pin(ingest_file(request, &bounded_body, upload.await?)).await }.await;
    if bounded_body.received() > 0 || !request.headers.contains_key(header::EXPECT) {
        bounded_body.drain_after_error();
    }
    answer
}

async fn ingest_file(
    request: &DocumentRequest,
    bounded_body: &BoundedBody,
    upload: FileUpload,
) -> Result<Response, DocumentError> {
    let state = &request.state;
    state.accept_upload(small_body::content_length(&request.headers).unwrap_or_default()).await?;
    let mut idempotency =
        state.begin_idempotent(&request.headers, &upload.principal.client_key, request.target()).await?;
    let boundary = multipart::parse_boundary(&request.headers)?;
    let declared = small_body::content_length(&request.headers);
    if let Some(received) = declared.filter(|declared| *declared > upload.limit + FORM_OVERHEAD_BYTES) {
        return Err(ApiError::TooLarge { what: "the file", limit: upload.limit, received }.into());
    }
    let incoming_bytes = declared.unwrap_or(upload.limit).min(upload.limit);
    let quota_guard =
        state.check_upload_quota(&upload.principal.user_id, upload.principal.is_admin, incoming_bytes).await?;
    let _slot = state
        .upload_slots
        .try_acquire()
        .map_err(|_| ApiError::Overloaded("too many files are being uploaded at once"))?;
    let multipart = multipart::MultipartReader::new(bounded_body, boundary);
    let form = UploadForm::read(multipart, &state.backends.staging, upload.file_field, upload.limit).await?;
    let text = form.parameters.unwrap_or_default();
    let target = upload_target(request, &upload.target, &text)?;
    let (staged_writer, filename) = form.file.ok_or_else(|| DocumentError::missing_field(upload.file_field))?;
    let staged = staged_writer.finish().await?;
    let key = staged.key.clone();
    let ingested = async {
        let idempotency_key = match idempotency.check(&[staged.sha256.as_bytes(), filename.as_bytes(), &text]).await? {
            IdempotencyOutcome::New(noted) => noted,
            IdempotencyOutcome::Replay(response) => return Ok(IngestResult::AlreadyDone(response)),
            IdempotencyOutcome::Admitted(id) => {
                let status = state.upload_status_code(id).await.map_err(|error| document_error(&upload, error))?;
                return Ok(IngestResult::AlreadyDone(upload_response(request, &upload, id, status).await?));
            }
        };
        let admission = file_admission(state, &upload, target, filename, staged, idempotency_key);
        let taken_name = rendition_name(&admission);
        let admitted = match state.backends.records.admit_into_file(admission).await {
            Err(error) if error.is_outcome_unknown() => return Ok(IngestResult::OutcomeUnknown(error)),
            admitted => admitted?,
        };
        match admitted {
            Ok(admitted) => Ok(IngestResult::New(admitted)),
            Err(TargetConflict::NameTaken) => {
                Err(taken_name.map_or_else(DocumentError::version_not_found, |name| DocumentError::name_taken(&name)))
            }
            Err(TargetConflict::TooManyRenditions) => {
                Err(DocumentError::too_many_renditions(state.documents.max_renditions))
            }
        }
    };
    let ingested = ingested.await;
    if !matches!(ingested, Ok(IngestResult::New(_) | IngestResult::OutcomeUnknown(_))) {
        state.backends.staging.delete(&key).await?;
    }
    let admitted = match ingested? {
        IngestResult::AlreadyDone(response) => return Ok(response),
        IngestResult::New(admitted) => admitted,
        IngestResult::OutcomeUnknown(error) => return Err(error.into()),
    };
    drop(quota_guard);
    let prefer = Prefer::from_headers(&request.headers);
    let status = state.publish_and_wait(&admitted, prefer).await.map_err(|error| document_error(&upload, error))?;
    let mut response = upload_response(request, &upload, admitted.id, status).await?;
    response.headers_mut().extend(prefer.preference_applied(&state.uploads));
    Ok(idempotency.store_response(response).await?)
}

/// The result of admitting an upload.
enum IngestResult {
    /// The request had been answered before.
    AlreadyDone(Response),
    New(records::Admitted),
    /// The upload may have been admitted. Its staged bytes stay, and the sweeper removes them if no upload needs them.
    OutcomeUnknown(RecordsError),
}

fn upload_target(
    request: &DocumentRequest,
    target: &FileUploadTarget,
    text: &[u8],
) -> Result<UploadTarget, DocumentError> {
    let parameters = if text.is_empty() { JsonParams::default() } else { JsonParams::parse(text)? };
    Ok(match target {
        FileUploadTarget::NewFile(file) => UploadTarget::NewFile(file.clone()),
        FileUploadTarget::NextVersion(file) => UploadTarget::NextVersion(file.clone()),
        FileUploadTarget::Rendition(_, version) => {
            let (grammar, name) = (request.grammar()?, parameters.text("name"));
            let name = name
                .map_err(|_| DocumentError::invalid_rendition_name(InvalidRenditionName::Invalid, grammar))?
                .unwrap_or_default();
            let name =
                RenditionName::parse(name, grammar).map_err(|no| DocumentError::invalid_rendition_name(no, grammar))?;
            let description = parameters.text_up_to("description", MAX_DESCRIPTION_CHARS)?.to_owned();
            let most = request.state.documents.max_renditions;
            UploadTarget::Rendition { version: *version, name, description, max_renditions: most }
        }
    })
}

fn rendition_name(admission: &FileAdmission) -> Option<RenditionName> {
    match &admission.target {
        UploadTarget::Rendition { name, .. } => Some(name.clone()),
        UploadTarget::NewFile(_) | UploadTarget::NextVersion(_) => None,
    }
}

fn file_admission(
    state: &AppState,
    upload: &FileUpload,
    target: UploadTarget,
    filename: String,
    staged: Staged,
    idempotency_key: Option<domain::IdempotencyKey>,
) -> FileAdmission {
    let media = staged.media.unwrap_or(Media::Other);
    metrics::counter!("cloakroom_uploads_total", "media" => media.name()).increment(1);
    FileAdmission {
        owner: upload.principal.user_id.clone(),
        grant: upload.grant.clone(),
        target,
        filename,
        media,
        staged,
        deadline: state.uploads.deadline,
        idempotency_key,
    }
}

/// Converts an error of the upload. If the worker found missing permission, the error has the form of the contract
/// (`docs/contracts/renditions.md`, 4.5).
fn document_error(upload: &FileUpload, error: ApiError) -> DocumentError {
    match error {
        ApiError::Rejected(reason) if reason.code == ReasonCode::NotPermitted => {
            DocumentError::insufficient_privileges(
                upload.operation,
                &upload.principal.display_name,
                upload.target.file(),
            )
        }
        other => other.into(),
    }
}

/// The response for an upload. 200, or 201 with the information about the new version. 202 without that if the worker
/// has not finished.
async fn upload_response(
    request: &DocumentRequest,
    upload: &FileUpload,
    id: UploadId,
    status: StatusCode,
) -> Result<Response, DocumentError> {
    let records = &request.state.backends.records;
    let version = match &upload.target {
        FileUploadTarget::Rendition(..) => None,
        // Not the latest version, because another upload may have added one. With a repeated idempotency key this is
        // the file of the first request, not the one that this request would have created.
        FileUploadTarget::NewFile(_) | FileUploadTarget::NextVersion(_) => records.version_of(id).await?,
    };
    let file = version.as_ref().map_or(upload.target.file(), |(file, _)| file);
    if let (StatusCode::OK, Some((file, number))) = (status, &version)
        && let (Some(file), Some(version)) = (records.file(file).await?, records.file_version(file, *number).await?)
    {
        return file_info::file_info_response(request, StatusCode::CREATED, &file, &version, None).await;
    }
    let body = SuccessBody::new(ItemKind::File, file);
    let mut response = request.response_format.response(status, ItemKind::File, &body)?;
    if status == StatusCode::ACCEPTED
        && let Ok(location) = HeaderValue::try_from(format!("/uploads/{id}"))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
