//! The service-to-service API. A portal that keeps its resources elsewhere registers them here, claims pictures for
//! users, and reads the state. It has its own prefix (`/service/…`) and its own credential. Cookies are ignored.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, header};
use domain::{Resource, Service};
use records::Claimant;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::dropbox::claim::{ClaimForm, ClaimRequest, ClaimResponse};
use crate::dropbox::picture_id::parse_picture_id;
use crate::error::ApiError;
use crate::http::path_params::PathParams;
use crate::http::small_body;
use crate::openapi::error_responses::{
    BodyErrors, ClaimErrors, ParameterErrors, Problems, ServiceKeyErrors, TargetErrors,
};
use crate::openapi::path_parameters::{PicturePath, ResourcePath, UserPath};
use crate::resource::{is_unique_part, parse_resource};
use crate::state::AppState;
use crate::upload_status::UploadStatus;

/// Proof that a request has one of the service keys.
pub(crate) struct ServiceKey;

impl FromRequestParts<AppState> for ServiceKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key =
            bearer.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        let (_, key) = key.ok_or(ApiError::NotLoggedIn("the service key is missing; send it as a bearer token"))?;
        let sent_digest: [u8; 32] = Sha256::digest(key.trim().as_bytes()).into();
        let known =
            state.service_keys.iter().fold(subtle::Choice::from(0), |known, ours| known | ours.ct_eq(&sent_digest));
        if bool::from(known) {
            Ok(Self)
        } else {
            Err(ApiError::NotLoggedIn("the service key is not valid; use a key of realm.service.keys"))
        }
    }
}

/// A resource to register. What is left out stays as it is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"Name": "Group 1", "Users": ["jane", "joe.acme"]}))]
struct ResourceRegistration {
    #[serde(rename = "Name")]
    name: Option<String>,
    /// All users who may act for the resource
    #[serde(rename = "Users")]
    users: Option<Vec<String>>,
}

/// A resource.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(example = json!({"ID": "1.acme", "Name": "Group 1", "Users": ["jane.acme"], "PictureID": 1001, "AvatarVersion": 1}))]
pub(crate) struct RegisteredResource {
    /// `<unique>.<federation member>`
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: Option<String>,
    /// The users who may act for the resource
    #[serde(rename = "Users")]
    users: Vec<String>,
    /// The picture that is its avatar
    #[serde(rename = "PictureID")]
    picture: Option<i64>,
    /// The version of the avatar
    #[serde(rename = "AvatarVersion")]
    version: Option<i64>,
}

/// `PUT /service/{service}/{ID}`: registers a resource, its name and its users. What is left out stays as it is.
#[utoipa::path(
    put,
    path = "/service/{service}/{id}",
    tag = "services",
    operation_id = "registerResource",
    request_body(content = ResourceRegistration),
    params(ResourcePath),
    responses(
        (status = 200, description = "The resource", body = RegisteredResource),
        Problems::<(ServiceKeyErrors, TargetErrors, BodyErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn register(
    State(state): State<AppState>,
    _: ServiceKey,
    PathParams((service, id)): PathParams<(String, String)>,
    request: Request<Body>,
) -> Result<Json<RegisteredResource>, ApiError> {
    let resource = parse_resource(&state.realm_names.fedmember, &service, &id)?;
    let registration: ResourceRegistration = small_body::read_json(&state, request, "the registration").await?;
    let users = registration.users.map(|users| users.iter().map(|user| state.parse_user_id(user)).collect());
    let users: Option<Vec<String>> = users.transpose()?;
    state.backends.records.register_resource(&resource, registration.name.as_deref(), users.as_deref()).await?;
    state.registered_resource(&resource).await.map(Json)
}

/// `GET /service/{service}/{ID}`: returns a resource.
#[utoipa::path(
    get,
    path = "/service/{service}/{id}",
    tag = "services",
    operation_id = "getResource",
    params(ResourcePath),
    responses(
        (status = 200, description = "The resource", body = RegisteredResource),
        Problems::<(ServiceKeyErrors, TargetErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    _: ServiceKey,
    PathParams((service, id)): PathParams<(String, String)>,
) -> Result<Json<RegisteredResource>, ApiError> {
    let resource = parse_resource(&state.realm_names.fedmember, &service, &id)?;
    state.registered_resource(&resource).await.map(Json)
}

/// `PUT /service/{service}/{ID}/users/{user}`: lets a user act for a resource.
#[utoipa::path(
    put,
    path = "/service/{service}/{id}/users/{user}",
    tag = "services",
    operation_id = "grant",
    params(ResourcePath, UserPath),
    responses(
        (status = 204, description = "The user may act for the resource"),
        Problems::<(ServiceKeyErrors, TargetErrors, ParameterErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn grant(
    State(state): State<AppState>,
    _: ServiceKey,
    PathParams((service, id, user)): PathParams<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let resource = parse_resource(&state.realm_names.fedmember, &service, &id)?;
    state.backends.records.grant_resource(&resource, &state.parse_user_id(&user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /service/{service}/{ID}/users/{user}`: no longer lets a user act for a resource.
#[utoipa::path(
    delete,
    path = "/service/{service}/{id}/users/{user}",
    tag = "services",
    operation_id = "revoke",
    params(ResourcePath, UserPath),
    responses(
        (status = 204, description = "The user may not act for the resource"),
        Problems::<(ServiceKeyErrors, TargetErrors, ParameterErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    _: ServiceKey,
    PathParams((service, id, user)): PathParams<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let resource = parse_resource(&state.realm_names.fedmember, &service, &id)?;
    state.backends.records.revoke_resource_grant(&resource, &state.parse_user_id(&user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /service/{service}/{ID}/claim/{user}`: claims a picture for a user. The calling system is responsible for the user's
/// right to the resource; the picture must be the user's own.
#[utoipa::path(
    put,
    path = "/service/{service}/{id}/claim/{user}",
    tag = "services",
    operation_id = "claimForUser",
    request_body(content = ClaimForm),
    params(ResourcePath, UserPath),
    responses(
        (status = 200, description = "What is claimed now. Repeating the claim gives the same response", body = ClaimResponse),
        Problems::<(ServiceKeyErrors, TargetErrors, BodyErrors, ClaimErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn claim(
    State(state): State<AppState>,
    _: ServiceKey,
    PathParams((service, id, user)): PathParams<(String, String, String)>,
    request: Request<Body>,
) -> Result<Json<ClaimResponse>, ApiError> {
    let resource = parse_resource(&state.realm_names.fedmember, &service, &id)?;
    let claimant = Claimant { user: state.parse_user_id(&user)?, admin: false };
    let claim = ClaimRequest::parse(&small_body::read_json(&state, request, "the claim").await?)?;
    state.claim(&resource, claim, &claimant).await.map(Json)
}

/// `GET /service/uploads/{id}`: returns the state of an upload.
#[utoipa::path(
    get,
    path = "/service/uploads/{id}",
    tag = "services",
    operation_id = "getAnyUpload",
    params(PicturePath),
    responses(
        (status = 200, description = "The state of the upload and its events", body = UploadStatus),
        Problems::<(ServiceKeyErrors, TargetErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn get_upload(
    State(state): State<AppState>,
    _: ServiceKey,
    PathParams(id): PathParams<String>,
) -> Result<Json<UploadStatus>, ApiError> {
    let id = parse_picture_id(&id)?;
    let upload = state.backends.records.upload(id).await?;
    let upload = upload.ok_or_else(|| ApiError::NotFound(format!("there is no upload {id}")))?;
    state.upload_status(upload).await.map(Json)
}

impl AppState {
    /// Parses `<unique>.<fed>`, or just the unique part of a user's id.
    pub(crate) fn parse_user_id(&self, user: &str) -> Result<String, ApiError> {
        if let Ok(Resource { id, .. }) = parse_resource(&self.realm_names.fedmember, Service::Users.as_str(), user) {
            return Ok(id);
        }
        let bad = || ApiError::malformed("bad_user", format!("\"{user:.80}\" is no user's id"));
        is_unique_part(user).then(|| user.to_owned()).ok_or_else(bad)
    }

    async fn registered_resource(&self, resource: &Resource) -> Result<RegisteredResource, ApiError> {
        let records = &self.backends.records;
        let fed = &self.realm_names.fedmember;
        let (version, picture) =
            records.avatar(resource).await?.map(|(version, upload)| (version, upload.id.get())).unzip();
        Ok(RegisteredResource {
            id: format!("{}.{fed}", resource.id),
            name: records.resource_name(resource).await?,
            users: records.resource_grants(resource).await?.iter().map(|user| format!("{user}.{fed}")).collect(),
            picture,
            version,
        })
    }
}
