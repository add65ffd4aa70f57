//! Claiming a picture as somebody's avatar: `PUT /api/{service}/{ID}` with its number.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Request;
use serde::Serialize;
use serde_json::{Map, Value};
use upload::{ClaimRefused, Claimant, Resource, UploadId};

use crate::desk::Desk;
use crate::problem::{ApiError, Problem};
use crate::receive::small;
use crate::resource::resource;
use crate::who::{Action, Caller};

/// The longest name of a resource, in characters.
const NAME: usize = 256;

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
pub(crate) struct Claimed {
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
        (status = 200, description = "What stands now; claiming again answers the same", body = Claimed),
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
    State(desk): State<Desk>,
    Path((service, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Json<Claimed>, ApiError> {
    let caller = Caller::writer(&desk, request.headers()).await?;
    desk.count_request(&caller)?;
    let resource = resource(&desk, &service, &id)?;
    let body: Map<String, Value> = small::json(&desk, request, "the claim").await?;
    let wish = Wish::parse(&body)?;
    desk.authorize(&caller, Action::Claim, &resource).await?;
    desk.claim(&resource, wish, &caller.claimant()).await.map(Json)
}

/// What a claim asks for.
pub(crate) struct Wish {
    name: Option<String>,
    picture: Option<UploadId>,
}

impl Wish {
    /// Takes a body apart; a member that would not be stored is an error, so that nothing is dropped silently.
    pub(crate) fn parse(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let bad = |why: String| ApiError::malformed("bad_claim", why);
        let mut wish = Self { name: None, picture: None };
        for (member, value) in body {
            match (member.as_str(), value) {
                ("Name", Value::String(name)) if name.chars().count() <= NAME => wish.name = Some(name.clone()),
                ("Name", _) => return Err(bad(format!("Name is a text of at most {NAME} characters"))),
                ("PictureID", Value::String(id)) => wish.picture = Some(id.parse().map_err(|_| no_picture(id))?),
                ("PictureID", Value::Number(id)) => {
                    let id = id.to_string();
                    wish.picture = Some(id.parse().map_err(|_| no_picture(&id))?);
                }
                ("PictureID", _) => return Err(bad("PictureID is a number, or a text with one in it".to_owned())),
                (other, _) => {
                    return Err(bad(format!("\"{other:.80}\" is not stored here; send Name and PictureID only")));
                }
            }
        }
        if wish.name.is_none() && wish.picture.is_none() {
            return Err(bad("send Name, PictureID or both".to_owned()));
        }
        Ok(wish)
    }
}

/// What is not a number of ours names nothing.
fn no_picture(id: &str) -> ApiError {
    ApiError::NotFound(format!("there is no picture {id:.40}"))
}

impl Desk {
    /// Does what a claim asks for, for somebody whose right to it has been looked at.
    pub(crate) async fn claim(&self, resource: &Resource, wish: Wish, by: &Claimant) -> Result<Claimed, ApiError> {
        if let Some(id) = wish.picture {
            match self.places.records.claim(id, resource, by).await? {
                Ok(()) => {}
                Err(ClaimRefused::Unknown) => return Err(no_picture(&id.to_string())),
                Err(ClaimRefused::ClaimedElsewhere) => {
                    return Err(ApiError::Conflict(format!("picture {id} has been claimed already")));
                }
                Err(ClaimRefused::Expired) => {
                    return Err(ApiError::Gone(format!("picture {id} was not claimed in time; hand it in again")));
                }
                Err(ClaimRefused::Unusable(reason)) => return Err(ApiError::Rejected(reason)),
            }
        }
        if let Some(name) = &wish.name {
            self.places.records.name_resource(resource, name).await?;
        }
        let id = format!("{}.{}", resource.id, self.names.fed);
        Ok(Claimed { id, name: wish.name, picture: wish.picture.map(UploadId::get) })
    }
}
