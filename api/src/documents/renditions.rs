//! The renditions of a version: those we make of it (`thumbnail1`, `page1`) and those that were uploaded. Listing, getting
//! and deleting them, and the thumbnail.

use axum::http::StatusCode;
use axum::response::Response;
use upload::{FileRole, FileVersion, Media, Rendition, State as Standing, Upload, Variant, VariantName};

use super::answer::Node;
use super::call::Call;
use super::described::{AtFile, DocumentError, Done, Kept, OfVersion, Ranged, Refused, RenditionList};
use super::download::{self, Object};
use super::refusal::{Deed, Refusal};
use crate::docs::octets::Octets;
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
        AtFile,
        OfVersion,
        ("renditionType" = Option<String>, Query, description = "system (by default) or uploaded"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = RenditionList),
        Refused,
    ),
)]
pub(crate) async fn list(call: Call) -> Result<Response, Refusal> {
    let visit = call.enter(Deed::LIST, FileRole::Viewer).await?;
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
}

/// `GET …/files/{fileId}/data/rendition`: the bytes of a rendition.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "getRendition",
    params(
        AtFile,
        ("rendition" = String, Query, description = "Its name, in any case"),
        ("renditionType" = Option<String>, Query, description = "system (by default) or uploaded"),
        OfVersion,
        Ranged,
    ),
    responses(Kept, Refused),
)]
pub(crate) async fn get(mut call: Call) -> Result<Response, Refusal> {
    let uploaded = uploaded(&call);
    call.shows = matches!(uploaded, Ok(false));
    // To look is the viewer's; to take away what somebody uploaded, the downloader's.
    let least = if matches!(uploaded, Ok(true)) { FileRole::Downloader } else { FileRole::Viewer };
    let visit = call.enter(Deed::GET, least).await?;
    let version = call.version(&visit.file).await?;
    let name = call.query("rendition")?.ok_or_else(|| Refusal::missing("rendition"))?;
    if uploaded? {
        let rendition = call.desk.places.records.rendition(version.id, &name).await?;
        let rendition = rendition.ok_or_else(Refusal::no_rendition)?;
        let file = path(&rendition.name, &rendition.extension);
        return download::send(&call, kept(&rendition.upload, file)?).await;
    }
    let name = name.to_ascii_lowercase();
    let make = match name.as_str() {
        "thumbnail1" => |media| VariantName::fitting(THUMBNAIL, media),
        "page1" => VariantName::full,
        _ => return Err(Refusal::no_system_rendition()),
    };
    let variant = made(&call, version.upload.as_ref(), make).await?;
    let media = variant.name.media();
    let name = path(&name, media.extension());
    let object = Object { key: variant.key, bytes: variant.bytes, sha256: variant.sha256, media, name };
    download::send(&call, object).await
}

/// `DELETE …/files/{fileId}/data/rendition`: deletes a custom rendition.
#[utoipa::path(
    delete,
    path = "/documents/api/{version}/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "deleteRendition",
    params(
        AtFile,
        ("rendition" = String, Query, description = "Its name, in any case"),
        OfVersion,
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = Done),
        Refused,
    ),
)]
pub(crate) async fn remove(call: Call) -> Result<Response, Refusal> {
    let visit = call.enter(Deed::DELETE, FileRole::Contributor).await?;
    let version = call.version(&visit.file).await?;
    let name = call.query("rendition")?.ok_or_else(|| Refusal::missing("rendition"))?;
    let records = &call.desk.places.records;
    let rendition = records.rendition(version.id, &name).await?.ok_or_else(Refusal::no_rendition)?;
    if !records.remove_rendition(&rendition, &visit.visitor.who).await? {
        return Err(Refusal::no_rendition());
    }
    Ok(call.format.done(StatusCode::OK, "file", &visit.file.id))
}

/// `GET …/files/{fileId}/data/thumbnail`: the thumbnail of a file, or, with `rendition`, of a custom rendition that is a
/// picture.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}/data/thumbnail",
    tag = "documents",
    operation_id = "getThumbnail",
    params(
        AtFile,
        OfVersion,
        ("rendition" = Option<String>, Query, description = "Of this custom rendition, instead of the file"),
    ),
    responses(
        (status = 200, description = "The thumbnail, made by us", body = inline(Octets), content_type = "image/png"),
        (status = 302, description = "It is at the store, where the settings say so"),
        (status = 304, description = "The client has it"),
        (status = 412, description = "It is none of those that If-Match names: -1", body = DocumentError),
        Refused,
    ),
)]
pub(crate) async fn thumbnail(mut call: Call) -> Result<Response, Refusal> {
    call.shows = true;
    let visit = call.enter(Deed::GET, FileRole::Viewer).await?;
    let version = call.version(&visit.file).await?;
    let upload = match call.query("rendition")? {
        Some(name) => {
            let rendition = call.desk.places.records.rendition(version.id, &name).await?;
            Some(rendition.ok_or_else(Refusal::no_rendition)?.upload)
        }
        None => version.upload,
    };
    let variant = made(&call, upload.as_ref(), |media| VariantName::fitting(THUMBNAIL, media)).await?;
    Ok(show::stream(&call.desk, &variant, &call.method, &call.headers, "private, no-cache").await?)
}

/// `GET …/files/{fileId}/data`: the bytes of a version.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}/data",
    tag = "documents",
    operation_id = "getFileData",
    params(AtFile, OfVersion, Ranged),
    responses(Kept, Refused)
)]
pub(crate) async fn file(call: Call) -> Result<Response, Refusal> {
    let visit = call.enter(Deed::DOWNLOAD, FileRole::Downloader).await?;
    let version = call.version(&visit.file).await?;
    let upload = version.upload.as_ref().ok_or_else(Refusal::elsewhere)?;
    download::send(&call, kept(upload, version.name.clone())?).await
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
    match call.query("renditionType")?.as_deref() {
        None | Some("system") => Ok(false),
        Some("uploaded") => Ok(true),
        Some(_) => Err(Refusal::invalid("renditionType", "it is system or uploaded")),
    }
}

/// What we make of an upload that is a picture, made now where it is not there yet.
async fn made(
    call: &Call,
    upload: Option<&Upload>,
    name: impl FnOnce(Media) -> Option<VariantName>,
) -> Result<Variant, Refusal> {
    let shown = upload.filter(|upload| upload.state == Standing::Ready);
    let (upload, media) = shown.and_then(|upload| Some((upload, upload.served?))).ok_or_else(Refusal::no_picture)?;
    let name = name(media).ok_or_else(Refusal::no_picture)?;
    Ok(show::variant(&call.desk, upload, name).await?)
}

/// An upload's bytes as they came.
fn kept(upload: &Upload, name: String) -> Result<Object, Refusal> {
    let key = upload.original_key.clone().ok_or_else(Refusal::no_rendition)?;
    Ok(Object { key, bytes: upload.bytes, sha256: upload.sha256.clone(), media: upload.media, name })
}
