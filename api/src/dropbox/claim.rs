//! Claiming a picture as the avatar of a user or of another resource: `PUT /api/{service}/{ID}` with its PictureID.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::{Resource, UploadId, VersionChanged};
use records::{ClaimRefusal, Claimant, Records};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::access::WriteAccess;
use crate::auth::permissions::Permissions;
use crate::auth::policy_client::Action;
use crate::auth::realm_names::RealmNames;
use crate::dropbox::avatar::expected_avatar;
use crate::error::ApiError;
use crate::http::conditional::write_condition_error;
use crate::http::json_object::JsonObject;
use crate::http::small_body::UnreadBody;
use crate::openapi::error_responses::{
    BodyErrors, ClaimErrors, CsrfErrors, PermissionErrors, PreconditionErrors, Problems, TargetErrors,
};
use crate::openapi::path_parameters::ResourcePath;
use crate::openapi::request_headers::WriteConditionHeaders;
use crate::resource::ResourceParam;

/// The longest name of a resource, in characters.
const MAX_NAME_CHARS: usize = 256;

/// A claim, with a name, a PictureID or both. Other members are refused.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"PictureID": 1001}))]
#[expect(dead_code, reason = "describes the body that `ClaimRequest` reads")]
pub(crate) struct ClaimForm {
    /// The name of the resource
    #[serde(rename = "Name")]
    #[schema(max_length = 256, nullable = false)]
    name: Option<String>,
    /// The picture
    #[serde(rename = "PictureID")]
    #[schema(nullable = false)]
    picture: Option<ClaimedPicture>,
}

/// The PictureID as a number or as its decimal digits
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a member that `ClaimRequest` reads")]
enum ClaimedPicture {
    Number(i64),
    Text(String),
}

/// The result of a claim.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(example = json!({"ID": "jane.acme", "PictureID": 1001}))]
pub(crate) struct ClaimResponse {
    /// `<unique>.<federation member>`
    #[serde(rename = "ID")]
    id: String,
    /// The name of the resource, if the claim has one
    #[serde(rename = "Name", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// The picture, if the claim has one
    #[serde(rename = "PictureID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    picture: Option<i64>,
}

/// `PUT /api/{service}/{ID}`: claims a picture as the avatar of a resource, and names the resource.
#[utoipa::path(
    put,
    path = "/api/{service}/{id}",
    tag = "avatars",
    operation_id = "claim",
    request_body(content = ClaimForm),
    params(ResourcePath, WriteConditionHeaders),
    responses(
        (status = 200, description = "What is claimed now. Repeating the claim gives the same response", body = ClaimResponse),
        Problems::<(CsrfErrors, BodyErrors, PermissionErrors, TargetErrors, PreconditionErrors, ClaimErrors)>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn put(
    WriteAccess(caller): WriteAccess,
    ResourceParam(resource): ResourceParam,
    State(permissions): State<Arc<Permissions>>,
    State(claims): State<Arc<Claims>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Result<Json<ClaimResponse>, ApiError> {
    let claim = ClaimRequest::parse(&body.read_json("the claim").await?)?;
    permissions.authorize(&caller, Action::Claim, &resource).await?;
    claims.claim(&resource, claim, &caller.claimant(), &headers).await.map(Json)
}

/// The content of a claim request.
pub(crate) struct ClaimRequest {
    name: Option<String>,
    picture: Option<UploadId>,
}

impl ClaimRequest {
    /// Parses a body. A member that would not be stored is an error, so that nothing is dropped silently.
    pub(crate) fn parse(JsonObject(members): &JsonObject) -> Result<Self, ApiError> {
        let bad = |why: String| ApiError::malformed("bad_claim", why);
        let mut claim = Self { name: None, picture: None };
        for (member, value) in members {
            match (member.as_str(), value) {
                ("Name", Value::String(name)) if name.chars().count() <= MAX_NAME_CHARS => {
                    claim.name = Some(name.clone())
                }
                ("Name", _) => {
                    return Err(bad(format!("Name must be a string of at most {MAX_NAME_CHARS} characters")));
                }
                ("PictureID", Value::String(id)) => {
                    claim.picture = Some(id.parse().map_err(|_| picture_not_found(id))?)
                }
                ("PictureID", Value::Number(id)) => {
                    let id = id.to_string();
                    claim.picture = Some(id.parse().map_err(|_| picture_not_found(&id))?);
                }
                ("PictureID", _) => {
                    return Err(bad("PictureID must be a number or a string of decimal digits".to_owned()));
                }
                (other, _) => {
                    return Err(bad(format!(
                        "\"{other:.80}\" is not a member of a claim; send Name and PictureID only"
                    )));
                }
            }
        }
        if claim.name.is_none() && claim.picture.is_none() {
            return Err(bad("send Name, PictureID or both".to_owned()));
        }
        Ok(claim)
    }
}

/// The error for an unknown picture, and for a string that is not a PictureID.
fn picture_not_found(id: &str) -> ApiError {
    ApiError::NotFound(format!("there is no picture {id:.40}"))
}

/// Carries out claims.
pub(crate) struct Claims {
    records: Records,
    realm: Arc<RealmNames>,
}

impl Claims {
    pub(crate) fn new(records: Records, realm: Arc<RealmNames>) -> Self {
        Self { records, realm }
    }

    /// Carries out a claim, under the conditions in the head of the request: they are about the avatar, which it
    /// changes. The caller of this function has already checked the claimant's permission for the resource.
    pub(crate) async fn claim(
        &self,
        resource: &Resource,
        claim: ClaimRequest,
        claimant: &Claimant,
        headers: &HeaderMap,
    ) -> Result<ClaimResponse, ApiError> {
        let expected = expected_avatar(&self.records, resource, headers).await?;
        let name = claim.name.as_deref();
        if let Some(id) = claim.picture {
            match self.records.claim(id, resource, claimant, name, expected).await? {
                Ok(()) => {}
                Err(ClaimRefusal::Unknown) => return Err(picture_not_found(&id.to_string())),
                Err(ClaimRefusal::ClaimedElsewhere) => {
                    return Err(ApiError::Conflict(format!("picture {id} has been claimed already")));
                }
                Err(ClaimRefusal::Expired) => {
                    return Err(ApiError::Gone(format!("picture {id} was not claimed in time; upload it again")));
                }
                Err(ClaimRefusal::Deleted) => {
                    return Err(ApiError::Gone(format!("picture {id} was deleted; upload it again")));
                }
                Err(ClaimRefusal::Unusable(reason)) => return Err(ApiError::Rejected(reason)),
                Err(ClaimRefusal::VersionChanged) => return Err(write_condition_error(headers)),
            }
        } else if let Some(name) = name {
            let named = self.records.name_resource(resource, name, expected).await?;
            named.map_err(|VersionChanged| write_condition_error(headers))?;
        }
        let id = format!("{}.{}", resource.id, self.realm.fedmember);
        Ok(ClaimResponse { id, name: claim.name, picture: claim.picture.map(UploadId::get) })
    }
}
