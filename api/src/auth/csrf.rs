//! CSRF tokens: a token that a page of this site reads from a cookie and that another site cannot read.
//!
//! A token is signed and bound to one session, so the server stores nothing for it. Clients send the cookie's raw value
//! in the header `X-Csrf-Token_{fed}`, in which `{fed}` is the federation member. A form without a script sends it in a
//! field of that name (`docs/contracts/dropbox.md`, 9). Tokens are never logged.

use jiff::Timestamp;

use crate::auth::session_token::{Session, decode, encode, parse_millis};
use crate::auth::signing_keys::{Purpose, SignatureCheck, SigningKeys};

/// Returns the CSRF token of a session, which is the cookie's value. It is valid as long as the session.
pub(crate) fn token(session: &Session, signing_keys: &SigningKeys) -> Option<String> {
    let fields = format!("TokenID={},expirationTime={}", session.token_id, session.expires_at.as_millisecond());
    let signature = signing_keys.sign(Purpose::Csrf, &fields)?;
    Some(encode(&format!("{fields},sig={signature}")))
}

/// Checks whether the client sent this session's token. The error says what is wrong.
pub(crate) fn check(
    sent: &str,
    session: &Session,
    signing_keys: &SigningKeys,
    now: Timestamp,
) -> Result<(), &'static str> {
    const INVALID: &str = "the CSRF token is not valid";
    let decoded = decode(sent).ok_or(INVALID)?;
    // The token must be the cookie's raw value, still encoded. No other encoding is accepted.
    if encode(&decoded) != sent {
        return Err(INVALID);
    }
    let (fields, signature) = decoded.rsplit_once(",sig=").ok_or(INVALID)?;
    if signing_keys.verify(Purpose::Csrf, fields, signature) != SignatureCheck::Valid {
        return Err(INVALID);
    }
    let (id, expires) = fields.split_once(',').ok_or(INVALID)?;
    let id = id.strip_prefix("TokenID=").ok_or(INVALID)?;
    let expires = expires.strip_prefix("expirationTime=").and_then(parse_millis).ok_or(INVALID)?;
    // The signature is valid, so the error may say that the token is of another session. This does not help to forge a
    // token.
    if id != session.token_id.to_string() {
        return Err("the CSRF token belongs to another session");
    }
    if expires <= now { Err("the CSRF token has expired") } else { Ok(()) }
}
