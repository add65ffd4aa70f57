//! The principal of a request to the documents API, and its credentials: a session, an applink, a public link, in that
//! order (`docs/contracts/renditions.md`, 2). All credentials are verified. The records decide which role each of them
//! has at a file.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use domain::{AccessGrant, Audience};
use records::{Records, Role};

use super::access_codes::AccessCodes;
use super::applink_tokens::{ApplinkTokenKind, ApplinkTokens};
use super::error::{DocumentError, LinkRefusal};
use super::request::DocumentRequest;
use crate::auth::auth_user::AuthUser;
use crate::auth::authenticator::Authenticator;
use crate::auth::request_limits::RequestLimits;
use crate::error::ApiError;

/// A caller with its verified credentials.
pub(crate) struct Principal {
    /// The user that the request counts for: the user of the session; otherwise the first user that the applink is for;
    /// otherwise the creator of the link.
    pub(crate) user_id: String,
    /// The user's name in errors.
    pub(crate) display_name: String,
    /// Whether the user is a site administrator.
    pub(crate) is_admin: bool,
    /// Identifies the client in rate limits and among the owners of idempotency keys.
    pub(crate) client_key: String,
    /// The grants that may give a role, in the order in which they are tried.
    pub(crate) grants: Vec<AccessGrant>,
}

impl Principal {
    fn add_grant(&mut self, user_id: &str, key: String, grant: AccessGrant) {
        if self.grants.is_empty() {
            (self.user_id, self.client_key) = (user_id.to_owned(), key);
        }
        self.grants.push(grant);
    }
}

/// Resolves the principal of a request.
pub(crate) struct PrincipalResolver {
    pub(crate) records: Records,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) request_limits: Arc<RequestLimits>,
    pub(crate) applink_tokens: Arc<ApplinkTokens>,
    pub(crate) access_codes: AccessCodes,
}

impl PrincipalResolver {
    /// Resolves the principal from the request headers. Cookie-authenticated writes require a CSRF token. Reads require
    /// one only if configured; image requests never do.
    pub(super) async fn resolve(&self, request: &DocumentRequest) -> Result<Principal, DocumentError> {
        let headers = &request.head.headers;
        let applink = self.authenticate_applink(headers).await?;
        let public = header_text(headers, "linkid");
        let session = match (request.is_write(), request.is_image) {
            (true, _) => self.authenticator.authenticate_write(headers).await,
            (false, true) => self.authenticator.authenticate(headers).await,
            (false, false) => self.authenticator.authenticate_read(headers).await,
        };
        let public = match public {
            Some(id) => {
                let session = session.as_ref().ok();
                Some(self.authenticate_public_link(headers, request.client_ip, id, session).await?)
            }
            None => None,
        };
        let mut principal = Principal {
            user_id: String::new(),
            display_name: String::new(),
            is_admin: false,
            client_key: String::new(),
            grants: Vec::new(),
        };
        match session {
            Ok(caller) => {
                self.request_limits.count_user(&caller)?;
                principal.add_grant(
                    &caller.user_id,
                    format!("user:{}", caller.user_id),
                    AccessGrant::User(caller.user_id.clone()),
                );
            }
            Err(error @ ApiError::Backend(_)) => return Err(error.into()),
            Err(error) if applink.is_none() && public.is_none() => return Err(error.into()),
            // With a valid link, an invalid session is ignored: the grant of the link alone decides.
            Err(_) => {}
        }
        for (user_id, grant) in applink.into_iter().chain(public) {
            let key = grant.to_string();
            if principal.grants.is_empty() {
                self.request_limits.count(&key)?;
            }
            principal.add_grant(&user_id, key, grant);
        }
        let user = self.records.user(&principal.user_id).await?;
        principal.is_admin = user.as_ref().is_some_and(|user| user.role == Role::Admin);
        principal.display_name = user.map_or_else(|| principal.user_id.clone(), |user| user.name);
        Ok(principal)
    }

    /// Verifies the credentials of links in the headers and returns their grants, for requests that
    /// do not name a file. The list is empty if the headers have no such credentials.
    pub(crate) async fn link_grants(
        &self,
        headers: &HeaderMap,
        client_ip: IpAddr,
    ) -> Result<Vec<AccessGrant>, LinkRefusal> {
        let applink = self.authenticate_applink(headers).await?;
        let public = match header_text(headers, "linkid") {
            Some(id) => {
                let session = self.authenticator.authenticate(headers).await.ok();
                Some(self.authenticate_public_link(headers, client_ip, id, session.as_ref()).await?)
            }
            None => None,
        };
        let grants: Vec<AccessGrant> = applink.into_iter().chain(public).map(|(_, grant)| grant).collect();
        if let Some(grant) = grants.first() {
            self.request_limits.count(&grant.to_string())?;
        }
        Ok(grants)
    }

    /// Verifies the applink in the headers. Returns its grant, and the user that the request counts for: the first user
    /// that the applink is for; otherwise its creator.
    async fn authenticate_applink(&self, headers: &HeaderMap) -> Result<Option<(String, AccessGrant)>, LinkRefusal> {
        let (id, token) = (header_text(headers, "applinkid"), header_text(headers, "accesstoken"));
        let (id, token) = match (id, token) {
            (None, None) => return Ok(None),
            (Some(id), Some(token)) => (id, token),
            _ => return Err(DocumentError::missing_field("accessToken").into()),
        };
        let link = self.records.applink(id).await?.ok_or_else(DocumentError::invalid_link)?;
        let times = self.applink_tokens.open(&link, token, ApplinkTokenKind::Access).await;
        let times = times.ok_or_else(DocumentError::invalid_link)?;
        if times.is_expired(self.records.clock().now()) {
            return Err(DocumentError::invalid_link().into());
        }
        let user_id = match &link.audience {
            Audience::Users(users) => users.first().cloned().unwrap_or_default(),
            _ => link.created_by.clone(),
        };
        Ok(Some((user_id, AccessGrant::Applink(link.id))))
    }

    /// Verifies a public link. Returns its grant, and the user that the request counts for: the creator of the link.
    async fn authenticate_public_link(
        &self,
        headers: &HeaderMap,
        client_ip: IpAddr,
        id: &str,
        session: Option<&AuthUser>,
    ) -> Result<(String, AccessGrant), LinkRefusal> {
        let now = self.records.clock().now();
        let link = self.records.public_link(id).await?.filter(|link| link.expires_at.is_none_or(|at| at > now));
        let link = link.ok_or_else(DocumentError::invalid_link)?;
        match (&link.audience, session) {
            (Audience::Everybody, _) | (Audience::ServiceInstance, Some(_)) => {}
            (Audience::Users(users), Some(caller)) if users.contains(&caller.user_id) => {}
            (Audience::Users(_), Some(_)) => return Err(DocumentError::invalid_link().into()),
            (_, None) => {
                return Err(ApiError::NotLoggedIn("this link is for users who are logged in; log in first").into());
            }
        }
        if let Some(hash) = link.password_hash.clone() {
            self.access_codes.verify(headers, client_ip, &link, hash).await?;
        }
        Ok((link.created_by, AccessGrant::PublicLink(link.id)))
    }
}

/// Returns the value of a header, trimmed. None if it is empty or not text. The case of the name
/// does not matter.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}
