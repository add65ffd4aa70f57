//! `/service/{service}/…`: a portal that keeps its resources elsewhere registers them here, claims pictures for users, and
//! reads the status of uploads.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::Resource;
use records::{Claimant, Records};
use serde::{Deserialize, Serialize};

use crate::auth::realm_names::RealmNames;
use crate::auth::service_keys::ServiceKey;
use crate::dropbox::claim::{ClaimForm, ClaimRequest, ClaimResponse, Claims};
use crate::dropbox::picture_id::parse_picture_id;
use crate::error::ApiError;
use crate::http::path_params::PathParams;
use crate::http::settings::HttpSettings;
use crate::http::small_body::UnreadBody;
use crate::openapi::error_responses::{
    BodyErrors, ClaimErrors, ParameterErrors, PreconditionErrors, Problems, ServiceKeyErrors, TargetErrors,
};
use crate::openapi::path_parameters::{PicturePath, ResourcePath, UserPath};
use crate::openapi::request_headers::WriteConditionHeaders;
use crate::resource::{ResourceParam, UserParam, parse_user_id};
use crate::upload_status::UploadStatus;

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
    _: ServiceKey,
    ResourceParam(resource): ResourceParam,
    State(records): State<Records>,
    State(realm): State<Arc<RealmNames>>,
    body: UnreadBody,
) -> Result<Json<RegisteredResource>, ApiError> {
    let registration: ResourceRegistration = body.read_json("the registration").await?;
    let parse = |users: Vec<String>| users.iter().map(|user| parse_user_id(&realm.fedmember, user)).collect();
    let users: Option<Vec<String>> = registration.users.map(parse).transpose()?;
    records.register_resource(&resource, registration.name.as_deref(), users.as_deref()).await?;
    RegisteredResource::read(&records, &realm, &resource).await.map(Json)
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
    _: ServiceKey,
    ResourceParam(resource): ResourceParam,
    State(records): State<Records>,
    State(realm): State<Arc<RealmNames>>,
) -> Result<Json<RegisteredResource>, ApiError> {
    RegisteredResource::read(&records, &realm, &resource).await.map(Json)
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
    _: ServiceKey,
    ResourceParam(resource): ResourceParam,
    UserParam(user): UserParam,
    State(records): State<Records>,
) -> Result<StatusCode, ApiError> {
    records.grant_resource(&resource, &user).await?;
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
    _: ServiceKey,
    ResourceParam(resource): ResourceParam,
    UserParam(user): UserParam,
    State(records): State<Records>,
) -> Result<StatusCode, ApiError> {
    records.revoke_resource_grant(&resource, &user).await?;
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
    params(ResourcePath, UserPath, WriteConditionHeaders),
    responses(
        (status = 200, description = "What is claimed now. Repeating the claim gives the same response", body = ClaimResponse),
        Problems::<(ServiceKeyErrors, TargetErrors, BodyErrors, PreconditionErrors, ClaimErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn claim(
    _: ServiceKey,
    ResourceParam(resource): ResourceParam,
    UserParam(user): UserParam,
    State(claims): State<Arc<Claims>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Result<Json<ClaimResponse>, ApiError> {
    let claimant = Claimant { user, admin: false };
    let claim = ClaimRequest::parse(&body.read_json("the claim").await?)?;
    claims.claim(&resource, claim, &claimant, &headers).await.map(Json)
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
    _: ServiceKey,
    PathParams(id): PathParams<String>,
    State(records): State<Records>,
    State(realm): State<Arc<RealmNames>>,
    State(http): State<Arc<HttpSettings>>,
) -> Result<Json<UploadStatus>, ApiError> {
    let id = parse_picture_id(&id)?;
    let upload = records.upload(id).await?;
    let upload = upload.ok_or_else(|| ApiError::NotFound(format!("there is no upload {id}")))?;
    UploadStatus::read(&records, &realm, &http.path_prefix, upload).await.map(Json)
}

impl RegisteredResource {
    async fn read(records: &Records, realm: &RealmNames, resource: &Resource) -> Result<Self, ApiError> {
        let fed = &realm.fedmember;
        let (version, picture) =
            records.avatar(resource).await?.map(|(version, upload)| (version, upload.id.get())).unzip();
        Ok(Self {
            id: format!("{}.{fed}", resource.id),
            name: records.resource_name(resource).await?,
            users: records.resource_grants(resource).await?.iter().map(|user| format!("{user}.{fed}")).collect(),
            picture,
            version,
        })
    }
}
