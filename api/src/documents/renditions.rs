//! The renditions of a version: system renditions (`thumbnail1`, `page1`) and custom renditions, which users upload.
//! Lists, serves and deletes them, and serves the thumbnail.

use axum::http::StatusCode;
use axum::response::Response;
use domain::{FileRole, FileVersion, Media, Rendition, Upload, UploadState as Standing, Variant, VariantName};

use super::error::{DocumentError, DocumentOperation};
use super::file_response::{self, FileContent};
use super::request::DocumentRequest;
use super::response_format::ResponseValue;
use super::schemas::{
    DocumentErrorBody, DocumentErrors, FileContentResponses, FilePath, RangeHeaders, RenditionList, SuccessBody,
    VersionQuery,
};
use crate::openapi::binary::Binary;
use crate::pictures;

/// The side of the square into which a thumbnail fits, in pixels, as the worker renders it.
const THUMBNAIL_SIZE: u32 = 256;

/// `GET …/files/{fileId}/data/renditions`: the renditions of a version.
#[utoipa::path(
    get,
    path = "/files/{id}/data/renditions",
    tag = "documents",
    operation_id = "listRenditions",
    params(
        FilePath,
        VersionQuery,
        ("renditionType" = Option<String>, Query, description = "system (by default) or uploaded"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = RenditionList),
        DocumentErrors,
    ),
)]
pub(crate) async fn list(request: DocumentRequest) -> Result<Response, DocumentError> {
    let authorized = request.authorize_file(DocumentOperation::LIST_RENDITIONS, FileRole::Viewer).await?;
    let version = request.requested_version(&authorized.file).await?;
    let items = match wants_uploaded(&request)? {
        false => system_renditions(&version),
        true => request.state.backends.records.renditions(version.id).await?.iter().map(rendition_members).collect(),
    };
    let members = vec![
        ("errorCode", "0".into()),
        ("id", authorized.file.id.as_str().into()),
        ("type", "file".into()),
        ("items", ResponseValue::List(items.into_iter().map(ResponseValue::Object).collect())),
    ];
    Ok(request.response_format.response(StatusCode::OK, "file", members))
}

/// `GET …/files/{fileId}/data/rendition`: the bytes of a rendition.
#[utoipa::path(
    get,
    path = "/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "getRendition",
    params(
        FilePath,
        ("rendition" = String, Query, description = "Its name, in any case"),
        ("renditionType" = Option<String>, Query, description = "system (by default) or uploaded"),
        VersionQuery,
        RangeHeaders,
    ),
    responses(FileContentResponses, DocumentErrors),
)]
pub(crate) async fn get(mut request: DocumentRequest) -> Result<Response, DocumentError> {
    let uploaded = wants_uploaded(&request);
    request.is_image = matches!(uploaded, Ok(false));
    // A viewer may see system renditions. Downloading a custom rendition requires the downloader role.
    let min_role = if matches!(uploaded, Ok(true)) { FileRole::Downloader } else { FileRole::Viewer };
    let authorized = request.authorize_file(DocumentOperation::GET_RENDITION, min_role).await?;
    let version = request.requested_version(&authorized.file).await?;
    let name = request.query_param("rendition")?.ok_or_else(|| DocumentError::missing_field("rendition"))?;
    if uploaded? {
        let rendition = request.state.backends.records.rendition(version.id, &name).await?;
        let rendition = rendition.ok_or_else(DocumentError::rendition_not_found)?;
        let file = filename(&rendition.name, &rendition.extension);
        return file_response::file_response(&request, original_content(&rendition.upload, file)?).await;
    }
    let name = name.to_ascii_lowercase();
    let make = match name.as_str() {
        "thumbnail1" => |media| VariantName::fitting(THUMBNAIL_SIZE, media),
        "page1" => VariantName::full,
        _ => return Err(DocumentError::system_rendition_not_found()),
    };
    let variant = ensure_system_variant(&request, version.upload.as_ref(), make).await?;
    let media = variant.name.media();
    let name = filename(&name, media.extension());
    let object = FileContent { key: variant.key, bytes: variant.bytes, sha256: variant.sha256, media, name };
    file_response::file_response(&request, object).await
}

/// `DELETE …/files/{fileId}/data/rendition`: deletes a custom rendition.
#[utoipa::path(
    delete,
    path = "/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "deleteRendition",
    params(
        FilePath,
        ("rendition" = String, Query, description = "Its name, in any case"),
        VersionQuery,
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = SuccessBody),
        DocumentErrors,
    ),
)]
pub(crate) async fn remove(request: DocumentRequest) -> Result<Response, DocumentError> {
    let authorized = request.authorize_file(DocumentOperation::DELETE_RENDITION, FileRole::Contributor).await?;
    let version = request.requested_version(&authorized.file).await?;
    let name = request.query_param("rendition")?.ok_or_else(|| DocumentError::missing_field("rendition"))?;
    let records = &request.state.backends.records;
    let rendition = records.rendition(version.id, &name).await?.ok_or_else(DocumentError::rendition_not_found)?;
    if !records.delete_rendition(&rendition, &authorized.principal.user_id).await? {
        return Err(DocumentError::rendition_not_found());
    }
    Ok(request.response_format.success_response(StatusCode::OK, "file", &authorized.file.id))
}

/// `GET …/files/{fileId}/data/thumbnail`: the thumbnail of a file, or, with `rendition`, of a custom rendition that is
/// a picture.
#[utoipa::path(
    get,
    path = "/files/{id}/data/thumbnail",
    tag = "documents",
    operation_id = "getThumbnail",
    params(
        FilePath,
        VersionQuery,
        ("rendition" = Option<String>, Query, description = "Of this custom rendition, instead of the file"),
    ),
    responses(
        (status = 200, description = "The thumbnail, made by us", body = inline(Binary), content_type = "image/png"),
        (status = 302, description = "It is at the store, where the settings say so"),
        (status = 304, description = "The client has it"),
        (status = 412, description = "It is none of those that If-Match names: -1", body = DocumentErrorBody),
        DocumentErrors,
    ),
)]
pub(crate) async fn thumbnail(mut request: DocumentRequest) -> Result<Response, DocumentError> {
    request.is_image = true;
    let authorized = request.authorize_file(DocumentOperation::GET_RENDITION, FileRole::Viewer).await?;
    let version = request.requested_version(&authorized.file).await?;
    let upload = match request.query_param("rendition")? {
        Some(name) => {
            let rendition = request.state.backends.records.rendition(version.id, &name).await?;
            Some(rendition.ok_or_else(DocumentError::rendition_not_found)?.upload)
        }
        None => version.upload,
    };
    let variant =
        ensure_system_variant(&request, upload.as_ref(), |media| VariantName::fitting(THUMBNAIL_SIZE, media)).await?;
    Ok(pictures::variant_response(&request.state, &variant, &request.method, &request.headers, "private, no-cache")
        .await?)
}

/// `GET …/files/{fileId}/data`: the bytes of a version.
#[utoipa::path(
    get,
    path = "/files/{id}/data",
    tag = "documents",
    operation_id = "getFileData",
    params(FilePath, VersionQuery, RangeHeaders),
    responses(FileContentResponses, DocumentErrors)
)]
pub(crate) async fn file(request: DocumentRequest) -> Result<Response, DocumentError> {
    let authorized = request.authorize_file(DocumentOperation::DOWNLOAD, FileRole::Downloader).await?;
    let version = request.requested_version(&authorized.file).await?;
    let upload = version.upload.as_ref().ok_or_else(DocumentError::content_not_found)?;
    file_response::file_response(&request, original_content(upload, version.name.clone())?).await
}

/// Returns all renditions that a version has or could have, each with whether it exists.
pub(super) async fn all_renditions(
    request: &DocumentRequest,
    version: &FileVersion,
) -> Result<Vec<ResponseValue>, DocumentError> {
    let records = &request.state.backends.records;
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
    let mut items = Vec::new();
    for (mut members, name) in system_renditions(version).into_iter().zip(SYSTEM_RENDITIONS) {
        members.push(("renditionType", "system".into()));
        members.push(("exists", ResponseValue::Bool(is_made(name))));
        items.push(ResponseValue::Object(members));
    }
    for rendition in records.renditions(version.id).await? {
        let mut members = rendition_members(&rendition);
        members.push(("renditionType", "uploaded".into()));
        members.push(("exists", ResponseValue::Bool(true)));
        items.push(ResponseValue::Object(members));
    }
    Ok(items)
}

/// The renditions that Cloakroom makes of a picture.
const SYSTEM_RENDITIONS: [&str; 2] = ["thumbnail1", "page1"];

fn system_renditions(version: &FileVersion) -> Vec<Vec<(&'static str, ResponseValue)>> {
    let served = version.upload.as_ref().and_then(|upload| upload.default_media);
    let Some(served) = served else { return Vec::new() };
    let item = |name: &&str| {
        vec![
            ("type", "rendition".into()),
            ("name", (*name).into()),
            ("description", "".into()),
            ("path", filename(name, served.extension()).into()),
        ]
    };
    SYSTEM_RENDITIONS.iter().map(item).collect()
}

fn rendition_members(rendition: &Rendition) -> Vec<(&'static str, ResponseValue)> {
    vec![
        ("type", "rendition".into()),
        ("name", rendition.name.as_str().into()),
        ("description", rendition.description.as_str().into()),
        ("path", filename(&rendition.name, &rendition.extension).into()),
    ]
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

/// Returns a variant of an upload that is a picture. Has it rendered now if it is missing.
async fn ensure_system_variant(
    request: &DocumentRequest,
    upload: Option<&Upload>,
    name: impl FnOnce(Media) -> Option<VariantName>,
) -> Result<Variant, DocumentError> {
    let shown = upload.filter(|upload| upload.state == Standing::Ready);
    let (upload, media) = shown
        .and_then(|upload| Some((upload, upload.default_media?)))
        .ok_or_else(DocumentError::no_renderable_picture)?;
    let name = name(media).ok_or_else(DocumentError::no_renderable_picture)?;
    Ok(pictures::ensure_variant(&request.state, upload, name).await?)
}

/// Returns the original bytes of an upload.
fn original_content(upload: &Upload, name: String) -> Result<FileContent, DocumentError> {
    let key = upload.original_key.clone().ok_or_else(DocumentError::rendition_not_found)?;
    Ok(FileContent { key, bytes: upload.bytes, sha256: upload.sha256.clone(), media: upload.media, name })
}
