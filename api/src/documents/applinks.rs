//! Applinks: `POST …/applinks/file/{fileId}`, `PUT …/applinks/token`, `GET` and `DELETE …/applinks/{appLinkID}`. The
//! credential is the link's id with a token, which is sealed. The role that a link gives is in the link's row in the
//! records.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{AccessGrant, Applink, Audience, FileRole};
use records::Records;

use super::applink_tokens::ApplinkTokenKind;
use super::authorize::DocumentAccess;
use super::documented_errors::{CreateErrors, DocumentErrors, ReadErrors, WriteErrors};
use super::error::{DocumentError, DocumentOperation};
use super::json_params::JsonParams;
use super::links::{Links, generate_link_id, parse_link_role};
use super::parameters::{ApplinkForm, FilePath, LinkPath, VersionPath};
use super::principal::header_text;
use super::request::DocumentRequest;
use super::response_bodies::{
    AccessTokenCreated, ApplinkCreated, ApplinkInformation, ItemBody, ItemKind, SuccessBody, SuccessCode,
};
use crate::auth::request_limits::RequestLimits;
use crate::http::idempotency::{Idempotency, IdempotencyOutcome};
use crate::http::small_body::UnreadBody;
use crate::openapi::error_responses::{ParameterErrors, TargetErrors};
use crate::openapi::request_headers::IdempotencyKeyHeader;

/// `POST …/applinks/file/{fileId}`: creates a link for an application.
#[utoipa::path(
    post,
    path = "/applinks/file/{id}",
    tag = "documents",
    operation_id = "createApplink",
    request_body(content = ApplinkForm),
    params(FilePath, IdempotencyKeyHeader),
    responses(
        (status = 200, description = "The link and its tokens", body = ApplinkCreated),
        DocumentErrors::<CreateErrors>,
    ),
)]
pub(crate) async fn add(
    State(access): State<Arc<DocumentAccess>>,
    State(links): State<Arc<Links>>,
    State(idempotency): State<Arc<Idempotency>>,
    request: DocumentRequest,
    body: UnreadBody,
) -> Result<Response, DocumentError> {
    let authorized = access.authorize_file(&request, DocumentOperation::ADD_LINK, FileRole::Manager).await?;
    let client_key = &authorized.principal.client_key;
    let mut idempotency = idempotency.begin(&request.head.headers, client_key, request.target()).await?;
    let text = body.read_json_bytes("the applink").await?;
    let parameters = JsonParams::parse(&text)?;
    let assigned = parameters.text("assignedUser")?.ok_or_else(|| DocumentError::missing_field("assignedUser"))?;
    let audience = match Audience::from_strings(vec![assigned.to_owned()]) {
        Audience::Users(_) => Audience::Users(vec![links.find_user(assigned, "assignedUser").await?]),
        many => many,
    };
    let role = parse_link_role(&parameters)?;
    if let IdempotencyOutcome::Replay(response) = idempotency.check(&[&text]).await? {
        return Ok(response);
    }
    let link = Applink {
        id: generate_link_id()?,
        file: authorized.file.id,
        audience,
        role,
        created_by: authorized.principal.user_id,
    };
    links.records.add_applink(&link).await?;
    let body = ApplinkCreated {
        app_link_id: link.id.clone(),
        access_token: links.applink_tokens.issue(&link, ApplinkTokenKind::Access)?,
        app_link_url: format!(
            "{}/documents/embed/link/app/{}/fileview/{}",
            request.http.path_prefix, link.id, link.file
        ),
        refresh_token: links.applink_tokens.issue(&link, ApplinkTokenKind::Refresh)?,
        role: role.into(),
        id: link.file.to_string(),
        kind: ItemKind::Applink,
        error_code: SuccessCode::Success,
    };
    let response = request.response_format.repeatable_response(StatusCode::OK, ItemKind::Applink, &body)?;
    Ok(idempotency.store_response(response).await?)
}

/// `PUT …/applinks/token`: returns a new access token, for the link's id, its access token and its refresh token.
#[utoipa::path(
    put,
    path = "/applinks/token",
    tag = "documents",
    operation_id = "refreshApplink",
    params(
        VersionPath,
        ("RefreshToken" = String, Header, description = "The refresh token of the link", example = "RcyLq3mhB0eZqk9d"),
    ),
    responses(
        (status = 200, description = "The access token", body = AccessTokenCreated),
        DocumentErrors::<(ParameterErrors, TargetErrors)>,
    ),
    security(("applink" = [], "accessToken" = [])),
)]
pub(crate) async fn refresh(
    State(links): State<Arc<Links>>,
    State(request_limits): State<Arc<RequestLimits>>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    request.grammar()?;
    let required = |name: &str, documented_name| {
        header_text(&request.head.headers, name).ok_or_else(|| DocumentError::missing_field(documented_name))
    };
    let id = required("applinkid", "appLinkID")?;
    let access = required("accesstoken", "accessToken")?;
    let refresh = required("refreshtoken", "refreshToken")?;
    request_limits.count(&format!("applink:{id:.64}"))?;
    let link = links.records.applink(id).await?.ok_or_else(DocumentError::invalid_link)?;
    // The access token that is replaced may have expired, but it must be a token of this link.
    let tokens = &links.applink_tokens;
    tokens.open(&link, access, ApplinkTokenKind::Access).await.ok_or_else(DocumentError::invalid_link)?;
    let times = tokens.open(&link, refresh, ApplinkTokenKind::Refresh).await;
    let times = times.ok_or_else(DocumentError::invalid_link)?;
    if times.is_expired(links.records.clock().now()) {
        return Err(DocumentError::invalid_link());
    }
    let body = AccessTokenCreated {
        access_token: links.applink_tokens.issue(&link, ApplinkTokenKind::Access)?,
        kind: ItemKind::Applink,
        error_code: SuccessCode::Success,
    };
    Ok(request.response_format.response(StatusCode::OK, ItemKind::Applink, &body)?)
}

/// `GET …/applinks/{appLinkID}`: returns an applink to its holder, and to a manager of its file.
#[utoipa::path(
    get,
    path = "/applinks/{id}",
    tag = "documents",
    operation_id = "getApplink",
    params(LinkPath),
    responses(
        (status = 200, description = "The link", body = ItemBody<ApplinkInformation>),
        DocumentErrors::<ReadErrors>,
    ),
)]
pub(crate) async fn get(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let principal = access.principal(&request).await?;
    let link = records.applink(&request.id).await?.ok_or_else(DocumentError::link_not_found)?;
    let is_holder = principal.grants.contains(&AccessGrant::Applink(link.id.clone()));
    let min_role = if is_holder { FileRole::Viewer } else { FileRole::Manager };
    access.authorize(principal, &link.file, DocumentOperation::GET_LINKS, min_role).await?;
    let body = ItemBody::new(ApplinkInformation {
        app_link_id: link.id,
        id: link.file.to_string(),
        kind: ItemKind::Applink,
        role: link.role.into(),
        assigned_user: link.audience.to_strings().join(","),
    });
    Ok(request.response_format.response(StatusCode::OK, ItemKind::Applink, &body)?)
}

/// `DELETE …/applinks/{appLinkID}`: revokes an applink at once.
#[utoipa::path(
    delete,
    path = "/applinks/{id}",
    tag = "documents",
    operation_id = "revokeApplink",
    params(LinkPath),
    responses(
        (status = 200, description = "The link is revoked", body = SuccessBody),
        DocumentErrors::<WriteErrors>,
    ),
)]
pub(crate) async fn revoke(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let principal = access.principal(&request).await?;
    let link = records.applink(&request.id).await?.ok_or_else(DocumentError::link_not_found)?;
    access.authorize(principal, &link.file, DocumentOperation::DELETE_LINK, FileRole::Manager).await?;
    if !records.revoke_applink(&link.id).await? {
        return Err(DocumentError::link_not_found());
    }
    let body = SuccessBody::new(ItemKind::Applink, &link.file);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::Applink, &body)?)
}
