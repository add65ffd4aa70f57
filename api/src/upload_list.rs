//! Lists uploads: `GET /uploads`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use domain::{Upload, UploadId, UploadKind, UploadState};
use jiff::Timestamp;
use records::{Records, UploadFilter};
use serde::Serialize;

use crate::auth::access::ReadAccess;
use crate::error::{ApiError, as_sentence};
use crate::openapi::error_responses::{ParameterErrors, PermissionErrors, Problems, UserErrors};
use crate::upload_status::UploadStateName;

/// The uploads of a page if the query names no number.
const DEFAULT_LIMIT: u64 = 20;
/// The most uploads of a page.
const MAX_LIMIT: u64 = 100;

/// Which uploads to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that `ListQuery` parses")]
struct ListParameters {
    /// Only uploads in this state
    #[param(inline, nullable = false)]
    state: Option<UploadStateName>,
    /// Only uploads of this kind
    #[param(inline, nullable = false)]
    kind: Option<UploadKindName>,
    /// Only uploads that were accepted at this time or later
    #[param(nullable = false, example = "2026-11-21T00:00:00Z")]
    created_from: Option<Timestamp>,
    /// Only uploads that were accepted before this time
    #[param(nullable = false, example = "2026-11-22T00:00:00Z")]
    created_before: Option<Timestamp>,
    /// Only uploads of this user, without the federation member. The default is the caller. Site administrators may name
    /// any user, or `*` for all users
    #[param(nullable = false, example = "jane")]
    owner: Option<String>,
    /// `next` of the page before
    #[param(nullable = false, minimum = 1, example = 1020)]
    before: Option<i64>,
    /// The most uploads to return; 20 by default
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u64>,
}

/// A page of uploads, the newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct UploadPage {
    uploads: Vec<UploadSummary>,
    /// The value of `before` for the next page. It is missing on the last page
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 1001)]
    next: Option<i64>,
}

/// An upload in a list. `GET /uploads/{id}` has its variants and events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UploadSummary {
    /// The PictureID
    #[schema(example = 1001)]
    id: i64,
    #[schema(value_type = UploadKindName)]
    kind: &'static str,
    #[schema(value_type = UploadStateName)]
    state: &'static str,
    /// The id of the user who uploaded it
    #[schema(example = "jane")]
    owner: String,
    /// The file name that the client sent
    #[schema(example = "jellyfish.png")]
    label: String,
    /// Why it was rejected or failed: a stable code, for programs
    code: Option<String>,
    /// Why it was rejected or failed: a sentence, for people
    why: Option<String>,
    created_at: Timestamp,
    /// When it expires if it is not claimed
    expires_at: Option<Timestamp>,
    /// When processing ended
    settled_at: Option<Timestamp>,
    /// Whether the picture was claimed
    claimed: bool,
    /// The media type as judged by the content
    #[schema(example = "image/png")]
    media: &'static str,
    /// The size of the upload, in bytes
    bytes: u64,
}

/// What an upload is
#[derive(utoipa::ToSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the names of `UploadKind`")]
enum UploadKindName {
    /// A picture in the dropbox
    Dropbox,
    /// A custom rendition of a file
    Rendition,
    /// A version of a file
    File,
}

impl From<Upload> for UploadSummary {
    fn from(upload: Upload) -> Self {
        let claimed = upload.claim.is_some();
        let (code, why) = upload.reason.map(|reason| (reason.code.to_string(), as_sentence(reason.message))).unzip();
        Self {
            id: upload.id.get(),
            kind: UploadKind::as_str(upload.kind),
            state: upload.state.as_str(),
            owner: upload.owner,
            label: upload.filename,
            code,
            why,
            created_at: upload.created_at,
            expires_at: upload.expires_at.filter(|_| !claimed),
            settled_at: upload.settled_at,
            claimed,
            media: upload.media.mime(),
            bytes: upload.bytes,
        }
    }
}

/// `GET /uploads`: lists the uploads of the caller, the newest first. Site administrators may list the uploads of others.
#[utoipa::path(
    get,
    path = "/uploads",
    tag = "pictures",
    operation_id = "listUploads",
    params(ListParameters),
    responses(
        (status = 200, description = "A page of uploads, the newest first", body = UploadPage),
        Problems::<(UserErrors, PermissionErrors, ParameterErrors)>,
    ),
    security(("session" = []), ("bearer" = [])),
)]
pub(crate) async fn list(
    ReadAccess(caller): ReadAccess,
    State(records): State<Records>,
    uri: Uri,
) -> Result<Json<UploadPage>, ApiError> {
    let query = ListQuery::parse(&uri)?;
    let owner = match query.filter.owner.clone() {
        None => Some(caller.user_id),
        Some(owner) if caller.is_admin => Some(owner).filter(|owner| owner != "*"),
        Some(owner) if owner == caller.user_id => Some(owner),
        Some(_) => return Err(ApiError::NotPermitted("only site administrators list uploads of others".to_owned())),
    };
    let filter = UploadFilter { owner, ..query.filter };
    // One upload more than the limit tells whether there is another page.
    let mut uploads = records.list_uploads(&filter, query.before, query.limit + 1).await?;
    let more = uploads.len() as u64 > query.limit;
    if more {
        uploads.pop();
    }
    let next = uploads.last().filter(|_| more).map(|last| last.id.get());
    Ok(Json(UploadPage { uploads: uploads.into_iter().map(UploadSummary::from).collect(), next }))
}

/// The query, parsed. Unknown parameters are ignored, because clients add them to avoid caches.
struct ListQuery {
    /// With the owner as the query names it: `None` is the caller.
    filter: UploadFilter,
    before: Option<UploadId>,
    limit: u64,
}

impl ListQuery {
    fn parse(uri: &Uri) -> Result<Self, ApiError> {
        let mut query = Self { filter: UploadFilter::default(), before: None, limit: DEFAULT_LIMIT };
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let bad = |allowed: &str| {
                ApiError::malformed("bad_query", format!("\"{name}\" is {allowed}, not \"{value:.20}\""))
            };
            match name.as_ref() {
                "state" => {
                    let states = UploadState::ALL.map(UploadState::as_str).join(", ");
                    query.filter.state = Some(value.parse().map_err(|_| bad(&format!("one of {states}")))?);
                }
                "kind" => {
                    let kinds = UploadKind::ALL.map(UploadKind::as_str).join(", ");
                    query.filter.kind = Some(value.parse().map_err(|_| bad(&format!("one of {kinds}")))?);
                }
                "created_from" | "created_before" => {
                    let time = value.parse().map_err(|_| bad("a time such as 2026-11-21T12:00:00Z"))?;
                    let filter = &mut query.filter;
                    let bound =
                        if name == "created_from" { &mut filter.created_from } else { &mut filter.created_before };
                    *bound = Some(time);
                }
                "owner" if value.contains('\0') => return Err(bad("the id of a user")),
                "owner" => query.filter.owner = Some(value.into_owned()),
                "before" => query.before = Some(value.parse().map_err(|_| bad("the number of an upload"))?),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    query.limit = limit.ok_or_else(|| bad(&format!("a whole number from 1 to {MAX_LIMIT}")))?;
                }
                _ => {}
            }
        }
        Ok(query)
    }
}
