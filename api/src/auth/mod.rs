//! Authentication: login, sessions, CSRF tokens, and the permissions of the caller.

mod aead;
mod attempt_limiter;
mod auth_user;
mod bounded_response;
mod csrf;
mod jwt_crypto;
pub(crate) mod login;
pub(crate) mod logout;
mod oidc;
mod password;
mod policy;
mod rate_limiter;
mod realm;
mod session_token;
mod sessions;
mod signing_keys;
mod user_admin;

pub(crate) use attempt_limiter::{AttemptLimiter, AttemptLimits};
pub(crate) use auth_user::{AuthUser, CsrfStatus, ReadAccess};
pub(crate) use csrf::{check as check_csrf, token as csrf_token};
pub use oidc::OidcSettings;
pub(crate) use oidc::TokenVerifier;
pub(crate) use password::Passwords;
pub use password::{HashError, hash_password};
pub use policy::PolicySettings;
pub(crate) use policy::{Action, PolicyClient};
pub(crate) use rate_limiter::RateLimiter;
pub(crate) use realm::{RealmNames, cookie_value};
pub use realm::{RealmSettings, SecureCookies};
pub(crate) use sessions::SessionCache;
pub(crate) use signing_keys::{KeyError, SigningKeys};
pub use user_admin::{
    FirstAdmin, NewUser, add_user, change_user, end_sessions, ensure_admin, generate_password, issue_token, rotate_keys,
};
