//! May this user act for that resource? Asked of our grants, or, where one is configured, of the portal's own policy
//! decision point (OpenID AuthZEN Authorization API 1.0), which then decides alone. No answer is a no.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as human;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use upload::{Resource, Secret, WrongSetting};

use super::{Caller, fetch};
use crate::desk::Desk;
use crate::problem::ApiError;

/// `[realm.decisions]`: whom to ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionSettings {
    /// The decision point's address, to which `/access/v1/evaluation` is added. Empty: our own grants decide.
    pub url: String,
    /// The bearer token it wants, if it wants one.
    pub token: Secret,
    /// How long to wait for a decision.
    #[serde(with = "human")]
    pub timeout: Duration,
    /// How long a decision holds.
    #[serde(with = "human")]
    pub cache: Duration,
}

impl DecisionSettings {
    /// Looks at them without asking anybody.
    pub(crate) fn check(&self) -> Result<(), WrongSetting> {
        let good = self.url.is_empty() || self.url.starts_with("https://") || self.url.starts_with("http://");
        let allowed = "write an http(s) address, or nothing";
        WrongSetting::unless(good, "realm.decisions.url", format_args!("\"{}\"", self.url), allowed)
    }
}

/// What somebody wants to do for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Give it an avatar or a name.
    Claim,
    /// Take its avatar away.
    RemoveAvatar,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::RemoveAvatar => "remove_avatar",
        }
    }
}

/// The longest answer of the decision point, in bytes. A decision with its reasons takes a few hundred.
const LONGEST_ANSWER: usize = 64 << 10;

/// Decisions are thrown away when there are more than this.
const MOST: usize = 10_000;

type Question = (String, Action, Resource);

/// The decision point. Clones share what it said.
#[derive(Clone)]
pub(crate) struct Decisions {
    settings: Arc<DecisionSettings>,
    client: reqwest::Client,
    said: Arc<Mutex<HashMap<Question, (Timestamp, bool)>>>,
}

#[derive(Deserialize)]
struct Decision {
    decision: bool,
}

impl Decisions {
    /// The decision point in the settings, if there is one.
    pub(crate) fn open(settings: &DecisionSettings, client: &reqwest::Client) -> Option<Self> {
        let there = !settings.url.is_empty();
        there.then(|| Self { settings: Arc::new(settings.clone()), client: client.clone(), said: Arc::default() })
    }

    async fn permits(&self, fed: &str, question: Question, now: Timestamp) -> Result<bool, ApiError> {
        let holds = SignedDuration::try_from(self.settings.cache).unwrap_or_default();
        let known = self.said.lock().unwrap_or_else(PoisonError::into_inner).get(&question).copied();
        if let Some((at, decision)) = known
            && now.duration_since(at) < holds
        {
            return Ok(decision);
        }
        let decision = self.ask(fed, &question).await.map_err(|error| {
            tracing::error!(error, "the policy decision point gave no decision, so the answer is no: {error}");
            ApiError::Busy("whether you may do this could not be found out")
        })?;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MOST {
            said.clear();
        }
        said.insert(question, (now, decision));
        Ok(decision)
    }

    async fn ask(&self, fed: &str, (user, action, resource): &Question) -> Result<bool, String> {
        let body = json!({
            "subject": {"type": "user", "id": format!("{user}.{fed}")},
            "action": {"name": action.as_str()},
            "resource": {"type": resource.service.as_str(), "id": format!("{}.{fed}", resource.id)},
        });
        let url = format!("{}/access/v1/evaluation", self.settings.url.trim_end_matches('/'));
        let mut request = self.client.post(url).timeout(self.settings.timeout).json(&body);
        if !self.settings.token.expose().is_empty() {
            request = request.bearer_auth(self.settings.token.expose());
        }
        let answer = fetch::body(request.send().await, LONGEST_ANSWER).await?;
        let decision: Decision = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        Ok(decision.decision)
    }
}

impl Desk {
    /// Whether the caller may do this for a resource, or which right is missing. Site administrators may.
    pub(crate) async fn authorize(&self, caller: &Caller, action: Action, resource: &Resource) -> Result<(), ApiError> {
        if caller.admin {
            return Ok(());
        }
        let fed = &self.names.fed;
        let may = match &self.decisions {
            Some(decisions) => {
                let question = (caller.user.clone(), action, resource.clone());
                decisions.permits(fed, question, self.places.records.clock().now()).await?
            }
            None => self.places.records.may_act_for(&caller.user, resource).await?,
        };
        if may {
            return Ok(());
        }
        Err(ApiError::NotPermitted(format!("you may not act for {resource}.{fed}; ask for a grant on it")))
    }
}
