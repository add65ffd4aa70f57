//! The session cookie, `AtmoAuthToken_{fed}`: a percent-encoded list that says who is logged in until when, signed. No
//! field of it is believed before the signature is verified. The same text is what a bearer token is.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use super::keys::{Keys, Purpose, Verified};

/// What `encodeURIComponent` leaves alone, less what could end a cookie's value.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// No session is longer; what is longer is not looked into.
const LONGEST: usize = 4096;

/// Who is logged in, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The session's own number; its CSRF tokens bear it too.
    pub(crate) token: Uuid,
    /// The user's id, without the federation member.
    pub(crate) user: String,
    /// What the user is called.
    pub(crate) name: String,
    /// When it was issued.
    pub(crate) issued: Timestamp,
    /// From when on it is not valid.
    pub(crate) expires: Timestamp,
}

/// Why a text is no valid session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSession {
    /// Not in the form, not in the right encoding, or for another federation member.
    Malformed,
    /// Not signed by us.
    Forged,
    /// Signed by a key that is not in the ring here.
    UnknownKey,
    /// Was valid once.
    Expired,
}

impl NoSession {
    /// For the person.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Malformed | Self::Forged | Self::UnknownKey => "the session is not valid",
            Self::Expired => "the session has expired",
        }
    }
}

impl Session {
    /// The cookie's value for the federation member `fed`.
    pub(crate) fn seal(&self, fed: &str, keys: &Keys) -> Option<String> {
        let list = self.list(fed);
        let signature = keys.sign(Purpose::Session, &list)?;
        Some(encode(&format!("{list},sig={signature}")))
    }

    /// The session in a cookie's value.
    pub(crate) fn open(value: &str, fed: &str, keys: &Keys, now: Timestamp) -> Result<Self, NoSession> {
        let list = decode(value).ok_or(NoSession::Malformed)?;
        let (list, signature) = list.rsplit_once(",sig=").ok_or(NoSession::Malformed)?;
        match keys.verify(Purpose::Session, list, signature) {
            Verified::Good => {}
            Verified::Bad => return Err(NoSession::Forged),
            Verified::UnknownKey => return Err(NoSession::UnknownKey),
        }
        let session = Self::parse(list, fed).ok_or(NoSession::Malformed)?;
        if session.expires <= now { Err(NoSession::Expired) } else { Ok(session) }
    }

    fn list(&self, fed: &str) -> String {
        let Self { token, user, name, issued, expires } = self;
        let name = utf8_percent_encode(name, COMPONENT);
        let (issued, expires) = (issued.as_millisecond(), expires.as_millisecond());
        format!(
            "TokenID={token},claimed_id=urn:atmosphere:user:{fed}:{user},issueTime={issued},expirationTime={expires},\
             UserName={name},UserFDN={user}%2E{fed},AttributesIncluded=false"
        )
    }

    /// Parses what was signed, which is what [`list`](Self::list) writes and nothing else.
    fn parse(list: &str, fed: &str) -> Option<Self> {
        let mut fields = list.split(',').map(|field| field.split_once('='));
        let mut next = |name: &str| fields.next()?.filter(|(key, _)| *key == name).map(|(_, value)| value);
        let token = next("TokenID")?.parse().ok()?;
        let user = next("claimed_id")?.strip_prefix("urn:atmosphere:user:")?.strip_prefix(fed)?.strip_prefix(':')?;
        let issued = at(next("issueTime")?)?;
        let expires = at(next("expirationTime")?)?;
        let name = percent_decode_str(next("UserName")?).decode_utf8().ok()?.into_owned();
        let session = Self { token, user: user.to_owned(), name, issued, expires };
        (session.list(fed) == list).then_some(session)
    }
}

/// The one encoding of a list as a cookie's value.
pub(super) fn encode(list: &str) -> String {
    utf8_percent_encode(list, COMPONENT).to_string()
}

/// Decodes once. None where the text is too long or not UTF-8.
pub(super) fn decode(value: &str) -> Option<String> {
    if value.len() > LONGEST {
        return None;
    }
    percent_decode_str(value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

pub(super) fn at(millis: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}
