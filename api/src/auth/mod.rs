//! Authentication: login, sessions, CSRF tokens, and the permissions of the caller.

pub(crate) mod access;
pub(crate) mod aead;
pub(crate) mod attempt_limiter;
pub(crate) mod auth_user;
pub(crate) mod authenticator;
pub(crate) mod bounded_response;
pub(crate) mod cookies;
pub(crate) mod csrf;
pub(crate) mod jwt_crypto;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod oidc;
pub(crate) mod password;
pub(crate) mod permissions;
pub(crate) mod policy_client;
pub(crate) mod rate_limiter;
pub(crate) mod realm;
pub(crate) mod realm_names;
pub(crate) mod request_limits;
pub(crate) mod service_keys;
pub(crate) mod service_settings;
pub(crate) mod session_cache;
pub(crate) mod session_token;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod user_admin;
