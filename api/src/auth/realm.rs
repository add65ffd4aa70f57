//! The realm: the federation member that is served, and how sessions are kept.

use std::time::Duration;

use domain::{InvalidSetting, Secret};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::auth::attempt_limiter::AttemptLimits;
use crate::auth::realm_names::RealmNames;
use crate::http::cross_origin::CorsSettings;

/// `[realm]`: the federation member that is served, and how sessions are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealmSettings {
    /// The federation member: part of the cookies' names and of every id.
    pub fedmember: String,
    /// The login address of the administrator that the first start creates. Empty: `admin@{fedmember}.example`.
    pub admin_email: String,
    /// The administrator's first password. Empty: a generated password, which is printed once.
    pub admin_password: Secret,
    /// Whether cookies are sent over https only.
    pub secure_cookies: SecureCookies,
    /// Whether reads (except of pictures) require a CSRF token.
    pub csrf_reads: bool,
    /// Whether writes (except logging in) require a CSRF token.
    pub csrf_writes: bool,
    /// The domain of the CSRF cookie. Empty: the cookie is for the host only.
    pub csrf_cookie_domain: String,
    /// Whether pages may set `document.domain`.
    pub document_domain: bool,
    /// How long a session lasts unless it is renewed.
    #[serde(with = "friendly_duration")]
    pub session_lifetime: Duration,
    /// How long a session lasts at most, however often it is renewed.
    #[serde(with = "friendly_duration")]
    pub session_max_age: Duration,
    /// How long an API process reuses what it last read of a session and its account.
    #[serde(with = "friendly_duration")]
    pub session_cache_time: Duration,
    /// The age of the signing key after which a new key signs.
    #[serde(with = "friendly_duration")]
    pub key_rotation_interval: Duration,
    /// How many wrong passwords may be tried at one account from one network address, counting IPv6 by /64, per window.
    pub max_logins_per_account_and_address: u32,
    /// How many logins may be tried from one network address, counting IPv6 by /64, per window.
    pub max_logins_per_address: u32,
    /// The window of the two limits above.
    #[serde(with = "friendly_duration")]
    pub login_window: Duration,
    /// How many wrong passwords may be tried at one account from all addresses together, per `login_account_window`.
    pub max_logins_per_account: u32,
    /// The window of the limit above.
    #[serde(with = "friendly_duration")]
    pub login_account_window: Duration,
    /// The origins whose pages may call this server.
    pub cors: CorsSettings,
    /// The portal's own identity provider, if its tokens are accepted.
    pub oidc: crate::auth::oidc::OidcSettings,
    /// The portal's own policy decision point, if there is one.
    pub policy: crate::auth::policy_client::PolicySettings,
    /// Other systems that act for the portal.
    pub service: crate::auth::service_settings::ServiceSettings,
}

/// The longest `session_cache_time`. It is short, because a session that another process ended is
/// still accepted for that time.
const MAX_SESSION_CACHE_TIME: Duration = Duration::from_secs(60);

impl RealmSettings {
    /// Checks the settings without a network request.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        RealmNames::from_fedmember(&self.fedmember)?;
        self.service.key_digests()?;
        self.oidc.check()?;
        self.policy.check()?;
        self.cors.check()?;
        let domain = &self.csrf_cookie_domain;
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let is_domain = domain.bytes().all(fine) && !domain.starts_with('.') && !domain.ends_with('.');
        let allowed = "write a domain such as example.com, or nothing";
        InvalidSetting::require(is_domain, "realm.csrf_cookie_domain", format!("\"{domain}\""), allowed)?;
        for (key, time) in
            [("realm.session_lifetime", self.session_lifetime), ("realm.session_max_age", self.session_max_age)]
        {
            InvalidSetting::require(!time.is_zero(), key, "0s", "write a longer time, such as 30m")?;
        }
        let (bounded, was) =
            (self.session_cache_time <= MAX_SESSION_CACHE_TIME, format!("{:?}", self.session_cache_time));
        InvalidSetting::require(bounded, "realm.session_cache_time", was, "write 0s to 60s")?;
        InvalidSetting::require_positive([
            ("realm.max_logins_per_account_and_address", self.max_logins_per_account_and_address.into()),
            ("realm.max_logins_per_address", self.max_logins_per_address.into()),
            ("realm.max_logins_per_account", self.max_logins_per_account.into()),
        ])
    }

    /// Returns the limits for password attempts.
    pub(crate) fn login_limits(&self) -> AttemptLimits {
        AttemptLimits {
            per_address_and_account: self.max_logins_per_account_and_address,
            per_address: self.max_logins_per_address,
            per_account: self.max_logins_per_account,
            window: self.login_window,
            account_window: self.login_account_window,
        }
    }
}

/// Whether cookies have the attribute `Secure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecureCookies {
    /// Cookies have the attribute if a trusted proxy says that the client uses https, and not if the proxy says http.
    /// If no trusted proxy names http or https, cookies have the attribute unless this API listens on a loopback
    /// address.
    Auto,
    /// Cookies have the attribute.
    Always,
    /// Cookies do not have the attribute.
    Never,
}

impl SecureCookies {
    /// Returns whether the cookies of a client have the attribute `Secure`. `https` says whether the client uses https,
    /// if a trusted proxy says so. `listening` is the address that this API listens on.
    pub(crate) fn is_secure(self, https: Option<bool>, listening: Option<std::net::SocketAddr>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => https.unwrap_or(!listening.is_some_and(|address| address.ip().is_loopback())),
        }
    }
}

impl Serialize for SecureCookies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Always => serializer.serialize_bool(true),
            Self::Never => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for SecureCookies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecureCookiesVisitor;
        impl Visitor<'_> for SecureCookiesVisitor {
            type Value = SecureCookies;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"auto\", true or false")
            }

            fn visit_bool<E: de::Error>(self, always: bool) -> Result<SecureCookies, E> {
                Ok(if always { SecureCookies::Always } else { SecureCookies::Never })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<SecureCookies, E> {
                match word {
                    "auto" => Ok(SecureCookies::Auto),
                    "true" => Ok(SecureCookies::Always),
                    "false" => Ok(SecureCookies::Never),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(SecureCookiesVisitor)
    }
}
