//! Where an upload stands and what happened to it: `GET /uploads/{id}`.

use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::Serialize;
use upload::{Event, Kind, Upload, Variant};

use crate::desk::Desk;
use crate::problem::{ApiError, Problem};
use crate::receive::picture_id;
use crate::who::{Caller, Reader};

/// An upload's whole story.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Status {
    id: i64,
    /// accepted, ready, rejected, failed or expired
    state: &'static str,
    /// The last thing that happened to it.
    stage: String,
    /// The user who handed it in.
    owner: String,
    /// What the client called it.
    label: String,
    code: Option<String>,
    why: Option<String>,
    created_at: Timestamp,
    deadline: Timestamp,
    expires_at: Option<Timestamp>,
    settled_at: Option<Timestamp>,
    width: Option<u32>,
    height: Option<u32>,
    /// The type as judged by its content.
    media: &'static str,
    bytes: u64,
    sha256: String,
    claimed: Option<ClaimStanding>,
    variants: Vec<Shown>,
    #[schema(value_type = Vec<Happened>)]
    events: Vec<Event>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ClaimStanding {
    resource: String,
    by: String,
    at: Timestamp,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Shown {
    name: String,
    media: &'static str,
    width: u32,
    height: u32,
    bytes: u64,
    href: String,
}

/// One thing that happened to an upload.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes an event for programs")]
pub(crate) struct Happened {
    /// When
    at: Timestamp,
    /// A word: staged, queued, attempt, rendered, ready, rejected, claimed, expired, …
    what: String,
    /// The rest, for a person
    detail: String,
}

/// `GET /uploads/{id}`: where an upload stands, for its uploader, site administrators, and, once it is claimed, those who
/// act for the resource.
#[utoipa::path(
    get,
    path = "/uploads/{id}",
    tag = "pictures",
    operation_id = "getUpload",
    params(
        ("id" = i64, Path, description = "The PictureID"),
    ),
    responses(
        (status = 200, description = "Where the upload stands and what happened to it", body = Status),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, for this caller", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The caller has had their share; see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("bearer" = [])),
)]
pub(crate) async fn get(
    State(desk): State<Desk>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    desk.count_request(&caller)?;
    let id = picture_id(&id)?;
    let upload = desk.places.records.upload(id).await?;
    let upload = match upload {
        Some(upload) if may_see(&desk, &caller, &upload).await? => upload,
        _ => return Err(ApiError::NotFound(format!("there is no upload {id}"))),
    };
    desk.status(upload).await.map(Json)
}

async fn may_see(desk: &Desk, caller: &Caller, upload: &Upload) -> Result<bool, ApiError> {
    if caller.owns(upload) {
        return Ok(true);
    }
    match &upload.claim {
        Some(claim) => Ok(desk.places.records.may_act_for(&caller.user, &claim.resource).await?),
        None => Ok(false),
    }
}

impl Desk {
    /// Tells an upload's story.
    pub(crate) async fn status(&self, upload: Upload) -> Result<Status, ApiError> {
        let events = self.places.records.events(upload.id).await?;
        // What belongs to a file is shown there, and to those who have a right to that.
        let variants = match upload.kind {
            Kind::Dropbox => self.places.records.variants(upload.id, upload.generation).await?,
            Kind::Rendition | Kind::File => Vec::new(),
        };
        let variants = variants.into_iter().map(|variant| self.shown(&upload, &variant)).collect();
        let (code, why) = upload.reason.map(|reason| (reason.code, reason.why)).unzip();
        let claimed = upload.claim.map(|claim| {
            let resource = format!("{}.{}", claim.resource, self.names.fed);
            ClaimStanding { resource, by: claim.by, at: claim.at }
        });
        Ok(Status {
            id: upload.id.get(),
            state: upload.state.as_str(),
            stage: events.last().map(|event| event.what.clone()).unwrap_or_default(),
            owner: upload.owner,
            label: upload.label,
            code,
            why,
            created_at: upload.created_at,
            deadline: upload.deadline,
            expires_at: upload.expires_at.filter(|_| claimed.is_none()),
            settled_at: upload.settled_at,
            width: upload.width,
            height: upload.height,
            media: upload.media.mime(),
            bytes: upload.bytes,
            sha256: upload.sha256,
            claimed,
            variants,
            events,
        })
    }

    fn shown(&self, upload: &Upload, variant: &Variant) -> Shown {
        let place = match &upload.claim {
            Some(claim) => format!("/api/{}.{}/avatar", claim.resource, self.names.fed),
            None => format!("/api/dropbox/pictures/{}", upload.id),
        };
        let href = match variant.name.size() {
            Some(size) => format!("{place}?size={size}"),
            None => place,
        };
        Shown {
            name: variant.name.to_string(),
            media: variant.name.media().mime(),
            width: variant.width,
            height: variant.height,
            bytes: variant.bytes,
            href,
        }
    }
}
