//! Applinks: `POST …/applinks/file/{fileId}`, `PUT …/applinks/token`, and their deletion. The id and a token are the
//! credential. Tokens are sealed, and the role that a link gives is in its row.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Applink, Audience, FileRole};

use super::applink_tokens::{self, ApplinkTokenKind};
use super::documented_errors::{CreateErrors, DocumentErrors, WriteErrors};
use super::error::{DocumentError, DocumentOperation};
use super::json_params::JsonParams;
use super::links::{find_user, generate_link_id, parse_link_role};
use super::parameters::{ApplinkForm, FilePath, LinkPath, VersionPath};
use super::principal::header_text;
use super::request::DocumentRequest;
use super::response_bodies::{AccessTokenCreated, ApplinkCreated, ItemKind, SuccessBody, SuccessCode};
use crate::http::idempotency::IdempotencyOutcome;
use crate::http::small_body;
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
pub(crate) async fn add(request: DocumentRequest, body: Body) -> Result<Response, DocumentError> {
    let authorized = request.authorize_file(DocumentOperation::ADD_LINK, FileRole::Manager).await?;
    let state = &request.state;
    let mut idempotency =
        state.begin_idempotent(&request.headers, &authorized.principal.client_key, request.target()).await?;
    let text = small_body::read_json_bytes(state, &request.headers, body, "the applink").await?;
    let parameters = JsonParams::parse(&text)?;
    let assigned = parameters.text("assignedUser")?.ok_or_else(|| DocumentError::missing_field("assignedUser"))?;
    let audience = match Audience::from_strings(vec![assigned.to_owned()]) {
        Audience::Users(_) => Audience::Users(vec![find_user(state, assigned, "assignedUser").await?]),
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
    state.backends.records.add_applink(&link).await?;
    let body = ApplinkCreated {
        app_link_id: link.id.clone(),
        access_token: applink_tokens::issue(state, &link, ApplinkTokenKind::Access)?,
        app_link_url: format!("/documents/embed/link/app/{}/fileview/{}", link.id, link.file),
        refresh_token: applink_tokens::issue(state, &link, ApplinkTokenKind::Refresh)?,
        role: role.into(),
        id: link.file.to_string(),
        kind: ItemKind::Applink,
        error_code: SuccessCode::Success,
    };
    let response = request.response_format.response(StatusCode::OK, ItemKind::Applink, &body)?;
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
        ("RefreshToken" = String, Header, description = "The refresh token of the link"),
    ),
    responses(
        (status = 200, description = "The access token", body = AccessTokenCreated),
        DocumentErrors::<(ParameterErrors, TargetErrors)>,
    ),
    security(("applink" = [], "accessToken" = [])),
)]
pub(crate) async fn refresh(request: DocumentRequest) -> Result<Response, DocumentError> {
    request.grammar()?;
    let state = &request.state;
    let needed =
        |name: &str, called| header_text(&request.headers, name).ok_or_else(|| DocumentError::missing_field(called));
    let id = needed("applinkid", "appLinkID")?;
    let access = needed("accesstoken", "accessToken")?;
    let refresh = needed("refreshtoken", "refreshToken")?;
    state.check_rate_limit_of_key(&format!("applink:{id:.64}"))?;
    let link = state.backends.records.applink(id).await?.ok_or_else(DocumentError::invalid_link)?;
    // The access token that is replaced may have expired, but it must be one of this link.
    applink_tokens::open(state, &link, access, ApplinkTokenKind::Access)
        .await
        .ok_or_else(DocumentError::invalid_link)?;
    let times = applink_tokens::open(state, &link, refresh, ApplinkTokenKind::Refresh)
        .await
        .ok_or_else(DocumentError::invalid_link)?;
    if times.is_expired(state.backends.records.clock().now()) {
        return Err(DocumentError::invalid_link());
    }
    let body = AccessTokenCreated {
        access_token: applink_tokens::issue(state, &link, ApplinkTokenKind::Access)?,
        kind: ItemKind::Applink,
        error_code: SuccessCode::Success,
    };
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
pub(crate) async fn revoke(request: DocumentRequest) -> Result<Response, DocumentError> {
    let (principal, records) = (request.principal().await?, &request.state.backends.records);
    let link = records.applink(&request.id).await?.ok_or_else(DocumentError::link_not_found)?;
    request.authorize(principal, &link.file, DocumentOperation::DELETE_LINK, FileRole::Manager).await?;
    if !records.revoke_applink(&link.id).await? {
        return Err(DocumentError::link_not_found());
    }
    let body = SuccessBody::new(ItemKind::Applink, &link.file);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::Applink, &body)?)
}
