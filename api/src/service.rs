//! For systems, not for people: a portal that keeps its resources elsewhere registers them here, claims on a user's
//! behalf, and asks. Own prefix (`/service/…`), own credential; no cookie is looked at.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use upload::{Claimant, Resource, Secret, Service, WrongSetting};

use crate::claim::{ClaimForm, Claimed, Wish};
use crate::desk::Desk;
use crate::docs::systems::{AtResource, ForUser, NotTaken, NotUnderstood, Refused};
use crate::problem::{ApiError, Problem};
use crate::receive::{picture_id, small};
use crate::resource::{is_unique_part, resource};
use crate::status::Status;

/// `[realm.service]`: who may call as a system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// One or more keys with blanks between, so that they can be exchanged one by one; at least 32 characters each.
    /// Empty: nobody may.
    pub keys: Secret,
}

impl ServiceSettings {
    /// Digests of the keys, so that comparing takes the same time for all.
    ///
    /// # Errors
    /// Where one is too short to be a secret.
    pub(crate) fn digests(&self) -> Result<Vec<[u8; 32]>, WrongSetting> {
        let digest = |key: &str| match key.len() {
            32.. => Ok(Sha256::digest(key.as_bytes()).into()),
            short => {
                let allowed = format!("one of its keys has {short} characters; make each at least 32 long");
                Err(WrongSetting::new("realm.service.keys", "…", allowed))
            }
        };
        self.keys.expose().split_whitespace().map(digest).collect()
    }
}

/// A request that bears one of the keys.
pub(crate) struct System;

impl FromRequestParts<Desk> for System {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, ApiError> {
        let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key =
            bearer.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        let (_, key) = key.ok_or(ApiError::NotLoggedIn("a service key is needed as a bearer token"))?;
        let theirs: [u8; 32] = Sha256::digest(key.trim().as_bytes()).into();
        let known = desk.service_keys.iter().fold(subtle::Choice::from(0), |known, ours| known | ours.ct_eq(&theirs));
        if bool::from(known) { Ok(Self) } else { Err(ApiError::NotLoggedIn("the service key is not valid")) }
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Registration {
    #[serde(rename = "Name")]
    name: Option<String>,
    /// Those who may act for the resource, all of them.
    #[serde(rename = "Users")]
    users: Option<Vec<String>>,
}

/// What is known of a resource.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Registered {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: Option<String>,
    #[serde(rename = "Users")]
    users: Vec<String>,
    /// The picture shown as its avatar, and which version of it that is.
    #[serde(rename = "PictureID")]
    picture: Option<i64>,
    #[serde(rename = "AvatarVersion")]
    version: Option<i64>,
}

/// `PUT /service/{service}/{ID}`: registers a resource, its name and its users; what is left out stays.
#[utoipa::path(
    put,
    path = "/service/{service}/{id}",
    tag = "systems",
    operation_id = "registerResource",
    request_body(content = Registration),
    params(AtResource),
    responses(
        (status = 200, description = "What is known of the resource now", body = Registered),
        Refused,
        NotUnderstood,
        NotTaken,
    ),
    security(("service" = [])),
)]
pub(crate) async fn register(
    State(desk): State<Desk>,
    _: System,
    Path((service, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Json<Registered>, ApiError> {
    let resource = resource(&desk, &service, &id)?;
    let registration: Registration = small::json(&desk, request, "the registration").await?;
    let users = registration.users.map(|users| users.iter().map(|user| desk.user_id(user)).collect());
    let users: Option<Vec<String>> = users.transpose()?;
    desk.places.records.register(&resource, registration.name.as_deref(), users.as_deref()).await?;
    desk.registered(&resource).await.map(Json)
}

/// `GET /service/{service}/{ID}`: what is known of a resource.
#[utoipa::path(
    get,
    path = "/service/{service}/{id}",
    tag = "systems",
    operation_id = "getResource",
    params(AtResource),
    responses(
        (status = 200, description = "What is known of the resource", body = Registered),
        Refused,
    ),
    security(("service" = [])),
)]
pub(crate) async fn look_up(
    State(desk): State<Desk>,
    _: System,
    Path((service, id)): Path<(String, String)>,
) -> Result<Json<Registered>, ApiError> {
    let resource = resource(&desk, &service, &id)?;
    desk.registered(&resource).await.map(Json)
}

/// `PUT /service/{service}/{ID}/users/{user}`: lets a user act for a resource.
#[utoipa::path(
    put,
    path = "/service/{service}/{id}/users/{user}",
    tag = "systems",
    operation_id = "grant",
    params(AtResource, ForUser),
    responses(
        (status = 204, description = "The user may act for the resource"),
        Refused,
        NotUnderstood,
    ),
    security(("service" = [])),
)]
pub(crate) async fn grant(
    State(desk): State<Desk>,
    _: System,
    Path((service, id, user)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let resource = resource(&desk, &service, &id)?;
    desk.places.records.grant(&resource, &desk.user_id(&user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /service/{service}/{ID}/users/{user}`: lets a user act for a resource no longer.
#[utoipa::path(
    delete,
    path = "/service/{service}/{id}/users/{user}",
    tag = "systems",
    operation_id = "revoke",
    params(AtResource, ForUser),
    responses(
        (status = 204, description = "The user may not, or not any more"),
        Refused,
        NotUnderstood,
    ),
    security(("service" = [])),
)]
pub(crate) async fn revoke(
    State(desk): State<Desk>,
    _: System,
    Path((service, id, user)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let resource = resource(&desk, &service, &id)?;
    desk.places.records.revoke(&resource, &desk.user_id(&user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /service/{service}/{ID}/claim/{user}`: claims a picture for a user. The system answers for the user's right to
/// the resource; the picture must be the user's own.
#[utoipa::path(
    put,
    path = "/service/{service}/{id}/claim/{user}",
    tag = "systems",
    operation_id = "claimForUser",
    request_body(content = ClaimForm),
    params(AtResource, ForUser),
    responses(
        (status = 200, description = "As the user's own claim", body = Claimed),
        (status = 409, description = "The picture has been claimed for something else", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The picture was not claimed in time", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The picture is broken or over a limit; the detail says which", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotUnderstood,
        NotTaken,
    ),
    security(("service" = [])),
)]
pub(crate) async fn claim(
    State(desk): State<Desk>,
    _: System,
    Path((service, id, user)): Path<(String, String, String)>,
    request: Request<Body>,
) -> Result<Json<Claimed>, ApiError> {
    let resource = resource(&desk, &service, &id)?;
    let claimant = Claimant { user: desk.user_id(&user)?, admin: false };
    let wish = Wish::parse(&small::json(&desk, request, "the claim").await?)?;
    desk.claim(&resource, wish, &claimant).await.map(Json)
}

/// `GET /service/uploads/{id}`: where an upload stands.
#[utoipa::path(
    get,
    path = "/service/uploads/{id}",
    tag = "systems",
    operation_id = "getAnyUpload",
    params(
        ("id" = i64, Path, description = "The PictureID"),
    ),
    responses(
        (status = 200, description = "Where the upload stands and what happened to it", body = Status),
        Refused,
    ),
    security(("service" = [])),
)]
pub(crate) async fn upload(
    State(desk): State<Desk>,
    _: System,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    let id = picture_id(&id)?;
    let upload = desk.places.records.upload(id).await?;
    let upload = upload.ok_or_else(|| ApiError::NotFound(format!("there is no upload {id}")))?;
    desk.status(upload).await.map(Json)
}

impl Desk {
    /// `<unique>.<fed>` or just the unique part of a user.
    pub(crate) fn user_id(&self, user: &str) -> Result<String, ApiError> {
        if let Ok(Resource { id, .. }) = resource(self, Service::Users.as_str(), user) {
            return Ok(id);
        }
        let bad = || ApiError::malformed("bad_user", format!("\"{user:.80}\" is no user's id"));
        is_unique_part(user).then(|| user.to_owned()).ok_or_else(bad)
    }

    async fn registered(&self, resource: &Resource) -> Result<Registered, ApiError> {
        let records = &self.places.records;
        let fed = &self.names.fed;
        let (version, picture) =
            records.avatar(resource).await?.map(|(version, upload)| (version, upload.id.get())).unzip();
        Ok(Registered {
            id: format!("{}.{fed}", resource.id),
            name: records.resource_name(resource).await?,
            users: records.granted(resource).await?.iter().map(|user| format!("{user}.{fed}")).collect(),
            picture,
            version,
        })
    }
}
