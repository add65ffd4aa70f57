//! How a custom rendition, a new file and a new version pass the steps of `ingest`.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::{
    AccessGrant, ExpectedVersion, FileId, FileRole, InvalidRenditionName, ReasonCode, RenditionName, TargetConflict,
    UploadId, UploadTarget,
};
use records::{Admitted, FileAdmission, Records, RecordsError};
use storage::Staging;

use super::authorize::DocumentAccess;
use super::error::{DocumentError, DocumentOperation};
use super::file_info::file_info;
use super::json_params::JsonParams;
use super::latest_version::expected_latest_version;
use super::request::DocumentRequest;
use super::response_bodies::{ItemBody, ItemKind, SuccessBody};
use super::settings::DocumentSettings;
use super::upload_form::UploadForm;
use crate::dropbox::settings::UploadSettings;
use crate::error::ApiError;
use crate::http::conditional::write_condition_error;
use crate::http::multipart::MultipartReader;
use crate::ingest::{NewUpload, ReceivedFile, UploadLimits, UploadRequest, Uploader};

/// The longest description of a rendition, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1000;

/// What an upload to a file uses beside `Ingest`.
pub(crate) struct FileUploads {
    pub(crate) access: Arc<DocumentAccess>,
    pub(crate) records: Records,
    pub(crate) settings: Arc<DocumentSettings>,
    pub(crate) uploads: Arc<UploadSettings>,
}

/// What an upload becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileUploadKind {
    Rendition,
    NewFile,
    NextVersion,
}

impl FileUploadKind {
    /// The operation that an error names if permission is missing.
    fn operation(self) -> DocumentOperation {
        match self {
            Self::Rendition => DocumentOperation::ADD_RENDITION,
            Self::NewFile => DocumentOperation::ADD_FILE,
            Self::NextVersion => DocumentOperation::ADD_VERSION,
        }
    }

    /// The part of the form that holds the file.
    fn file_field(self) -> &'static str {
        match self {
            Self::Rendition => "file",
            Self::NewFile | Self::NextVersion => "primaryFile",
        }
    }
}

/// One request that uploads to a file.
pub(super) struct FileUpload<'a> {
    pub(super) services: &'a FileUploads,
    pub(super) request: &'a DocumentRequest,
    pub(super) kind: FileUploadKind,
}

/// The file and the permission of an upload, which are fixed before the body is read.
pub(super) struct AuthorizedUpload {
    file: FileId,
    /// The row number of the version that a rendition belongs to. If another version is added during the upload, the
    /// rendition still belongs to this one.
    version: Option<i64>,
    grant: AccessGrant,
    /// The caller's name in errors.
    display_name: String,
}

impl UploadRequest for FileUpload<'_> {
    type Error = DocumentError;
    type Authorized = AuthorizedUpload;
    type Parameters = UploadTarget;

    fn limits(&self) -> UploadLimits {
        let DocumentSettings { max_rendition_bytes, max_file_bytes, .. } = *self.services.settings;
        let max = if self.kind == FileUploadKind::Rendition { max_rendition_bytes } else { max_file_bytes };
        UploadLimits {
            what: "the file",
            too_many: "too many files are being uploaded at once",
            max_bytes: max.as_u64(),
            max_files: 1,
        }
    }

    fn target(&self) -> String {
        self.request.target()
    }

    async fn authorize(&self) -> Result<(Uploader, AuthorizedUpload), DocumentError> {
        let FileUploads { access, records, .. } = self.services;
        let (principal, grant, file, version) = if self.kind == FileUploadKind::NewFile {
            let principal = access.principal(self.request).await?;
            let grant = principal.grants.iter().find(|grant| matches!(grant, AccessGrant::User(_))).cloned();
            let grant = grant.ok_or(ApiError::NotLoggedIn("a link is for one file; log in to create another file"))?;
            (principal, grant, FileId::generate(), None)
        } else {
            let authorized = access.authorize_file(self.request, self.kind.operation(), FileRole::Contributor).await?;
            let file = authorized.file;
            let version = match self.kind {
                FileUploadKind::Rendition => {
                    let latest = records.file_version(&file.id, file.latest_version).await?;
                    Some(latest.ok_or_else(DocumentError::version_not_found)?.id)
                }
                FileUploadKind::NewFile | FileUploadKind::NextVersion => None,
            };
            (authorized.principal, authorized.grant, file.id, version)
        };
        // With an idempotency key, the conditions are checked in `admit` only. A repeated request
        // is not admitted again: it gets the first response, although the first request has changed
        // the file.
        if !self.request.head.headers.contains_key("idempotency-key") {
            self.expected_version(&file).await?;
        }
        let display_name = principal.display_name;
        let uploader =
            Uploader { user_id: principal.user_id, is_admin: principal.is_admin, client_key: principal.client_key };
        Ok((uploader, AuthorizedUpload { file, version, grant, display_name }))
    }

    async fn stage(
        &self,
        authorized: &AuthorizedUpload,
        form: MultipartReader,
        staging: &Staging,
    ) -> Result<ReceivedFile<UploadTarget>, DocumentError> {
        let file_field = self.kind.file_field();
        let form = UploadForm::read(form, staging, file_field, self.limits().max_bytes).await?;
        let text = form.parameters.unwrap_or_default();
        let parameters = self.parse_target(authorized, &text)?;
        let (staged_writer, filename) = form.file.ok_or_else(|| DocumentError::missing_field(file_field))?;
        Ok(ReceivedFile { staged_writer, filename, text, parameters })
    }

    async fn admit(
        &self,
        authorized: &AuthorizedUpload,
        upload: NewUpload<UploadTarget>,
    ) -> Result<Result<Admitted, DocumentError>, RecordsError> {
        let NewUpload { owner, staged, filename, media, parameters: target, idempotency_key } = upload;
        let name = match &target {
            UploadTarget::Rendition { name, .. } => Some(name.clone()),
            UploadTarget::NewFile(_) | UploadTarget::NextVersion(_) => None,
        };
        let (grant, deadline) = (authorized.grant.clone(), self.services.uploads.deadline);
        // The file may have changed while the body was received.
        let expected = match self.expected_version(&authorized.file).await {
            Ok(expected) => expected,
            Err(error) => return Ok(Err(error)),
        };
        let admission =
            FileAdmission { owner, grant, target, filename, media, staged, deadline, idempotency_key, expected };
        let admitted = self.services.records.admit_into_file(admission).await?;
        Ok(admitted.map_err(|conflict| match conflict {
            TargetConflict::NameTaken => {
                name.map_or_else(DocumentError::version_not_found, |name| DocumentError::name_taken(&name))
            }
            TargetConflict::TooManyRenditions => {
                DocumentError::too_many_renditions(self.services.settings.max_renditions)
            }
            TargetConflict::VersionChanged => write_condition_error(&self.request.head.headers).into(),
            TargetConflict::FileDeleted => DocumentError::file_not_found(),
        }))
    }

    /// 200 for a rendition, 201 with the information about a new version, or 202.
    async fn answer(
        &self,
        authorized: &AuthorizedUpload,
        id: UploadId,
        status: StatusCode,
    ) -> Result<Response, DocumentError> {
        let records = &self.services.records;
        let version = match self.kind {
            FileUploadKind::Rendition => None,
            // This is the version that the upload became, not the latest version, because another
            // upload may have added one. With a repeated idempotency key, the file is that of the
            // first request, not the one that this request would have created.
            FileUploadKind::NewFile | FileUploadKind::NextVersion => records.version_of(id).await?,
        };
        let file = version.as_ref().map_or(&authorized.file, |(file, _)| file);
        let format = self.request.response_format;
        if let (StatusCode::OK, Some((file, number))) = (status, &version)
            && let (Some(file), Some(version)) = (records.file(file).await?, records.file_version(file, *number).await?)
        {
            let body = ItemBody::new(file_info(records, &file, &version).await?);
            return Ok(format.repeatable_response(StatusCode::CREATED, ItemKind::File, &body)?);
        }
        let mut response =
            format.repeatable_response(status, ItemKind::File, &SuccessBody::new(ItemKind::File, file))?;
        if status == StatusCode::ACCEPTED
            && let Ok(location) = HeaderValue::try_from(format!("/uploads/{id}"))
        {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    /// If the worker found that permission is missing, the error has the form of the contract
    /// (`docs/contracts/renditions.md`, 4.5).
    fn outcome_error(&self, authorized: &AuthorizedUpload, error: ApiError) -> DocumentError {
        match error {
            ApiError::Rejected(reason) if reason.code == ReasonCode::NotPermitted => {
                let AuthorizedUpload { file, display_name, .. } = authorized;
                DocumentError::insufficient_privileges(self.kind.operation(), display_name, file)
            }
            other => other.into(),
        }
    }
}

impl FileUpload<'_> {
    /// Evaluates the conditions of the request for the latest version of the file, and returns the number that the
    /// version must have when the upload is admitted. A new file has no conditions.
    async fn expected_version(&self, file: &FileId) -> Result<ExpectedVersion<u32>, DocumentError> {
        if self.kind == FileUploadKind::NewFile {
            return Ok(ExpectedVersion::Any);
        }
        expected_latest_version(&self.services.records, &self.request.head.headers, file).await
    }

    /// Parses what the form says beside the file.
    fn parse_target(&self, authorized: &AuthorizedUpload, text: &[u8]) -> Result<UploadTarget, DocumentError> {
        let parameters = if text.is_empty() { JsonParams::default() } else { JsonParams::parse(text)? };
        let version = match (self.kind, authorized.version) {
            (FileUploadKind::NewFile, _) => return Ok(UploadTarget::NewFile(authorized.file.clone())),
            (FileUploadKind::NextVersion, _) | (FileUploadKind::Rendition, None) => {
                return Ok(UploadTarget::NextVersion(authorized.file.clone()));
            }
            (FileUploadKind::Rendition, Some(version)) => version,
        };
        let grammar = self.request.grammar()?;
        let invalid = |error| DocumentError::invalid_rendition_name(error, grammar);
        let name = parameters.text("name").map_err(|_| invalid(InvalidRenditionName::Invalid))?.unwrap_or_default();
        let name = RenditionName::parse(name, grammar).map_err(invalid)?;
        let description = parameters.text_up_to("description", MAX_DESCRIPTION_CHARS)?.to_owned();
        let max_renditions = self.services.settings.max_renditions;
        Ok(UploadTarget::Rendition { version, name, description, max_renditions })
    }
}
