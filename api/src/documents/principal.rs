//! The principal of a request to the documents API, and its credentials: a session, an applink, a public link, in that
//! order (`docs/contracts/renditions.md`, 2). All credentials are verified. The records decide which role each of them
//! has at a file.

use axum::http::HeaderMap;
use domain::{AccessGrant, Audience, PublicLink};
use percent_encoding::percent_decode_str;
use records::Role;
use sha2::{Digest, Sha256};

use super::applink_tokens::{self, ApplinkTokenKind};
use super::error::DocumentError;
use super::request::DocumentRequest;
use crate::auth::auth_user::AuthUser;
use crate::auth::realm::cookie_value;
use crate::error::ApiError;
use crate::http::network::Network;

/// The longest password of a public link, in characters. A longer one is not hashed to compare it.
pub(super) const MAX_PASSWORD_CHARS: usize = 50;

/// A caller with its verified credentials.
pub(crate) struct Principal {
    /// The user that is responsible for the request: the caller, or the creator of the link.
    pub(crate) user_id: String,
    /// The user's name in errors.
    pub(crate) display_name: String,
    /// Whether the responsible user is a site administrator.
    pub(crate) is_admin: bool,
    /// The key under which rate limits and idempotency keys are counted.
    pub(crate) client_key: String,
    /// The grants that may give a role, in the order in which they are tried.
    pub(crate) grants: Vec<AccessGrant>,
}

impl Principal {
    /// Resolves the principal from the request headers. Cookie-authenticated writes require a CSRF token. Reads require
    /// one only if configured; image requests never do.
    pub(super) async fn from_request(request: &DocumentRequest) -> Result<Self, DocumentError> {
        let headers = &request.headers;
        let applink = authenticate_applink(request).await?;
        let public = header_text(headers, "linkid");
        let session = match (request.is_write(), request.is_image) {
            (true, _) => AuthUser::for_write(&request.state, headers).await,
            (false, true) => AuthUser::authenticate(&request.state, headers).await,
            (false, false) => AuthUser::for_read(&request.state, headers).await,
        };
        let public = match public {
            Some(id) => Some(authenticate_public_link(request, id, session.as_ref().ok()).await?),
            None => None,
        };
        let mut principal = Self {
            user_id: String::new(),
            display_name: String::new(),
            is_admin: false,
            client_key: String::new(),
            grants: Vec::new(),
        };
        match session {
            Ok(caller) => {
                request.state.check_rate_limit(&caller)?;
                principal.add_grant(
                    &caller.user_id,
                    format!("user:{}", caller.user_id),
                    AccessGrant::User(caller.user_id.clone()),
                );
            }
            // A stale cookie is no reason to refuse a request with a valid link.
            Err(error) if applink.is_none() && public.is_none() => return Err(error.into()),
            Err(_) => {}
        }
        for (user_id, grant) in applink.into_iter().chain(public) {
            let key = grant.to_string();
            if principal.grants.is_empty() {
                request.state.check_rate_limit_of_key(&key)?;
            }
            principal.add_grant(&user_id, key, grant);
        }
        let user = request.state.backends.records.user(&principal.user_id).await?;
        principal.is_admin = user.as_ref().is_some_and(|user| user.role == Role::Admin);
        principal.display_name = user.map_or_else(|| principal.user_id.clone(), |user| user.name);
        Ok(principal)
    }

    fn add_grant(&mut self, user_id: &str, key: String, grant: AccessGrant) {
        if self.grants.is_empty() {
            (self.user_id, self.client_key) = (user_id.to_owned(), key);
        }
        self.grants.push(grant);
    }
}

/// Returns a header that is text. The case of its name does not matter.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}

/// Resolves the user of an applink: the user it was made for, or its creator if it is for no particular user.
async fn authenticate_applink(request: &DocumentRequest) -> Result<Option<(String, AccessGrant)>, DocumentError> {
    let (id, token) = (header_text(&request.headers, "applinkid"), header_text(&request.headers, "accesstoken"));
    let (id, token) = match (id, token) {
        (None, None) => return Ok(None),
        (Some(id), Some(token)) => (id, token),
        _ => return Err(DocumentError::missing_field("accessToken")),
    };
    let link = request.state.backends.records.applink(id).await?.ok_or_else(DocumentError::invalid_link)?;
    let token = applink_tokens::open(&request.state, &link, token, ApplinkTokenKind::Access)
        .await
        .ok_or_else(DocumentError::invalid_link)?;
    if token.is_expired(request.state.backends.records.clock().now()) {
        return Err(DocumentError::invalid_link());
    }
    let user_id = match &link.audience {
        Audience::Users(users) => users.first().cloned().unwrap_or_default(),
        _ => link.created_by.clone(),
    };
    Ok(Some((user_id, AccessGrant::Applink(link.id))))
}

async fn authenticate_public_link(
    request: &DocumentRequest,
    id: &str,
    session: Option<&AuthUser>,
) -> Result<(String, AccessGrant), DocumentError> {
    let records = &request.state.backends.records;
    let now = records.clock().now();
    let link = records.public_link(id).await?.filter(|link| link.expires_at.is_none_or(|at| at > now));
    let link = link.ok_or_else(DocumentError::invalid_link)?;
    match (&link.audience, session) {
        (Audience::Everybody, _) | (Audience::ServiceInstance, Some(_)) => {}
        (Audience::Users(users), Some(caller)) if users.contains(&caller.user_id) => {}
        (Audience::Users(_), Some(_)) => return Err(DocumentError::invalid_link()),
        (_, None) => return Err(ApiError::NotLoggedIn("this link is for users who are logged in; log in first").into()),
    }
    if let Some(hash) = link.password_hash.clone() {
        verify_access_code(request, &link, hash).await?;
    }
    Ok((link.created_by, AccessGrant::PublicLink(link.id)))
}

/// Checks whether the cookie has the link's access code. Attempts are limited. A correct code is not hashed again for a
/// while, because each hash takes 19 MiB and tens of milliseconds.
async fn verify_access_code(request: &DocumentRequest, link: &PublicLink, hash: String) -> Result<(), DocumentError> {
    let code = cookie_value(&request.headers, &format!("dAccessCode-{}", link.id))
        .ok_or_else(DocumentError::access_code_required)?;
    let code = percent_decode_str(code).decode_utf8().map_err(|_| DocumentError::access_code_required())?.into_owned();
    if code.len() > MAX_PASSWORD_CHARS * 4 {
        return Err(DocumentError::access_code_required());
    }
    let state = &request.state;
    let now = state.backends.records.clock().now();
    let proof: [u8; 32] = Sha256::digest(format!("{}\0{hash}\0{code}", link.id)).into();
    if state.access_code_cache.contains(&proof, now) {
        return Ok(());
    }
    let too_many_attempts = |retry_after| ApiError::TooManyRequests {
        code: "too_many_access_codes",
        message: format!("too many access codes were tried; try again in {retry_after} seconds"),
        retry_after,
    };
    let network = Network::from(request.client_ip);
    state.access_code_attempts.count_network(network, now).map_err(too_many_attempts)?;
    let attempt = state.access_code_attempts.count_account(network, &link.id, now).map_err(too_many_attempts)?;
    if !state.passwords.verify(code, Some(hash)).await? {
        return Err(DocumentError::access_code_required());
    }
    state.access_code_attempts.record_success(attempt, now);
    state.access_code_cache.insert(proof, now);
    Ok(())
}
