//! What is known of a file and its versions: `GET …/files/{id}` and `GET …/files/{id}/versions`.

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use upload::{File, FileRole, FileVersion};

use super::answer::Node;
use super::call::Call;
use super::described::{AtFile, FileInformation, OfVersion, Refused, VersionList};
use super::refusal::{Deed, Refusal};
use super::renditions;
use crate::desk::Desk;

/// `GET …/files/{fileId}`: what is known of a file.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}",
    tag = "documents",
    operation_id = "getFile",
    params(
        AtFile,
        OfVersion,
        ("includeRenditions" = Option<String>, Query, description = "true: with all renditions there are or could be"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = FileInformation),
        Refused,
    ),
)]
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let visit = call.enter(Deed::INFORM, FileRole::Viewer).await?;
    let version = call.version(&visit.file).await?;
    let shown = if call.query("includeRenditions")?.as_deref() == Some("true") {
        Some(renditions::all(&call, &version).await?)
    } else {
        None
    };
    answer(&call, StatusCode::OK, &visit.file, &version, shown).await
}

/// `GET …/files/{fileId}/versions`: all versions of a file.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/files/{id}/versions",
    tag = "documents",
    operation_id = "getFileVersions",
    params(AtFile),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = VersionList),
        Refused,
    ),
)]
pub(crate) async fn versions(call: Call) -> Result<Response, Refusal> {
    let visit = call.enter(Deed::INFORM, FileRole::Viewer).await?;
    let versions = call.desk.places.records.file_versions(&visit.file.id).await?;
    let mut people = People::new(&call.desk);
    let mut items = Vec::with_capacity(versions.len());
    let creator = people.named(versions.first().map_or(&visit.file.owner, |oldest| &oldest.created_by)).await?;
    for version in &versions {
        items.push(Node::Object(members(&mut people, &visit.file, version, &creator).await?));
    }
    Ok(call.format.all(&visit.file.id, items))
}

/// The information about one version of a file.
pub(super) async fn answer(
    call: &Call,
    status: StatusCode,
    file: &File,
    version: &FileVersion,
    renditions: Option<Vec<Node>>,
) -> Result<Response, Refusal> {
    let mut all = vec![("errorCode", "0".into())];
    let mut people = People::new(&call.desk);
    let creator = creator(&mut people, file).await?;
    all.extend(members(&mut people, file, version, &creator).await?);
    all.extend(renditions.map(|list| ("renditions", Node::List(list))));
    Ok(call.format.answer(status, "file", all))
}

/// Who made the file, as answers show them; the owner may be another by now.
async fn creator(people: &mut People<'_>, file: &File) -> Result<Node, Refusal> {
    let creator = people.desk.places.records.file_creator(&file.id).await?;
    people.named(creator.as_deref().unwrap_or(&file.owner)).await
}

async fn members(
    people: &mut People<'_>,
    file: &File,
    version: &FileVersion,
    creator: &Node,
) -> Result<Vec<(&'static str, Node)>, Refusal> {
    let by = people.named(&version.created_by).await?;
    let mut members = vec![
        ("id", file.id.as_str().into()),
        ("type", "file".into()),
        ("name", version.name.as_str().into()),
        ("version", version.number.to_string().into()),
        ("createdBy", creator.clone()),
        ("createdTime", time(file.created_at)),
        ("modifiedBy", by),
        ("modifiedTime", time(version.created_at)),
        ("ownedBy", people.named(&file.owner).await?),
    ];
    if let Some(upload) = &version.upload {
        members.push(("size", upload.bytes.to_string().into()));
        members.push(("mimeType", upload.media.mime().into()));
    }
    Ok(members)
}

/// `YYYY-MM-DDThh:mm:ssZ`
pub(super) fn time(at: Timestamp) -> Node {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// People, each looked up once for an answer.
pub(super) struct People<'a> {
    desk: &'a Desk,
    known: HashMap<String, Node>,
}

impl<'a> People<'a> {
    pub(super) fn new(desk: &'a Desk) -> Self {
        Self { desk, known: HashMap::new() }
    }

    /// Somebody, as answers show them.
    pub(super) async fn named(&mut self, id: &str) -> Result<Node, Refusal> {
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let name = self.desk.places.records.user(id).await?.map_or_else(|| id.to_owned(), |user| user.name);
        let node = Node::Object(vec![("displayName", name.into()), ("id", id.into()), ("type", "user".into())]);
        self.known.insert(id.to_owned(), node.clone());
        Ok(node)
    }
}
