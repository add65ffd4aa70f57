//! Public links: create, list, show and delete them. The password of a protected link is stored as a hash and never
//! returned.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Audience, FileRole, PublicLink};
use jiff::Timestamp;
use jiff::civil::DateTime;
use records::Records;

use super::access_codes::MAX_CODE_CHARS;
use super::authorize::DocumentAccess;
use super::documented_errors::{CreateErrors, DocumentErrors, ReadErrors, WriteErrors};
use super::error::{DocumentError, DocumentOperation};
use super::file_info::{UserDirectory, format_time};
use super::json_params::JsonParams;
use super::links::{Links, generate_link_id, parse_link_role};
use super::parameters::{FilePath, LinkPath, PublicLinkForm};
use super::request::DocumentRequest;
use super::response_bodies::{ItemBody, ItemKind, ListBody, PublicLinkInformation, SuccessBody};
use crate::http::idempotency::{Idempotency, IdempotencyOutcome};
use crate::http::small_body::UnreadBody;
use crate::openapi::request_headers::IdempotencyKeyHeader;

/// The shortest password of a link, in characters.
const MIN_PASSWORD_CHARS: usize = 8;
/// The longest name of a link, in characters.
const MAX_LINK_NAME_CHARS: usize = 256;
/// The most users that one link can be for.
const MAX_LINK_USERS: usize = 100;

/// `POST …/publiclinks/file/{fileId}`: creates a link for users or for the public.
#[utoipa::path(
    post,
    path = "/publiclinks/file/{id}",
    tag = "documents",
    operation_id = "createPublicLink",
    request_body(content = PublicLinkForm),
    params(FilePath, IdempotencyKeyHeader),
    responses(
        (status = 200, description = "The link", body = ItemBody<PublicLinkInformation>),
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
    let text = body.read_json_bytes("the public link").await?;
    let parameters = JsonParams::parse(&text)?;
    let audience = parse_audience(&links, &parameters).await?;
    let role = parse_link_role(&parameters)?;
    let name = parameters.text_up_to("linkName", MAX_LINK_NAME_CHARS)?.to_owned();
    let (expires_at, expiration_time) = parse_expiration(&parameters, links.records.clock().now())?.unzip();
    let password = parse_password(&parameters)?;
    if let IdempotencyOutcome::Replay(response) = idempotency.check(&[&text]).await? {
        return Ok(response);
    }
    let password_hash = match password {
        Some(password) => Some(links.passwords.hash(password).await?),
        None => None,
    };
    let link = PublicLink {
        id: generate_link_id()?,
        file: authorized.file.id,
        name,
        audience,
        role,
        password_hash,
        expires_at,
        expiration_time,
        created_by: authorized.principal.user_id,
        created_at: links.records.clock().now(),
    };
    links.records.add_public_link(&link).await?;
    let body = ItemBody::new(link_information(&mut UserDirectory::new(&links.records), &link).await?);
    let response = request.response_format.repeatable_response(StatusCode::OK, ItemKind::Publiclink, &body)?;
    Ok(idempotency.store_response(response).await?)
}

async fn parse_audience(links: &Links, parameters: &JsonParams) -> Result<Audience, DocumentError> {
    let words = parameters.text_list("assignedUsers")?;
    if words.is_empty() {
        return Err(DocumentError::missing_field("assignedUsers"));
    }
    if words.len() > MAX_LINK_USERS {
        return Err(DocumentError::invalid_value(
            "assignedUsers",
            &format!("a link is for at most {MAX_LINK_USERS} users"),
        ));
    }
    let many = [Audience::Everybody, Audience::ServiceInstance].map(|audience| audience.to_strings().concat());
    if let Some(word) = words.iter().find(|word| many.contains(word))
        && words.iter().any(|other| other != word)
    {
        let why = format!("{word} stands for many users, so it is the only one in the list");
        return Err(DocumentError::invalid_value("assignedUsers", &why));
    }
    match Audience::from_strings(words) {
        Audience::Users(words) => {
            let mut users = Vec::with_capacity(words.len());
            for word in &words {
                users.push(links.find_user(word, "assignedUsers").await?);
            }
            Ok(Audience::Users(users))
        }
        many => Ok(many),
    }
}

/// Parses the time at which a link expires. Returns the time, and its text as it was sent, because responses repeat the
/// text.
fn parse_expiration(parameters: &JsonParams, now: Timestamp) -> Result<Option<(Timestamp, String)>, DocumentError> {
    let Some(text) = parameters.text("expirationTime")? else { return Ok(None) };
    // Many clients mean "never" by the last day of the year 9999, which is later than the clock type can represent.
    let never = || text.strip_suffix('Z')?.parse::<DateTime>().ok().filter(|at| at.year() == 9999);
    let at = text.parse::<Timestamp>().ok().or_else(|| never().map(|_| Timestamp::MAX));
    let at = at.ok_or_else(|| DocumentError::invalid_value("expirationTime", "it is written YYYY-MM-DDThh:mm:ssZ"))?;
    if at <= now {
        return Err(DocumentError::invalid_value("expirationTime", "it has passed"));
    }
    Ok(Some((at, text.to_owned())))
}

fn parse_password(parameters: &JsonParams) -> Result<Option<String>, DocumentError> {
    let Some(password) = parameters.text("password")? else { return Ok(None) };
    if !(MIN_PASSWORD_CHARS..=MAX_CODE_CHARS).contains(&password.chars().count()) {
        let why = format!("it has {MIN_PASSWORD_CHARS} to {MAX_CODE_CHARS} characters");
        return Err(DocumentError::invalid_value("password", &why));
    }
    Ok(Some(password.to_owned()))
}

/// `GET …/publiclinks/file/{fileId}`: lists the public links of a file.
#[utoipa::path(
    get,
    path = "/publiclinks/file/{id}",
    tag = "documents",
    operation_id = "listPublicLinks",
    params(FilePath),
    responses(
        (status = 200, description = "The links", body = ListBody<PublicLinkInformation>),
        DocumentErrors::<ReadErrors>,
    ),
)]
pub(crate) async fn list(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let authorized = access.authorize_file(&request, DocumentOperation::GET_LINKS, FileRole::Manager).await?;
    let mut people = UserDirectory::new(&records);
    let mut items = Vec::new();
    for link in records.public_links(&authorized.file.id).await? {
        items.push(link_information(&mut people, &link).await?);
    }
    let body = ListBody::new(&authorized.file.id, items);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::File, &body)?)
}

/// `GET …/publiclinks/{linkId}`: returns a public link.
#[utoipa::path(
    get,
    path = "/publiclinks/{id}",
    tag = "documents",
    operation_id = "getPublicLink",
    params(LinkPath),
    responses(
        (status = 200, description = "The link", body = ItemBody<PublicLinkInformation>),
        DocumentErrors::<ReadErrors>,
    ),
)]
pub(crate) async fn get(
    State(access): State<Arc<DocumentAccess>>,
    State(records): State<Records>,
    request: DocumentRequest,
) -> Result<Response, DocumentError> {
    let link = find_managed_link(&access, &records, &request, DocumentOperation::GET_LINKS).await?;
    let body = ItemBody::new(link_information(&mut UserDirectory::new(&records), &link).await?);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::Publiclink, &body)?)
}

/// `DELETE …/publiclinks/{linkId}`: revokes a public link at once.
#[utoipa::path(
    delete,
    path = "/publiclinks/{id}",
    tag = "documents",
    operation_id = "revokePublicLink",
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
    let link = find_managed_link(&access, &records, &request, DocumentOperation::DELETE_LINK).await?;
    if !records.revoke_public_link(&link.id).await? {
        return Err(DocumentError::link_not_found());
    }
    let body = SuccessBody::new(ItemKind::Publiclink, &link.file);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::Publiclink, &body)?)
}

/// Returns the link in the path, if the caller may share its file. A caller without valid credentials gets the same
/// error whether or not the link exists.
async fn find_managed_link(
    access: &DocumentAccess,
    records: &Records,
    request: &DocumentRequest,
    operation: DocumentOperation,
) -> Result<PublicLink, DocumentError> {
    let principal = access.principal(request).await?;
    let link = records.public_link(&request.id).await?.ok_or_else(DocumentError::link_not_found)?;
    access.authorize(principal, &link.file, operation, FileRole::Manager).await?;
    Ok(link)
}

async fn link_information(
    people: &mut UserDirectory<'_>,
    link: &PublicLink,
) -> Result<PublicLinkInformation, DocumentError> {
    Ok(PublicLinkInformation {
        link_id: link.id.clone(),
        link_name: link.name.clone(),
        id: link.file.to_string(),
        kind: ItemKind::Publiclink,
        role: link.role.into(),
        assigned_users: link.audience.to_strings().join(","),
        created_by: people.reference(&link.created_by).await?,
        created_time: format_time(link.created_at),
        expiration_time: link.expiration_time.clone(),
    })
}
