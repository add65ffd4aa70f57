//! `/service/files/…`: files that another system stores, with their owner, version and grants. That
//! system can also give a user a role at any file.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::{File, FileId, FileRole, TargetConflict};
use records::{Records, RestoreFileRefusal};
use serde::{Deserialize, Serialize};

use crate::auth::realm_names::RealmNames;
use crate::auth::service_keys::ServiceKey;
use crate::error::ApiError;
use crate::http::path_params::PathParams;
use crate::http::small_body::UnreadBody;
use crate::openapi::error_responses::{
    BodyErrors, ConflictErrors, GoneErrors, ParameterErrors, Problems, ServiceKeyErrors, TargetErrors,
};
use crate::openapi::path_parameters::{RegisteredFilePath, UserPath};
use crate::resource::{UserParam, parse_user_id};

/// A role that can be given
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum GrantableRole {
    Viewer,
    Downloader,
    Contributor,
    Manager,
}

/// A file that another system keeps.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"Name": "plan.docx", "Owner": "jane", "Version": 1, "Users": {"joe": "viewer"}}))]
struct FileRegistration {
    #[serde(rename = "Name")]
    #[schema(min_length = 1, max_length = 256)]
    name: String,
    /// The id of the user who owns the file
    #[serde(rename = "Owner")]
    owner: String,
    /// The number of the latest version. It never decreases
    #[serde(rename = "Version")]
    #[schema(minimum = 1, maximum = 2147483647)]
    version: u32,
    /// All users with their roles. If it is left out, the roles stay as they are
    #[serde(rename = "Users")]
    #[schema(value_type = Option<BTreeMap<String, GrantableRole>>)]
    users: Option<BTreeMap<String, String>>,
}

/// The role that a user is given.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"Role": "viewer"}))]
struct FileShare {
    #[serde(rename = "Role")]
    #[schema(value_type = GrantableRole)]
    role: String,
}

/// A file and the roles of users at it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(example = json!({"ID": "EXT-1", "Name": "plan.docx", "Owner": "jane.acme", "Version": 1, "Users": {"joe.acme": "viewer"}}))]
pub(crate) struct RegisteredFile {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
    /// The id of the user who owns the file
    #[serde(rename = "Owner")]
    owner: String,
    /// The number of the latest version
    #[serde(rename = "Version")]
    #[schema(minimum = 1)]
    version: u32,
    /// Users and their roles
    #[serde(rename = "Users")]
    users: BTreeMap<String, &'static str>,
}

/// `PUT /service/files/{id}`: registers a file that another system keeps, or its next version.
#[utoipa::path(
    put,
    path = "/service/files/{id}",
    tag = "services",
    operation_id = "registerFile",
    request_body(content = FileRegistration),
    params(RegisteredFilePath),
    responses(
        (status = 200, description = "The file", body = RegisteredFile),
        Problems::<(ServiceKeyErrors, BodyErrors, ConflictErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn register(
    _: ServiceKey,
    PathParams(id): PathParams<String>,
    State(records): State<Records>,
    State(realm): State<Arc<RealmNames>>,
    body: UnreadBody,
) -> Result<Json<RegisteredFile>, ApiError> {
    let id: FileId =
        id.parse().map_err(|error: domain::InvalidFileId| ApiError::malformed("bad_file_id", error.to_string()))?;
    let file: FileRegistration = body.read_json("the registration").await?;
    let owner = parse_user_id(&realm.fedmember, &file.owner)?;
    if file.name.is_empty() || file.name.chars().count() > 256 {
        return Err(ApiError::malformed("bad_name", "a file's name has 1 to 256 characters"));
    }
    if file.version == 0 || i32::try_from(file.version).is_err() {
        return Err(ApiError::malformed("bad_version", "the version must be a whole number, at least 1"));
    }
    let grants = file.users.map(|users| {
        users
            .iter()
            .map(|(user, role)| Ok((parse_user_id(&realm.fedmember, user)?, parse_grantable_role(role)?)))
            .collect::<Result<Vec<_>, ApiError>>()
    });
    let grants = grants.transpose()?;
    if records.file_versions(&id, None).await?.iter().any(|version| version.upload.is_some()) {
        return Err(ApiError::Conflict(format!("file {id} was uploaded to Cloakroom, so it cannot be registered")));
    }
    if let Err(conflict) = records.register_file(&id, &file.name, &owner, file.version, grants.as_deref()).await? {
        return Err(ApiError::Conflict(match conflict {
            TargetConflict::FileDeleted => {
                format!(
                    "file {id} was deleted; restore it with POST /service/files/{id}/restore, or register another id"
                )
            }
            _ => format!("version {} of file {id} is being uploaded to Cloakroom; register the next one", file.version),
        }));
    }
    RegisteredFile::read(&records, &realm, &id).await.map(Json)
}

/// `GET /service/files/{id}`: returns a file.
#[utoipa::path(
    get,
    path = "/service/files/{id}",
    tag = "services",
    operation_id = "getRegisteredFile",
    params(RegisteredFilePath),
    responses(
        (status = 200, description = "The file", body = RegisteredFile),
        Problems::<(ServiceKeyErrors, TargetErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn get(
    _: ServiceKey,
    PathParams(id): PathParams<String>,
    State(records): State<Records>,
    State(realm): State<Arc<RealmNames>>,
) -> Result<Json<RegisteredFile>, ApiError> {
    let file = find_file(&records, &id).await?;
    RegisteredFile::read(&records, &realm, &file.id).await.map(Json)
}

/// `POST /service/files/{id}/restore`: restores a deleted file with its versions, renditions, roles and links, if its grace
/// period is not over. A file that is not deleted stays as it is.
#[utoipa::path(
    post,
    path = "/service/files/{id}/restore",
    tag = "services",
    operation_id = "restoreFile",
    params(RegisteredFilePath),
    responses(
        (status = 200, description = "The file", body = RegisteredFile),
        Problems::<(ServiceKeyErrors, TargetErrors, GoneErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn restore(
    _: ServiceKey,
    PathParams(id): PathParams<String>,
    State(records): State<Records>,
    State(realm): State<Arc<RealmNames>>,
) -> Result<Json<RegisteredFile>, ApiError> {
    let unknown = || ApiError::NotFound(format!("there is no file {id:.64}"));
    let file: FileId = id.parse().map_err(|_| unknown())?;
    match records.restore_file(&file, "the service API").await? {
        Ok(()) => tracing::info!(%file, "a file was restored through the service API"),
        Err(RestoreFileRefusal::Unknown) => return Err(unknown()),
        Err(RestoreFileRefusal::TooLate) => {
            return Err(ApiError::Gone(format!("file {file} was deleted, and the time to restore it is over")));
        }
    }
    RegisteredFile::read(&records, &realm, &file).await.map(Json)
}

/// `PUT /service/files/{id}/users/{user}`: gives a user a role at a file.
#[utoipa::path(
    put,
    path = "/service/files/{id}/users/{user}",
    tag = "services",
    operation_id = "shareFile",
    request_body(content = FileShare),
    params(RegisteredFilePath, UserPath),
    responses(
        (status = 204, description = "The user has the role"),
        Problems::<(ServiceKeyErrors, TargetErrors, BodyErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn share(
    _: ServiceKey,
    PathParams(FileParam { id }): PathParams<FileParam>,
    UserParam(user): UserParam,
    State(records): State<Records>,
    body: UnreadBody,
) -> Result<StatusCode, ApiError> {
    let file = find_file(&records, &id).await?;
    let share: FileShare = body.read_json("the share").await?;
    records.share_file(&file.id, &user, parse_grantable_role(&share.role)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /service/files/{id}/users/{user}`: takes the role of a user at a file away, at once.
#[utoipa::path(
    delete,
    path = "/service/files/{id}/users/{user}",
    tag = "services",
    operation_id = "unshareFile",
    params(RegisteredFilePath, UserPath),
    responses(
        (status = 204, description = "The user has no role"),
        Problems::<(ServiceKeyErrors, TargetErrors, ParameterErrors)>,
    ),
    security(("service" = [])),
)]
pub(crate) async fn unshare(
    _: ServiceKey,
    PathParams(FileParam { id }): PathParams<FileParam>,
    UserParam(user): UserParam,
    State(records): State<Records>,
) -> Result<StatusCode, ApiError> {
    let file = find_file(&records, &id).await?;
    records.unshare_file(&file.id, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Parses a role that can be granted. The role of the owner cannot be granted, because a file has
/// exactly one owner, which a registration names.
fn parse_grantable_role(role: &str) -> Result<FileRole, ApiError> {
    let bad = || ApiError::malformed("bad_role", "the role must be one of viewer, downloader, contributor and manager");
    role.parse().ok().filter(|role| *role != FileRole::Owner).ok_or_else(bad)
}

/// The id of the file in a path that also has the id of a user.
#[derive(Deserialize)]
pub(crate) struct FileParam {
    id: String,
}

async fn find_file(records: &Records, id: &str) -> Result<File, ApiError> {
    let unknown = || ApiError::NotFound(format!("there is no file {id:.64}"));
    let id = id.parse().map_err(|_| unknown())?;
    records.file(&id).await?.ok_or_else(unknown)
}

impl RegisteredFile {
    async fn read(records: &Records, realm: &RealmNames, id: &FileId) -> Result<Self, ApiError> {
        let file = find_file(records, id.as_str()).await?;
        let grants = records.file_grants(id).await?;
        let fed = &realm.fedmember;
        Ok(Self {
            id: file.id.to_string(),
            name: file.name,
            owner: format!("{}.{fed}", file.owner),
            version: file.latest_version,
            users: grants.into_iter().map(|(user, role)| (format!("{user}.{fed}"), role.as_str())).collect(),
        })
    }
}
