//! The guard against forged requests: a token that a page of ours reads from a cookie and another site cannot.
//!
//! It is signed and bound to one session, so it needs no memory of ours. It travels in the header `X-Csrf-Token_{fed}`
//! as it stands in the cookie, still encoded, or, for forms that cannot send headers, in a field of that name. It is
//! never logged.

use jiff::Timestamp;

use super::session_token::{Session, decode, encode, parse_millis};
use super::signing_keys::{Purpose, SignatureCheck, SigningKeys};

/// The token for a session, valid as long as the session: the cookie's value.
pub(crate) fn token(session: &Session, signing_keys: &SigningKeys) -> Option<String> {
    let list = format!("TokenID={},expirationTime={}", session.token_id, session.expires_at.as_millisecond());
    let signature = signing_keys.sign(Purpose::Csrf, &list)?;
    Some(encode(&format!("{list},sig={signature}")))
}

/// Whether what the client sent is this session's token, or what is wrong with it.
pub(crate) fn check(
    sent: &str,
    session: &Session,
    signing_keys: &SigningKeys,
    now: Timestamp,
) -> Result<(), &'static str> {
    const INVALID: &str = "the CSRF token is not valid";
    let list = decode(sent).ok_or(INVALID)?;
    // The cookie's raw value, still encoded, and in no other encoding.
    if encode(&list) != sent {
        return Err(INVALID);
    }
    let (list, signature) = list.rsplit_once(",sig=").ok_or(INVALID)?;
    if signing_keys.verify(Purpose::Csrf, list, signature) != SignatureCheck::Valid {
        return Err(INVALID);
    }
    let (id, expires) = list.split_once(',').ok_or(INVALID)?;
    let id = id.strip_prefix("TokenID=").ok_or(INVALID)?;
    let expires = expires.strip_prefix("expirationTime=").and_then(parse_millis).ok_or(INVALID)?;
    // It was signed by us, so this is about whose it is, not about guessing.
    if id != session.token_id.to_string() {
        return Err("the CSRF token belongs to another session");
    }
    if expires <= now { Err("the CSRF token has expired") } else { Ok(()) }
}
