//! The session cookie, `AtmoAuthToken_{fed}`: a percent-encoded list that says who is logged in until when, signed. No
//! field of it is believed before the signature is verified. The same text is what a bearer token is.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use super::signing_keys::{Purpose, SignatureCheck, SigningKeys};

/// What `encodeURIComponent` leaves alone, less what could end a cookie's value.
const URI_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// No session is longer; what is longer is not looked into.
const MAX_TOKEN_BYTES: usize = 4096;

/// Who is logged in, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The session's own number; its CSRF tokens bear it too.
    pub(crate) token_id: Uuid,
    /// The user's id, without the federation member.
    pub(crate) user_id: String,
    /// What the user is called.
    pub(crate) name: String,
    /// When it was issued.
    pub(crate) issued_at: Timestamp,
    /// From when on it is not valid.
    pub(crate) expires_at: Timestamp,
}

/// Why a text is no valid session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// Not in the form, not in the right encoding, or for another federation member.
    Malformed,
    /// Not signed by us.
    Forged,
    /// Signed by a key that is not in the ring here.
    UnknownKey,
    /// Was valid once.
    Expired,
}

impl SessionError {
    /// For the person.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Malformed | Self::Forged | Self::UnknownKey => "the session is not valid",
            Self::Expired => "the session has expired",
        }
    }
}

impl Session {
    /// The cookie's value for the federation member `fed`.
    pub(crate) fn sign(&self, fed: &str, signing_keys: &SigningKeys) -> Option<String> {
        let list = self.signed_fields(fed);
        let signature = signing_keys.sign(Purpose::Session, &list)?;
        Some(encode(&format!("{list},sig={signature}")))
    }

    /// The session in a cookie's value.
    pub(crate) fn verify(
        value: &str,
        fed: &str,
        signing_keys: &SigningKeys,
        now: Timestamp,
    ) -> Result<Self, SessionError> {
        let list = decode(value).ok_or(SessionError::Malformed)?;
        let (list, signature) = list.rsplit_once(",sig=").ok_or(SessionError::Malformed)?;
        match signing_keys.verify(Purpose::Session, list, signature) {
            SignatureCheck::Valid => {}
            SignatureCheck::Invalid => return Err(SessionError::Forged),
            SignatureCheck::UnknownKey => return Err(SessionError::UnknownKey),
        }
        let session = Self::parse(list, fed).ok_or(SessionError::Malformed)?;
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

    /// Parses what was signed, which is what [`signed_fields`](Self::signed_fields) writes and nothing else.
    fn parse(list: &str, fed: &str) -> Option<Self> {
        let mut fields = list.split(',').map(|field| field.split_once('='));
        let mut next = |name: &str| fields.next()?.filter(|(key, _)| *key == name).map(|(_, value)| value);
        let token = next("TokenID")?.parse().ok()?;
        let user = next("claimed_id")?.strip_prefix("urn:atmosphere:user:")?.strip_prefix(fed)?.strip_prefix(':')?;
        let issued = parse_millis(next("issueTime")?)?;
        let expires = parse_millis(next("expirationTime")?)?;
        let name = percent_decode_str(next("UserName")?).decode_utf8().ok()?.into_owned();
        let session = Self { token_id: token, user_id: user.to_owned(), name, issued_at: issued, expires_at: expires };
        (session.signed_fields(fed) == list).then_some(session)
    }
}

/// The one encoding of a list as a cookie's value.
pub(super) fn encode(list: &str) -> String {
    utf8_percent_encode(list, URI_COMPONENT).to_string()
}

/// Decodes once. None where the text is too long or not UTF-8.
pub(super) fn decode(value: &str) -> Option<String> {
    if value.len() > MAX_TOKEN_BYTES {
        return None;
    }
    percent_decode_str(value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

pub(super) fn parse_millis(millis: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}
