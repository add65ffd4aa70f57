//! Tokens of applinks. A token is opaque to its holder, and expires. It is sealed for one link, the audience of the
//! link, and one use (access or refresh). A token grants no permission by itself, because the permission is in the
//! link's row.

use domain::{Applink, Clock};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::DocumentError;
use crate::auth::signing_keys::SigningKeys;
use crate::error::ApiError;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApplinkTokenKind {
    /// Authenticates calls. Valid for 15 minutes.
    Access,
    /// Gets a new access token. Valid for 24 hours.
    Refresh,
}

impl ApplinkTokenKind {
    fn lifetime(self) -> SignedDuration {
        match self {
            Self::Access => SignedDuration::from_mins(15),
            Self::Refresh => SignedDuration::from_hours(24),
        }
    }

    fn purpose(self, link: &Applink) -> String {
        let word = match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        };
        format!("applink {word}\0{}\0{}", link.id, link.audience.to_strings().join(" "))
    }
}

/// The content of a token: when it was issued and when it expires, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct TokenTimes {
    issued: i64,
    expires: i64,
}

impl TokenTimes {
    /// Returns whether the token has expired, or was issued in the future.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        // The tolerance for clocks that differ, in milliseconds.
        const LEEWAY: i64 = 60_000;
        let now = now.as_millisecond();
        now >= self.expires || self.issued > now + LEEWAY
    }
}

/// Issues and opens tokens. A token is sealed with the signing keys, so that its link and its times cannot be changed.
pub(crate) struct ApplinkTokens {
    signing_keys: SigningKeys,
    clock: Clock,
}

impl ApplinkTokens {
    pub(crate) fn new(signing_keys: SigningKeys, clock: Clock) -> Self {
        Self { signing_keys, clock }
    }

    /// Issues a token for a link.
    pub(super) fn issue(&self, link: &Applink, token: ApplinkTokenKind) -> Result<String, DocumentError> {
        let now = self.clock.now().as_millisecond();
        let life = i64::try_from(token.lifetime().as_millis()).unwrap_or_default();
        let times = serde_json::to_string(&TokenTimes { issued: now, expires: now + life });
        let sealed = times.ok().and_then(|times| self.signing_keys.seal(&token.purpose(link), &times));
        sealed.ok_or_else(|| ApiError::Internal("there is no key to seal a token with".to_owned()).into())
    }

    /// Opens a token and returns its content, if it is a token of this link for this use. An expired
    /// token is opened too.
    pub(super) async fn open(&self, link: &Applink, text: &str, token: ApplinkTokenKind) -> Option<TokenTimes> {
        let times = self.signing_keys.open(&token.purpose(link), text).await.ok()?;
        serde_json::from_str(&times).ok()
    }
}
