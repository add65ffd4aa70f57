//! Claiming a picture as the avatar of a user or of another resource: `PUT /api/{service}/{ID}` with its PictureID.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Request;
use domain::{Resource, UploadId};
use records::{ClaimRefusal, Claimant};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::auth::{Action, AuthUser};
use crate::dropbox::json_body;
use crate::error::{ApiError, Problem};
use crate::resource::parse_resource;
use crate::state::AppState;

/// The longest name of a resource, in characters.
const MAX_NAME_CHARS: usize = 256;

/// What is claimed, for programs; no other member is taken.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the body; `Wish` reads it")]
pub(crate) struct ClaimForm {
    /// What the resource is called, at most 256 characters
    #[schema(rename = "Name")]
    name: Option<String>,
    /// The PictureID; a text with the number in it is taken as well
    #[schema(rename = "PictureID")]
    picture: Option<i64>,
}

/// What stands after a claim.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ClaimResponse {
    /// `<unique>.<fed>`
    #[serde(rename = "ID")]
    id: String,
    /// What the resource is called, where it was said.
    #[serde(rename = "Name", skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The picture it was given, where one was.
    #[serde(rename = "PictureID", skip_serializing_if = "Option::is_none")]
    picture: Option<i64>,
}

/// `PUT /api/{service}/{ID}`: claims a picture as the avatar of a resource.
#[utoipa::path(
    put,
    path = "/api/{service}/{id}",
    tag = "avatars",
    operation_id = "claim",
    request_body(content = ClaimForm),
    params(
        ("service" = String, Path, description = "users, apps, apis, groups or businesses"),
        ("id" = String, Path, description = "The resource: <unique>.<federation member>"),
    ),
    responses(
        (status = 200, description = "What stands now; claiming again answers the same", body = ClaimResponse),
        (status = 400, description = "What was sent makes no sense; the detail says what and what to send instead", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not act for this resource", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, for this caller", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The picture has been claimed for something else", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The picture was not claimed in time", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large; the limit and what was received are named", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The type is not taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The picture is broken or over a limit; the detail says which", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The caller has had their share; see Retry-After", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not ready yet, or overloaded; see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    Path((service, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Json<ClaimResponse>, ApiError> {
    let caller = AuthUser::for_write(&state, request.headers()).await?;
    state.check_rate_limit(&caller)?;
    let resource = parse_resource(&state, &service, &id)?;
    let body: Map<String, Value> = json_body::read_json(&state, request, "the claim").await?;
    let claim = ClaimRequest::parse(&body)?;
    state.authorize(&caller, Action::Claim, &resource).await?;
    state.claim(&resource, claim, &caller.claimant()).await.map(Json)
}

/// The content of a claim request.
pub(crate) struct ClaimRequest {
    name: Option<String>,
    picture: Option<UploadId>,
}

impl ClaimRequest {
    /// Parses a body. A member that would not be stored is an error, so that nothing is dropped silently.
    pub(crate) fn parse(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let bad = |why: String| ApiError::malformed("bad_claim", why);
        let mut claim = Self { name: None, picture: None };
        for (member, value) in body {
            match (member.as_str(), value) {
                ("Name", Value::String(name)) if name.chars().count() <= MAX_NAME_CHARS => {
                    claim.name = Some(name.clone())
                }
                ("Name", _) => return Err(bad(format!("Name is a text of at most {MAX_NAME_CHARS} characters"))),
                ("PictureID", Value::String(id)) => {
                    claim.picture = Some(id.parse().map_err(|_| picture_not_found(id))?)
                }
                ("PictureID", Value::Number(id)) => {
                    let id = id.to_string();
                    claim.picture = Some(id.parse().map_err(|_| picture_not_found(&id))?);
                }
                ("PictureID", _) => return Err(bad("PictureID is a number, or a text with one in it".to_owned())),
                (other, _) => {
                    return Err(bad(format!("\"{other:.80}\" is not stored here; send Name and PictureID only")));
                }
            }
        }
        if claim.name.is_none() && claim.picture.is_none() {
            return Err(bad("send Name, PictureID or both".to_owned()));
        }
        Ok(claim)
    }
}

/// The error for an unknown picture, and for a text that is no PictureID.
fn picture_not_found(id: &str) -> ApiError {
    ApiError::NotFound(format!("there is no picture {id:.40}"))
}

impl AppState {
    /// Carries out a claim. The caller of this function has already checked the claimant's permission for the resource.
    pub(crate) async fn claim(
        &self,
        resource: &Resource,
        claim: ClaimRequest,
        claimant: &Claimant,
    ) -> Result<ClaimResponse, ApiError> {
        if let Some(id) = claim.picture {
            match self.backends.records.claim(id, resource, claimant).await? {
                Ok(()) => {}
                Err(ClaimRefusal::Unknown) => return Err(picture_not_found(&id.to_string())),
                Err(ClaimRefusal::ClaimedElsewhere) => {
                    return Err(ApiError::Conflict(format!("picture {id} has been claimed already")));
                }
                Err(ClaimRefusal::Expired) => {
                    return Err(ApiError::Gone(format!("picture {id} was not claimed in time; hand it in again")));
                }
                Err(ClaimRefusal::Unusable(reason)) => return Err(ApiError::Rejected(reason)),
            }
        }
        if let Some(name) = &claim.name {
            self.backends.records.name_resource(resource, name).await?;
        }
        let id = format!("{}.{}", resource.id, self.realm_names.fedmember);
        Ok(ClaimResponse { id, name: claim.name, picture: claim.picture.map(UploadId::get) })
    }
}
