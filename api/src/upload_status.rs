//! The state and the events of an upload: `GET /uploads/{id}`.

use axum::Json;
use axum::extract::{Path, State};
use domain::{Event, Upload, UploadKind, Variant};
use jiff::Timestamp;
use serde::Serialize;

use crate::auth::{AuthUser, ReadAccess};
use crate::dropbox::parse_picture_id;
use crate::error::{ApiError, Problem};
use crate::state::AppState;

/// An upload's whole story.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct UploadStatus {
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
    claimed: Option<UploadClaim>,
    variants: Vec<UploadedVariant>,
    #[schema(value_type = Vec<UploadEvent>)]
    events: Vec<Event>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UploadClaim {
    resource: String,
    by: String,
    at: Timestamp,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UploadedVariant {
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
pub(crate) struct UploadEvent {
    /// When
    at: Timestamp,
    /// A word: staged, queued, attempt, rendered, ready, rejected, claimed, expired, …
    what: String,
    /// The rest, for a person
    detail: String,
}

/// `GET /uploads/{id}`: where an upload stands, for its uploader, site administrators, and, once it is claimed, those
/// who act for the resource.
#[utoipa::path(
    get,
    path = "/uploads/{id}",
    tag = "pictures",
    operation_id = "getUpload",
    params(
        ("id" = i64, Path, description = "The PictureID"),
    ),
    responses(
        (status = 200, description = "Where the upload stands and what happened to it", body = UploadStatus),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, for this caller", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The caller has had their share; see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("bearer" = [])),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    ReadAccess(caller): ReadAccess,
    Path(id): Path<String>,
) -> Result<Json<UploadStatus>, ApiError> {
    state.check_rate_limit(&caller)?;
    let id = parse_picture_id(&id)?;
    let upload = state.backends.records.upload(id).await?;
    let upload = match upload {
        Some(upload) if can_view(&state, &caller, &upload).await? => upload,
        _ => return Err(ApiError::NotFound(format!("there is no upload {id}"))),
    };
    state.upload_status(upload).await.map(Json)
}

async fn can_view(state: &AppState, caller: &AuthUser, upload: &Upload) -> Result<bool, ApiError> {
    if caller.owns(upload) {
        return Ok(true);
    }
    match &upload.claim {
        Some(claim) => Ok(state.backends.records.may_act_for(&caller.user_id, &claim.resource).await?),
        None => Ok(false),
    }
}

impl AppState {
    /// Builds the status response of an upload.
    pub(crate) async fn upload_status(&self, upload: Upload) -> Result<UploadStatus, ApiError> {
        let events = self.backends.records.events(upload.id).await?;
        // The variants of a file's upload are shown with that file, to users who have a right to the file.
        let variants = match upload.kind {
            UploadKind::Dropbox => self.backends.records.variants(upload.id, upload.generation).await?,
            UploadKind::Rendition | UploadKind::File => Vec::new(),
        };
        let variants = variants.into_iter().map(|variant| self.variant_status(&upload, &variant)).collect();
        let (code, why) = upload.reason.map(|reason| (reason.code.to_string(), reason.message)).unzip();
        let claimed = upload.claim.map(|claim| {
            let resource = format!("{}.{}", claim.resource, self.realm_names.fedmember);
            UploadClaim { resource, by: claim.by, at: claim.at }
        });
        Ok(UploadStatus {
            id: upload.id.get(),
            state: upload.state.as_str(),
            stage: events.last().map(|event| event.kind.to_string()).unwrap_or_default(),
            owner: upload.owner,
            label: upload.filename,
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

    fn variant_status(&self, upload: &Upload, variant: &Variant) -> UploadedVariant {
        let place = match &upload.claim {
            Some(claim) => format!("/api/{}.{}/avatar", claim.resource, self.realm_names.fedmember),
            None => format!("/api/dropbox/pictures/{}", upload.id),
        };
        let href = match variant.name.size() {
            Some(size) => format!("{place}?size={size}"),
            None => place,
        };
        UploadedVariant {
            name: variant.name.to_string(),
            media: variant.name.media().mime(),
            width: variant.width,
            height: variant.height,
            bytes: variant.bytes,
            href,
        }
    }
}
