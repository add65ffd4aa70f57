//! The two cookies of a session: the session cookie, and the CSRF cookie, which a script of the page reads.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use crate::auth::csrf;
use crate::auth::realm::{RealmSettings, SecureCookies};
use crate::auth::realm_names::RealmNames;
use crate::auth::session_token::Session;
use crate::auth::signing_keys::SigningKeys;
use crate::error::ApiError;
use crate::http::forwarded;
use crate::http::settings::HttpSettings;

/// Sets and removes the cookies of sessions.
pub(crate) struct SessionCookies {
    realm: Arc<RealmNames>,
    signing_keys: SigningKeys,
    secure: SecureCookies,
    /// The domain of the CSRF cookie. Empty: the cookie is for this host only.
    csrf_domain: String,
    trusted_proxies: usize,
    listening: Option<SocketAddr>,
}

/// A cookie to set in a response.
struct SetCookie<'a> {
    name: &'a str,
    value: &'a str,
    /// Whether the cookie is hidden from scripts.
    http_only: bool,
    /// The domain whose hosts get the cookie. Empty: this host only.
    domain: &'a str,
    /// How long the browser keeps the cookie, in seconds; 0 removes the cookie.
    max_age: u64,
}

impl SessionCookies {
    pub(crate) fn new(
        realm: Arc<RealmNames>,
        signing_keys: SigningKeys,
        settings: &RealmSettings,
        http: &HttpSettings,
    ) -> Self {
        let listening = http.listen.parse().ok();
        let (secure, csrf_domain) = (settings.secure_cookies, settings.csrf_cookie_domain.clone());
        Self { realm, signing_keys, secure, csrf_domain, trusted_proxies: http.trusted_proxies, listening }
    }

    /// Adds both cookies of a session to a response.
    pub(crate) fn set(&self, response: &mut Response, headers: &HeaderMap, session: &Session) -> Result<(), ApiError> {
        let no_key = || ApiError::Internal("there is no key to sign a session with".to_owned());
        let signed = session.sign(&self.realm.fedmember, &self.signing_keys).ok_or_else(no_key)?;
        let token = csrf::token(session, &self.signing_keys).ok_or_else(no_key)?;
        let max_age = u64::try_from(session.expires_at.duration_since(session.issued_at).as_secs()).unwrap_or_default();
        let (session_cookie, csrf_cookie) = (&self.realm.session_cookie, &self.realm.csrf_cookie);
        let cookies = [
            SetCookie { name: session_cookie, value: &signed, http_only: true, domain: "", max_age },
            SetCookie { name: csrf_cookie, value: &token, http_only: false, domain: &self.csrf_domain, max_age },
        ];
        self.append(response, headers, cookies)
    }

    /// Makes a response remove both cookies.
    pub(crate) fn remove(&self, response: &mut Response, headers: &HeaderMap) -> Result<(), ApiError> {
        let (session_cookie, csrf_cookie) = (&self.realm.session_cookie, &self.realm.csrf_cookie);
        let cookies = [
            SetCookie { name: session_cookie, value: "", http_only: true, domain: "", max_age: 0 },
            SetCookie { name: csrf_cookie, value: "", http_only: false, domain: &self.csrf_domain, max_age: 0 },
        ];
        self.append(response, headers, cookies)
    }

    /// Whether cookies have the attribute `Secure` for the client that sent `headers`.
    pub(crate) fn are_secure(&self, headers: &HeaderMap) -> bool {
        self.secure.is_secure(forwarded::is_https(headers, self.trusted_proxies), self.listening)
    }

    /// Returns the CSRF token of this session, for a form that is sent without a script.
    pub(crate) fn csrf_token(&self, session: &Session) -> String {
        csrf::token(session, &self.signing_keys).unwrap_or_default()
    }

    fn append(
        &self,
        response: &mut Response,
        headers: &HeaderMap,
        cookies: [SetCookie<'_>; 2],
    ) -> Result<(), ApiError> {
        let secure = if self.are_secure(headers) { "; Secure" } else { "" };
        for SetCookie { name, value, http_only, domain, max_age } in cookies {
            let http_only = if http_only { "; HttpOnly" } else { "" };
            let domain = if domain.is_empty() { String::new() } else { format!("; Domain={domain}") };
            let line = format!("{name}={value}; Path=/{domain}; Max-Age={max_age}{http_only}{secure}; SameSite=Lax");
            let line = HeaderValue::try_from(line).map_err(|error| ApiError::Internal(format!("a cookie: {error}")))?;
            response.headers_mut().append(header::SET_COOKIE, line);
        }
        Ok(())
    }
}
