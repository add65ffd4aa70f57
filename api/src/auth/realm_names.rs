//! The names that depend on the federation member: those of two cookies and of a header. Every id ends with the
//! federation member.

use axum::http::header::{COOKIE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use domain::InvalidSetting;

/// The names of cookies and headers that depend on the federation member.
#[derive(Clone, Debug)]
pub(crate) struct RealmNames {
    /// The federation member.
    pub(crate) fedmember: String,
    /// `AtmoAuthToken_{fedmember}`, compared exactly.
    pub(crate) session_cookie: String,
    /// `Csrf-Token_{fedmember}`, compared exactly.
    pub(crate) csrf_cookie: String,
    /// `X-Csrf-Token_{fedmember}`, compared without regard to case.
    pub(crate) csrf_header: HeaderName,
    /// The name of `csrf_header` with hyphens in place of its underscores.
    csrf_header_with_hyphens: HeaderName,
}

impl RealmNames {
    /// Makes the names for a federation member.
    ///
    /// # Errors
    /// A federation member that cannot be part of a cookie's name.
    pub(crate) fn from_fedmember(fed: &str) -> Result<Self, InvalidSetting> {
        let wrong = || {
            let allowed = "write 1 to 64 letters, digits, '-' or '_'";
            InvalidSetting::new("realm.fedmember", format_args!("\"{fed}\""), allowed)
        };
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if fed.is_empty() || fed.len() > 64 || !fed.bytes().all(fine) {
            return Err(wrong());
        }
        let csrf_header = format!("x-csrf-token_{fed}").to_lowercase();
        let with_hyphens = csrf_header.replace('_', "-");
        Ok(Self {
            fedmember: fed.to_owned(),
            session_cookie: format!("AtmoAuthToken_{fed}"),
            csrf_cookie: format!("Csrf-Token_{fed}"),
            csrf_header: HeaderName::from_bytes(csrf_header.as_bytes()).map_err(|_| wrong())?,
            csrf_header_with_hyphens: HeaderName::from_bytes(with_hyphens.as_bytes()).map_err(|_| wrong())?,
        })
    }

    /// Returns the header with the CSRF token. Its name may have hyphens in place of underscores, because libwww-perl
    /// sends hyphens, and because proxies drop headers whose names have underscores.
    pub(crate) fn csrf_token<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        headers.get(&self.csrf_header).or_else(|| headers.get(&self.csrf_header_with_hyphens))
    }

    /// Returns whether a form field with this name holds the CSRF token.
    pub(crate) fn is_csrf_field(&self, name: &str) -> bool {
        [&self.csrf_header, &self.csrf_header_with_hyphens]
            .iter()
            .any(|header| name.eq_ignore_ascii_case(header.as_str()))
    }
}

/// Returns the raw value of the cookie with that name, the first if there are several.
pub(crate) fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
