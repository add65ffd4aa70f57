//! The renditions of a version: those we make of it (`thumbnail1`, `page1`) and those that were uploaded. Listing, getting
//! and deleting them, and the thumbnail.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use upload::{FileRole, FileVersion, Media, Rendition, State as Standing, Upload, VariantName};

use super::answer::Node;
use super::call::Call;
use super::described::{Done, Refused, RenditionList};
use super::download::{self, Object};
use super::refusal::{Deed, Refusal};
use crate::desk::Desk;
use crate::show;

/// The side of the square into which a thumbnail fits, as the worker makes it.
const THUMBNAIL: u32 = 256;

/// `GET …/files/{fileId}/data/renditions`: the renditions of a version.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}/data/renditions",
    tag = "documents",
    operation_id = "listRenditions",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The file's id"),
        ("version" = Option<u32>, Query, description = "A version of the file; the latest without it"),
        ("renditionType" = Option<String>, Query, description = "system (by default) or uploaded"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = RenditionList),
        Refused,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn list(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        let visit = call.enter(&id, Deed::LIST, FileRole::Viewer, false).await?;
        let version = call.version(&visit.file).await?;
        let items = match uploaded(&call)? {
            false => system(&version),
            true => call.desk.places.records.renditions(version.id).await?.iter().map(described).collect(),
        };
        let members = vec![
            ("errorCode", "0".into()),
            ("id", visit.file.id.as_str().into()),
            ("type", "file".into()),
            ("items", Node::List(items.into_iter().map(Node::Object).collect())),
        ];
        Ok(call.format.answer(StatusCode::OK, "file", members))
    };
    let result = result.await;
    call.told(&id, result)
}

/// `GET …/files/{fileId}/data/rendition`: the bytes of a rendition.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "getRendition",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The file's id"),
        ("rendition" = String, Query, description = "Its name, in any case"),
        ("renditionType" = Option<String>, Query, description = "system (by default) or uploaded"),
        ("version" = Option<u32>, Query, description = "A version of the file; the latest without it"),
        ("Range" = Option<String>, Header, description = "bytes=<first>-<last>, several with commas between (RFC 9110)"),
    ),
    responses(
        (status = 200, description = "The bytes, as an attachment", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "Those that Range asks for", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "The client has them"),
        (status = 416, description = "Range asks for bytes that are not there"),
        Refused,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn get(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        let uploaded = uploaded(&call);
        // To look is the viewer's; to take away what somebody uploaded, the downloader's.
        let least = if matches!(uploaded, Ok(true)) { FileRole::Downloader } else { FileRole::Viewer };
        let visit = call.enter(&id, Deed::GET, least, false).await?;
        let version = call.version(&visit.file).await?;
        let name = call.query("rendition").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Refusal::missing("rendition"))?;
        if uploaded? {
            let rendition = call.desk.places.records.rendition(version.id, &name).await?;
            let rendition = rendition.ok_or_else(Refusal::no_rendition)?;
            let file = path(&rendition.name, &rendition.extension);
            return download::send(&call, kept(&rendition.upload, file)?).await;
        }
        let upload = shown(version.upload.as_ref())?;
        let wanted = match name.as_str() {
            "thumbnail1" => VariantName::fitting(THUMBNAIL, upload.served.unwrap_or(Media::Jpeg)),
            "page1" => VariantName::full(upload.served.unwrap_or(Media::Jpeg)),
            _ => None,
        };
        let variant = show::variant(&call.desk, upload, wanted.ok_or_else(Refusal::no_rendition)?).await?;
        let (media, extension) = (variant.name.media(), variant.name.media().extension());
        let name = path(&name, extension);
        let object = Object { key: variant.key, bytes: variant.bytes, sha256: variant.sha256, media, name };
        download::send(&call, object).await
    };
    let result = result.await;
    call.told(&id, result)
}

/// `DELETE …/files/{fileId}/data/rendition`: deletes a custom rendition.
#[utoipa::path(
    delete,
    path = "/documents/api/{version}/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "deleteRendition",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The file's id"),
        ("rendition" = String, Query, description = "Its name, in any case"),
        ("version" = Option<u32>, Query, description = "A version of the file; the latest without it"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = Done),
        Refused,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn remove(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        let visit = call.enter(&id, Deed::DELETE, FileRole::Contributor, true).await?;
        let version = call.version(&visit.file).await?;
        let name = call.query("rendition").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Refusal::missing("rendition"))?;
        let records = &call.desk.places.records;
        let rendition = records.rendition(version.id, &name).await?.ok_or_else(Refusal::no_rendition)?;
        if !records.remove_rendition(&rendition, &visit.visitor.who).await? {
            return Err(Refusal::no_rendition());
        }
        let members = vec![("errorCode", "0".into()), ("id", visit.file.id.as_str().into()), ("type", "file".into())];
        Ok(call.format.answer(StatusCode::OK, "file", members))
    };
    let result = result.await;
    call.told(&id, result)
}

/// `GET …/files/{fileId}/data/thumbnail`: of the file, or, with `rendition`, of a custom rendition that is a picture.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}/data/thumbnail",
    tag = "documents",
    operation_id = "getThumbnail",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The file's id"),
        ("version" = Option<u32>, Query, description = "A version of the file; the latest without it"),
        ("rendition" = Option<String>, Query, description = "Of this custom rendition, instead of the file"),
    ),
    responses(
        (status = 200, description = "The thumbnail, made by us", body = Vec<u8>, content_type = "image/png"),
        (status = 302, description = "It is at the store, where the settings say so"),
        (status = 304, description = "The client has it"),
        Refused,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn thumbnail(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        let visit = call.enter(&id, Deed::GET, FileRole::Viewer, false).await?;
        let version = call.version(&visit.file).await?;
        let upload = match call.query("rendition").filter(|name| !name.is_empty()) {
            Some(name) => {
                let rendition = call.desk.places.records.rendition(version.id, &name).await?;
                Some(rendition.ok_or_else(Refusal::no_rendition)?.upload)
            }
            None => version.upload,
        };
        let upload = shown(upload.as_ref())?;
        let wanted = VariantName::fitting(THUMBNAIL, upload.served.unwrap_or(Media::Jpeg));
        let variant = show::variant(&call.desk, upload, wanted.ok_or_else(Refusal::no_rendition)?).await?;
        Ok(show::stream(&call.desk, &variant, &call.head.method, call.headers(), "private, no-cache").await?)
    };
    let result = result.await;
    call.told(&id, result)
}

/// `GET …/files/{fileId}/data`: the bytes of a version.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}/data",
    tag = "documents",
    operation_id = "getFileData",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The file's id"),
        ("version" = Option<u32>, Query, description = "A version of the file; the latest without it"),
        ("Range" = Option<String>, Header, description = "bytes=<first>-<last>, several with commas between (RFC 9110)"),
    ),
    responses(
        (status = 200, description = "The bytes, as an attachment", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "Those that Range asks for", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "The client has them"),
        (status = 416, description = "Range asks for bytes that are not there"),
        Refused,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn file(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        let visit = call.enter(&id, Deed::INFORM, FileRole::Downloader, false).await?;
        let version = call.version(&visit.file).await?;
        let upload = version.upload.as_ref().ok_or_else(Refusal::no_version)?;
        download::send(&call, kept(upload, version.name.clone())?).await
    };
    let result = result.await;
    call.told(&id, result)
}

/// Everything there is or could be of a version, each with whether it is there.
pub(super) async fn all(call: &Call, version: &FileVersion) -> Result<Vec<Node>, Refusal> {
    let records = &call.desk.places.records;
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
    for (mut members, name) in system(version).into_iter().zip(SYSTEM) {
        members.push(("renditionType", "system".into()));
        members.push(("exists", Node::Flag(is_made(name))));
        items.push(Node::Object(members));
    }
    for rendition in records.renditions(version.id).await? {
        let mut members = described(&rendition);
        members.push(("renditionType", "uploaded".into()));
        members.push(("exists", Node::Flag(true)));
        items.push(Node::Object(members));
    }
    Ok(items)
}

/// Those we make of a picture.
const SYSTEM: [&str; 2] = ["thumbnail1", "page1"];

fn system(version: &FileVersion) -> Vec<Vec<(&'static str, Node)>> {
    let served = version.upload.as_ref().and_then(|upload| upload.served);
    let Some(served) = served else { return Vec::new() };
    let item = |name: &&str| {
        vec![
            ("type", "rendition".into()),
            ("name", (*name).into()),
            ("description", "".into()),
            ("path", path(name, served.extension()).into()),
        ]
    };
    SYSTEM.iter().map(item).collect()
}

fn described(rendition: &Rendition) -> Vec<(&'static str, Node)> {
    vec![
        ("type", "rendition".into()),
        ("name", rendition.name.as_str().into()),
        ("description", rendition.description.as_str().into()),
        ("path", path(&rendition.name, &rendition.extension).into()),
    ]
}

fn path(name: &str, extension: &str) -> String {
    if extension.is_empty() { name.to_owned() } else { format!("{name}.{extension}") }
}

/// Whether the call is about what was uploaded, rather than about what we make.
fn uploaded(call: &Call) -> Result<bool, Refusal> {
    match call.query("renditionType").as_deref() {
        None | Some("" | "system") => Ok(false),
        Some("uploaded") => Ok(true),
        Some(_) => Err(Refusal::invalid("renditionType", "it is system or uploaded")),
    }
}

/// An upload that we can show as a picture.
fn shown(upload: Option<&Upload>) -> Result<&Upload, Refusal> {
    upload.filter(|upload| upload.state == Standing::Ready && upload.served.is_some()).ok_or_else(Refusal::no_rendition)
}

/// An upload's bytes as they came.
fn kept(upload: &Upload, name: String) -> Result<Object, Refusal> {
    let key = upload.original_key.clone().ok_or_else(Refusal::no_rendition)?;
    Ok(Object { key, bytes: upload.bytes, sha256: upload.sha256.clone(), media: upload.media, name })
}
