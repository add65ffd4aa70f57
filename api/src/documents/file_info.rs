//! Information about a file and its versions: `GET …/files/{id}` and `GET …/files/{id}/versions`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{File, FileRole, FileVersion};
use jiff::Timestamp;
use records::Records;

use super::authorize::DocumentAccess;
use super::documented_errors::{DocumentErrors, ReadErrors};
use super::error::{DocumentError, DocumentOperation};
use super::parameters::{FilePath, VersionQuery};
use super::renditions;
use super::request::DocumentRequest;
use super::response_bodies::{FileInformation, ItemBody, ItemKind, ListBody, UserKind, UserReference};

/// `GET …/files/{fileId}`: returns the information about a version of a file.
#[utoipa::path(
    get,
    path = "/files/{id}",
    tag = "documents",
    operation_id = "getFile",
    params(
        FilePath,
        VersionQuery,
        ("includeRenditions" = inline(Option<String>), Query, description = "`true`: with all renditions that exist or can be rendered. Any other value has no effect"),
    ),
    responses(
        (status = 200, description = "The information", body = ItemBody<FileInformation>),
        DocumentErrors::<ReadErrors>,
    ),
)]
pub(crate) async fn get(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let authorized = access.authorize_file(&request, DocumentOperation::GET_INFO, FileRole::Viewer).await?;
    let version = request.requested_version(&records, &authorized.file).await?;
    let renditions = if request.query_param("includeRenditions")?.as_deref() == Some("true") {
        Some(renditions::all_renditions(&records, &version).await?)
    } else {
        None
    };
    let information = FileInformation { renditions, ..file_info(&records, &authorized.file, &version).await? };
    Ok(request.response_format.response(StatusCode::OK, ItemKind::File, &ItemBody::new(information))?)
}

/// `GET …/files/{fileId}/versions`: lists all versions of a file.
#[utoipa::path(
    get,
    path = "/files/{id}/versions",
    tag = "documents",
    operation_id = "getFileVersions",
    params(
        FilePath,
        ("limit" = inline(Option<u64>), Query, minimum = 1, description = "The most versions to return, beginning with the oldest; all by default"),
    ),
    responses(
        (status = 200, description = "The versions, the oldest first", body = ListBody<FileInformation>),
        DocumentErrors::<ReadErrors>,
    ),
)]
pub(crate) async fn versions(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let authorized = access.authorize_file(&request, DocumentOperation::GET_INFO, FileRole::Viewer).await?;
    let limit = request.query_param("limit")?.map(|limit| match limit.parse() {
        Ok(limit @ 1..) => Ok(limit),
        _ => Err(DocumentError::invalid_value("limit", "it must be a whole number, at least 1")),
    });
    let versions = records.file_versions(&authorized.file.id, limit.transpose()?).await?;
    let mut people = UserDirectory::new(&records);
    let mut items = Vec::with_capacity(versions.len());
    let creator =
        people.reference(versions.first().map_or(&authorized.file.owner, |oldest| &oldest.created_by)).await?;
    for version in &versions {
        items.push(file_information(&mut people, &authorized.file, version, &creator).await?);
    }
    let body = ListBody::new(&authorized.file.id, items);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::File, &body)?)
}

/// The information about one version of a file, without its renditions.
pub(super) async fn file_info(
    records: &Records,
    file: &File,
    version: &FileVersion,
) -> Result<FileInformation, DocumentError> {
    let mut people = UserDirectory::new(records);
    let creator = creator(&mut people, file).await?;
    file_information(&mut people, file, version, &creator).await
}

/// Returns the creator of the file, in the form of responses. The creator need not be the owner, who may have changed
/// since.
async fn creator(people: &mut UserDirectory<'_>, file: &File) -> Result<UserReference, DocumentError> {
    let creator = people.records.file_creator(&file.id).await?;
    people.reference(creator.as_deref().unwrap_or(&file.owner)).await
}

async fn file_information(
    people: &mut UserDirectory<'_>,
    file: &File,
    version: &FileVersion,
    creator: &UserReference,
) -> Result<FileInformation, DocumentError> {
    let upload = version.upload.as_ref();
    Ok(FileInformation {
        id: file.id.to_string(),
        kind: ItemKind::File,
        name: version.name.clone(),
        version: version.number.to_string(),
        created_by: creator.clone(),
        created_time: format_time(file.created_at),
        modified_by: people.reference(&version.created_by).await?,
        modified_time: format_time(version.created_at),
        owned_by: people.reference(&file.owner).await?,
        size: upload.map(|upload| upload.bytes.to_string()),
        mime_type: upload.map(|upload| upload.media.mime()),
        renditions: None,
    })
}

/// Formats a time as `YYYY-MM-DDThh:mm:ssZ`.
pub(super) fn format_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Users by id, each looked up once per response.
pub(super) struct UserDirectory<'a> {
    records: &'a Records,
    cache: HashMap<String, UserReference>,
}

impl<'a> UserDirectory<'a> {
    pub(super) fn new(records: &'a Records) -> Self {
        Self { records, cache: HashMap::new() }
    }

    /// Returns a user in the form of responses. An unknown user has its id as its name.
    pub(super) async fn reference(&mut self, id: &str) -> Result<UserReference, DocumentError> {
        if let Some(known) = self.cache.get(id) {
            return Ok(known.clone());
        }
        let name = self.records.user(id).await?.map_or_else(|| id.to_owned(), |user| user.name);
        let user = UserReference { display_name: name, id: id.to_owned(), kind: UserKind::User };
        self.cache.insert(id.to_owned(), user.clone());
        Ok(user)
    }
}
