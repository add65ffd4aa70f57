//! The tokens of applinks: opaque to whoever holds them, sealed for one link, for whom it was made and for one use, and
//! with an end. They hold no right: the link's row does.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upload::Applink;

use super::refusal::Refusal;
use crate::desk::Desk;
use crate::problem::ApiError;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Calls, for 15 minutes.
    Access,
    /// Getting a new one for calls, for 24 hours.
    Refresh,
}

impl Token {
    fn life(self) -> SignedDuration {
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
        format!("applink {word}\0{}\0{}", link.id, link.assigned.words().join(" "))
    }
}

/// What is inside.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    issued: i64,
    expires: i64,
}

impl Times {
    /// Whether the token is of no use any more, or not yet.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        // Clocks differ by as much.
        const LEEWAY: i64 = 60_000;
        let now = now.as_millisecond();
        now >= self.expires || self.issued > now + LEEWAY
    }
}

/// A new token for a link.
pub(crate) fn make(desk: &Desk, link: &Applink, token: Token) -> Result<String, Refusal> {
    let now = desk.places.records.clock().now().as_millisecond();
    let life = i64::try_from(token.life().as_millis()).unwrap_or_default();
    let times = serde_json::to_string(&Times { issued: now, expires: now + life });
    let sealed = times.ok().and_then(|times| desk.keys.conceal(&token.purpose(link), &times));
    sealed.ok_or_else(|| ApiError::Ours("there is no key to seal a token with".to_owned()).into())
}

/// What is inside a token, if it is one of this link and for this use, whether or not it is over.
pub(crate) async fn read(desk: &Desk, link: &Applink, text: &str, token: Token) -> Option<Times> {
    let times = desk.keys.reveal(&token.purpose(link), text).await.ok()?;
    serde_json::from_str(&times).ok()
}
