//! Who is at the counter: logging in, the session and its guard against forgery, and what the caller may.

mod attempts;
mod caller;
mod csrf;
mod decisions;
mod fetch;
mod identity;
mod keys;
pub(crate) mod login;
pub(crate) mod logout;
mod password;
mod people;
mod realm;
mod sealing;
mod session;
mod sessions;
mod throttle;
mod verifying;

pub(crate) use attempts::{AttemptLimits, Attempts};
pub(crate) use caller::{Caller, Guarded, Reader};
pub(crate) use csrf::{check as check_csrf, token as csrf_token};
pub use decisions::DecisionSettings;
pub(crate) use decisions::{Action, Decisions};
pub(crate) use identity::Identity;
pub use identity::IdentitySettings;
pub(crate) use keys::{KeyError, Keys};
pub(crate) use password::Passwords;
pub use password::{HashError, hash_password};
pub use people::{
    FirstAdmin, NewUser, add_user, change_user, end_sessions, ensure_admin, issue_token, make_up_password, rotate_keys,
};
pub(crate) use realm::{Names, cookie};
pub use realm::{RealmSettings, SecureCookies};
pub(crate) use sessions::SessionCache;
pub(crate) use throttle::Throttle;
