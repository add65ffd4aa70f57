//! Login CSRF: checks that a login form comes from the login page of this site. Otherwise another
//! site could log a visitor in to an account that the other site owns, and would get what the
//! visitor then uploads.
//!
//! `Sec-Fetch-Site` decides if the browser sends it, which it does over https and to loopback. Otherwise `Origin`
//! decides, or else `Referer`. If all are missing, the form must repeat a random token from a cookie that the login
//! page set. No other site can read that cookie. This works without a script.

use axum::http::{HeaderMap, HeaderValue};
use domain::random_bytes;

use crate::auth::cookies::SessionCookies;
use crate::auth::realm_names::{RealmNames, cookie_value};
use crate::error::ApiError;
use crate::http::forwarded;

/// What the headers say about the origin of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormOrigin {
    /// A page of this site.
    SameSite,
    /// Another site.
    CrossSite,
    /// The headers say nothing, so the token decides.
    Unknown,
}

impl FormOrigin {
    pub(super) fn from_headers(headers: &HeaderMap, proxies: usize) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match text("sec-fetch-site") {
            Some("same-origin" | "none") => return Self::SameSite,
            Some(_) => return Self::CrossSite,
            None => {}
        }
        // A page with `Referrer-Policy: no-referrer` sends the origin "null" and no `Referer`.
        let origin = text("origin").filter(|origin| *origin != "null").or_else(|| text("referer"));
        let Some(origin) = origin else { return Self::Unknown };
        let host = forwarded::host(headers, proxies);
        if host.is_some_and(|host| is_same_host(origin, &host)) { Self::SameSite } else { Self::CrossSite }
    }

    /// Refuses a form of another site. Refuses a form of unknown origin if it has no token.
    pub(super) fn require_same_site(
        self,
        realm: &RealmNames,
        headers: &HeaderMap,
        token: &str,
    ) -> Result<(), ApiError> {
        let known = || {
            cookie_value(headers, &token_cookie_name(realm)).is_some_and(|cookie| is_token(cookie) && cookie == token)
        };
        match self {
            Self::SameSite => Ok(()),
            Self::CrossSite => Err(ApiError::NotPermitted(
                "the login form was sent by another site; open this page and log in here".to_owned(),
            )),
            Self::Unknown if known() => Ok(()),
            Self::Unknown => {
                let why = "the login form does not match its cookie; allow cookies for this site and log in again";
                Err(ApiError::NotPermitted(why.to_owned()))
            }
        }
    }
}

/// Returns whether an origin or the URL of a page is at this host. The default port may be left out on either side.
fn is_same_host(address: &str, host: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let default = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare = |authority: &str| authority.strip_suffix(default).unwrap_or(authority).to_lowercase();
    !authority.is_empty() && bare(authority) == bare(host)
}

fn token_cookie_name(realm: &RealmNames) -> String {
    format!("Login-Token_{}", realm.fedmember)
}

fn is_token(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the token for a login page, and the cookie that holds it. The token of another tab is reused, so that both
/// tabs can log in.
pub(super) fn login_token(
    realm: &RealmNames,
    cookies: &SessionCookies,
    headers: &HeaderMap,
) -> Result<(String, HeaderValue), ApiError> {
    let name = token_cookie_name(realm);
    let token = match cookie_value(headers, &name).filter(|cookie| is_token(cookie)) {
        Some(token) => token.to_owned(),
        None => {
            let random: [u8; 16] = random_bytes().map_err(|error| ApiError::Internal(error.to_string()))?;
            domain::hex(&random)
        }
    };
    let secure = if cookies.are_secure(headers) { "; Secure" } else { "" };
    let line = format!("{name}={token}; Path=/; HttpOnly{secure}; SameSite=Strict");
    let line = HeaderValue::try_from(line).map_err(|error| ApiError::Internal(format!("a cookie: {error}")))?;
    Ok((token, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_page_is_compared_with_the_host() {
        for (address, host, same) in [
            ("https://portal.example", "portal.example", true),
            ("https://portal.example", "PORTAL.example:443", true),
            ("https://portal.example:8443", "portal.example:8443", true),
            ("http://portal.example:80/page?x#y", "portal.example", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("https://portal.example:8443", "portal.example", false),
            ("https://portal.example:80", "portal.example", false),
            ("https://portal.example.evil.example", "portal.example", false),
            ("https://evil.example/portal.example", "portal.example", false),
            ("https://portal.example@evil.example", "portal.example", false),
            ("https://", "", false),
            ("null", "portal.example", false),
            ("portal.example", "portal.example", false),
        ] {
            assert_eq!(is_same_host(address, host), same, "{address} at {host}");
        }
    }
}
