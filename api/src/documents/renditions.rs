//! The renditions of a version: system renditions (`thumbnail1`, `page1`) and custom renditions, which users upload.
//! Lists, serves and deletes them, and serves the thumbnail.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{ExpectedVersion, FileRole, FileVersion, Media, Rendition, Upload, UploadState, Variant, VariantName};
use records::Records;
use storage::Blobs;

use super::authorize::DocumentAccess;
use super::documented_errors::{DocumentErrors, ReadErrors, WriteErrors};
use super::error::{DocumentError, DocumentOperation};
use super::file_response::{self, StoredContent};
use super::parameters::{FilePath, RangeHeaders, RenditionQuery, RenditionTypeQuery, VersionQuery};
use super::request::DocumentRequest;
use super::response_bodies::{ItemKind, ListBody, RenditionInformation, RenditionType, SuccessBody};
use crate::dropbox::variant_server::VariantServer;
use crate::http::conditional::{CurrentVersion, etag, expected_version, write_condition_error};
use crate::openapi::content_responses::{FileContent, ThumbnailContent};
use crate::openapi::error_responses::{PreconditionErrors, RejectionErrors};
use crate::openapi::request_headers::{ConditionalHeaders, DateConditionHeaders, WriteConditionHeaders};

/// The side of the square into which a thumbnail fits, in pixels, as the worker renders it.
const THUMBNAIL_SIZE: u32 = VariantName::THUMBNAIL_SIZE;

/// `GET …/files/{fileId}/data/renditions`: lists the renditions of a version.
#[utoipa::path(
    get,
    path = "/files/{id}/data/renditions",
    tag = "documents",
    operation_id = "listRenditions",
    params(FilePath, VersionQuery, RenditionTypeQuery),
    responses(
        (status = 200, description = "The renditions", body = ListBody<RenditionInformation>),
        DocumentErrors::<ReadErrors>,
    ),
)]
pub(crate) async fn list(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let authorized = access.authorize_file(&request, DocumentOperation::LIST_RENDITIONS, FileRole::Viewer).await?;
    let version = request.requested_version(&records, &authorized.file).await?;
    let items = match wants_uploaded(&request)? {
        false => system_renditions(&version),
        true => records.renditions(version.id).await?.iter().map(uploaded_rendition).collect(),
    };
    let body = ListBody::new(&authorized.file.id, items).without_count();
    Ok(request.response_format.response(StatusCode::OK, ItemKind::File, &body)?)
}

/// `GET …/files/{fileId}/data/rendition`: returns the content of a rendition.
#[utoipa::path(
    get,
    path = "/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "getRendition",
    params(FilePath, RenditionQuery, RenditionTypeQuery, VersionQuery, RangeHeaders, DateConditionHeaders),
    responses(FileContent, DocumentErrors::<(ReadErrors, PreconditionErrors, RejectionErrors)>),
)]
pub(crate) async fn get(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    State(variants): State<Arc<VariantServer>>,
    State(blobs): State<Arc<Blobs>>,
    mut request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let uploaded = wants_uploaded(&request);
    request.is_image = matches!(uploaded, Ok(false));
    // A viewer may see system renditions. Downloading a custom rendition requires the downloader role.
    let min_role = if matches!(uploaded, Ok(true)) { FileRole::Downloader } else { FileRole::Viewer };
    let authorized = access.authorize_file(&request, DocumentOperation::GET_RENDITION, min_role).await?;
    let version = request.requested_version(&records, &authorized.file).await?;
    let name = request.query_param("rendition")?.ok_or_else(|| DocumentError::missing_field("rendition"))?;
    if uploaded? {
        let rendition = records.rendition(version.id, &name).await?;
        let rendition = rendition.ok_or_else(DocumentError::rendition_not_found)?;
        let file = filename(&rendition.name, &rendition.extension);
        return file_response::file_response(&blobs, &request.head, original_content(&rendition.upload, file)?).await;
    }
    let name = name.to_ascii_lowercase();
    let make = match name.as_str() {
        "thumbnail1" => |media| VariantName::fitting(THUMBNAIL_SIZE, media),
        "page1" => VariantName::full,
        _ => return Err(DocumentError::system_rendition_not_found()),
    };
    let variant = ensure_system_variant(&variants, version.upload.as_ref(), make).await?;
    let media = variant.name.media();
    let name = filename(&name, media.extension());
    let (Variant { key, bytes, sha256, .. }, modified_at) = (variant, Some(version.modified_at()));
    let object = StoredContent { key, bytes, sha256, modified_at, media, name };
    file_response::file_response(&blobs, &request.head, object).await
}

/// `DELETE …/files/{fileId}/data/rendition`: deletes a custom rendition.
#[utoipa::path(
    delete,
    path = "/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "deleteRendition",
    params(FilePath, RenditionQuery, VersionQuery, WriteConditionHeaders),
    responses(
        (status = 200, description = "The rendition is deleted", body = SuccessBody),
        DocumentErrors::<(WriteErrors, PreconditionErrors)>,
    ),
)]
pub(crate) async fn remove(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let authorized =
        access.authorize_file(&request, DocumentOperation::DELETE_RENDITION, FileRole::Contributor).await?;
    let version = request.requested_version(&records, &authorized.file).await?;
    let name = request.query_param("rendition")?.ok_or_else(|| DocumentError::missing_field("rendition"))?;
    let rendition = records.rendition(version.id, &name).await?.ok_or_else(DocumentError::rendition_not_found)?;
    // A rendition never changes, and it is deleted by the id of its row. So the condition also holds in the transaction.
    let modified_at = rendition.upload.settled_at;
    let current = CurrentVersion { version: rendition.id, tags: vec![etag(&rendition.upload.sha256)], modified_at };
    if expected_version(&request.head.headers, current) == ExpectedVersion::Outdated {
        return Err(write_condition_error(&request.head.headers).into());
    }
    // If another request has deleted it since, the response is 404 with a condition too (RFC 9110, 13.2.1).
    if !records.delete_rendition(&rendition, &authorized.principal.user_id).await? {
        return Err(DocumentError::rendition_not_found());
    }
    let body = SuccessBody::new(ItemKind::File, &authorized.file.id);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::File, &body)?)
}

/// `GET …/files/{fileId}/data/thumbnail`: returns the thumbnail of a file or of a custom rendition that is a picture.
#[utoipa::path(
    get,
    path = "/files/{id}/data/thumbnail",
    tag = "documents",
    operation_id = "getThumbnail",
    params(
        FilePath,
        VersionQuery,
        ("rendition" = inline(Option<String>), Query, description = "The name of a custom rendition. The default is the file itself"),
        ConditionalHeaders,
        DateConditionHeaders,
    ),
    responses(ThumbnailContent, DocumentErrors::<(ReadErrors, PreconditionErrors, RejectionErrors)>),
)]
pub(crate) async fn thumbnail(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    State(variants): State<Arc<VariantServer>>,
    mut request: DocumentRequest,
) -> Result<Response, DocumentError> {
    request.is_image = true;
    let authorized = access.authorize_file(&request, DocumentOperation::GET_RENDITION, FileRole::Viewer).await?;
    let version = request.requested_version(&records, &authorized.file).await?;
    let upload = match request.query_param("rendition")? {
        Some(name) => {
            let rendition = records.rendition(version.id, &name).await?;
            Some(rendition.ok_or_else(DocumentError::rendition_not_found)?.upload)
        }
        None => version.upload,
    };
    let variant =
        ensure_system_variant(&variants, upload.as_ref(), |media| VariantName::fitting(THUMBNAIL_SIZE, media)).await?;
    let modified_at = upload.and_then(|upload| upload.settled_at);
    Ok(variants.respond((&variant, modified_at), &request.head, "private, no-cache").await?)
}

/// `GET …/files/{fileId}/data`: returns the content of a version.
#[utoipa::path(
    get,
    path = "/files/{id}/data",
    tag = "documents",
    operation_id = "getFileData",
    params(FilePath, VersionQuery, RangeHeaders, DateConditionHeaders),
    responses(FileContent, DocumentErrors::<(ReadErrors, PreconditionErrors)>),
)]
pub(crate) async fn file(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    State(blobs): State<Arc<Blobs>>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let authorized = access.authorize_file(&request, DocumentOperation::DOWNLOAD, FileRole::Downloader).await?;
    let version = request.requested_version(&records, &authorized.file).await?;
    let upload = version.upload.as_ref().ok_or_else(DocumentError::content_not_found)?;
    file_response::file_response(&blobs, &request.head, original_content(upload, version.name.clone())?).await
}

/// Returns all renditions that a version has or could have, each with whether it exists.
pub(super) async fn all_renditions(
    records: &Records,
    version: &FileVersion,
) -> Result<Vec<RenditionInformation>, DocumentError> {
    let made = match &version.upload {
        Some(upload) => records.variants(upload.id, upload.generation).await?,
        None => Vec::new(),
    };
    let is_made = |name: &str| {
        made.iter().any(|variant| match name {
            "thumbnail1" => variant.name.fits(),
            _ => variant.name.size().is_none(),
        })
    };
    let mut items: Vec<RenditionInformation> = system_renditions(version)
        .into_iter()
        .map(|rendition| {
            let exists = is_made(&rendition.name);
            rendition.with_state(RenditionType::System, exists)
        })
        .collect();
    let uploaded = records.renditions(version.id).await?;
    items.extend(uploaded.iter().map(|one| uploaded_rendition(one).with_state(RenditionType::Uploaded, true)));
    Ok(items)
}

/// The renditions that Cloakroom makes of a picture.
const SYSTEM_RENDITIONS: [&str; 2] = ["thumbnail1", "page1"];

fn system_renditions(version: &FileVersion) -> Vec<RenditionInformation> {
    let served = version.upload.as_ref().and_then(|upload| upload.default_media);
    let Some(served) = served else { return Vec::new() };
    SYSTEM_RENDITIONS.map(|name| RenditionInformation::system(name, filename(name, served.extension()))).to_vec()
}

fn uploaded_rendition(rendition: &Rendition) -> RenditionInformation {
    RenditionInformation::uploaded(rendition, filename(&rendition.name, &rendition.extension))
}

fn filename(name: &str, extension: &str) -> String {
    if extension.is_empty() { name.to_owned() } else { format!("{name}.{extension}") }
}

/// Returns whether the request is for custom renditions instead of system renditions.
fn wants_uploaded(request: &DocumentRequest) -> Result<bool, DocumentError> {
    match request.query_param("renditionType")?.as_deref() {
        None | Some("system") => Ok(false),
        Some("uploaded") => Ok(true),
        Some(_) => Err(DocumentError::invalid_value("renditionType", "it is system or uploaded")),
    }
}

/// Returns a variant of an upload that is a picture. If the variant is missing, has it rendered
/// now.
async fn ensure_system_variant(
    variants: &VariantServer,
    upload: Option<&Upload>,
    name: impl FnOnce(Media) -> Option<VariantName>,
) -> Result<Variant, DocumentError> {
    let shown = upload.filter(|upload| upload.state == UploadState::Ready);
    let (upload, media) = shown
        .and_then(|upload| Some((upload, upload.default_media?)))
        .ok_or_else(DocumentError::no_renderable_picture)?;
    let name = name(media).ok_or_else(DocumentError::no_renderable_picture)?;
    Ok(variants.ensure(upload, name).await?)
}

/// Returns the original content of an upload, to be sent under this file name.
fn original_content(upload: &Upload, name: String) -> Result<StoredContent, DocumentError> {
    let key = upload.original_key.clone().ok_or_else(DocumentError::rendition_not_found)?;
    let Upload { bytes, ref sha256, media, settled_at: modified_at, .. } = *upload;
    Ok(StoredContent { key, bytes, sha256: sha256.clone(), modified_at, media, name })
}
