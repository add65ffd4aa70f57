//! The session cookie, `AtmoAuthToken_{fed}`: a signed, percent-encoded list with the user and the
//! expiry. No field is used before the signature is verified. A bearer token has the same format.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use crate::auth::signing_keys::{Purpose, SignatureCheck, SigningKeys};

/// The characters to escape: all that `encodeURIComponent` escapes, and also `!`, `*`, `'`, `(` and
/// `)`, which could end a cookie's value.
const URI_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The longest session token, in bytes. A longer one is refused without decoding.
const MAX_TOKEN_BYTES: usize = 4096;

/// A session: the user, and when the session expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The id of the session, which its CSRF tokens contain as well.
    pub(crate) token_id: Uuid,
    /// The user's id, without the federation member.
    pub(crate) user_id: String,
    /// The user's display name.
    pub(crate) name: String,
    /// When the session began or was last renewed.
    pub(crate) issued_at: Timestamp,
    /// When the session expires.
    pub(crate) expires_at: Timestamp,
}

/// Why a text is not a valid session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// Wrong format, wrong encoding, or another federation member.
    Malformed,
    /// The signature is not by a key of this system.
    Forged,
    /// The key is not in this process's key ring.
    UnknownKey,
    /// The session was valid, and has expired.
    Expired,
}

impl SessionError {
    /// Returns the message for people.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Malformed | Self::Forged | Self::UnknownKey => "the session is not valid; log in again",
            Self::Expired => "the session has expired; log in again",
        }
    }
}

impl Session {
    /// Returns the cookie's value for the federation member `fed`.
    pub(crate) fn sign(&self, fed: &str, signing_keys: &SigningKeys) -> Option<String> {
        let fields = self.signed_fields(fed);
        let signature = signing_keys.sign(Purpose::Session, &fields)?;
        Some(encode(&format!("{fields},sig={signature}")))
    }

    /// Verifies a cookie's value and returns its session.
    pub(crate) fn verify(
        value: &str,
        fed: &str,
        signing_keys: &SigningKeys,
        now: Timestamp,
    ) -> Result<Self, SessionError> {
        let decoded = decode(value).ok_or(SessionError::Malformed)?;
        let (fields, signature) = decoded.rsplit_once(",sig=").ok_or(SessionError::Malformed)?;
        match signing_keys.verify(Purpose::Session, fields, signature) {
            SignatureCheck::Valid => {}
            SignatureCheck::Invalid => return Err(SessionError::Forged),
            SignatureCheck::UnknownKey => return Err(SessionError::UnknownKey),
        }
        let session = Self::parse(fields, fed).ok_or(SessionError::Malformed)?;
        if session.expires_at <= now { Err(SessionError::Expired) } else { Ok(session) }
    }

    fn signed_fields(&self, fed: &str) -> String {
        let Self { token_id: token, user_id: user, name, issued_at: issued, expires_at: expires } = self;
        let name = utf8_percent_encode(name, URI_COMPONENT);
        let (issued, expires) = (issued.as_millisecond(), expires.as_millisecond());
        format!(
            "TokenID={token},claimed_id=urn:atmosphere:user:{fed}:{user},issueTime={issued},expirationTime={expires},\
             UserName={name},UserFDN={user}%2E{fed},AttributesIncluded=false"
        )
    }

    /// Parses the signed text. Accepts only what [`signed_fields`](Self::signed_fields) writes.
    fn parse(signed: &str, fed: &str) -> Option<Self> {
        let mut fields = signed.split(',').map(|field| field.split_once('='));
        let mut next = |name: &str| fields.next()?.filter(|(key, _)| *key == name).map(|(_, value)| value);
        let token = next("TokenID")?.parse().ok()?;
        let user = next("claimed_id")?.strip_prefix("urn:atmosphere:user:")?.strip_prefix(fed)?.strip_prefix(':')?;
        let issued = parse_millis(next("issueTime")?)?;
        let expires = parse_millis(next("expirationTime")?)?;
        let name = percent_decode_str(next("UserName")?).decode_utf8().ok()?.into_owned();
        let session = Self { token_id: token, user_id: user.to_owned(), name, issued_at: issued, expires_at: expires };
        (session.signed_fields(fed) == signed).then_some(session)
    }
}

/// Percent-encodes a list of fields as a cookie's value. `csrf::check` accepts no other encoding.
pub(super) fn encode(list: &str) -> String {
    utf8_percent_encode(list, URI_COMPONENT).to_string()
}

/// Decodes one level of percent-encoding. None if the text is too long or not UTF-8.
pub(super) fn decode(value: &str) -> Option<String> {
    if value.len() > MAX_TOKEN_BYTES {
        return None;
    }
    percent_decode_str(value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

pub(super) fn parse_millis(millis: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}
