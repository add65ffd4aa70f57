//! Asks the policy decision point of the portal (OpenID AuthZEN Authorization API 1.0) whether a
//! user may act for a resource. If a decision point is configured, `permissions` asks it instead of
//! the grants in the records. If the decision point gives no decision, the request gets 503.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{InvalidSetting, Resource, Secret};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::bounded_response;
use crate::error::ApiError;

/// `[realm.policy]`: the policy decision point.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// The URL of the decision point, to which `/access/v1/evaluation` is added. Empty: the local grants decide.
    pub url: String,
    /// The bearer token that the decision point requires, if any.
    pub token: Secret,
    /// How long to wait for a decision.
    #[serde(with = "friendly_duration")]
    pub timeout: Duration,
    /// How long a decision is reused.
    #[serde(with = "friendly_duration")]
    pub cache: Duration,
}

impl PolicySettings {
    /// Checks the settings without a network request.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        let good = self.url.is_empty() || self.url.starts_with("https://") || self.url.starts_with("http://");
        let allowed = "write an http(s) address, or nothing";
        InvalidSetting::require(good, "realm.policy.url", format_args!("\"{}\"", self.url), allowed)
    }
}

/// What a user wants to do for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Gives the resource an avatar or a name.
    Claim,
    /// Removes the avatar of the resource.
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

/// The longest response of the decision point, in bytes. A decision with its reasons takes a few hundred bytes.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// The cache is emptied when it holds this many decisions.
const MAX_CACHED_DECISIONS: usize = 10_000;

/// A question to the decision point: the user, the action and the resource.
type PolicyQuery = (String, Action, Resource);

/// The client of the decision point. Clones share its cached decisions.
#[derive(Clone)]
pub(crate) struct PolicyClient {
    settings: Arc<PolicySettings>,
    client: reqwest::Client,
    cache: Arc<Mutex<HashMap<PolicyQuery, (Timestamp, bool)>>>,
}

#[derive(Deserialize)]
struct EvaluationResponse {
    decision: bool,
}

impl PolicyClient {
    /// Returns the client for the decision point in the settings, if there is one.
    pub(crate) fn open(settings: &PolicySettings, client: &reqwest::Client) -> Option<Self> {
        let is_configured = !settings.url.is_empty();
        is_configured.then(|| Self {
            settings: Arc::new(settings.clone()),
            client: client.clone(),
            cache: Arc::default(),
        })
    }

    pub(crate) async fn is_permitted(&self, fed: &str, query: PolicyQuery, now: Timestamp) -> Result<bool, ApiError> {
        let ttl = SignedDuration::try_from(self.settings.cache).unwrap_or_default();
        let known = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&query).copied();
        if let Some((at, decision)) = known
            && now.duration_since(at) < ttl
        {
            return Ok(decision);
        }
        let decision = self.evaluate(fed, &query).await.map_err(|error| {
            tracing::error!(error, "the policy decision point gave no decision, so the request is refused: {error}");
            ApiError::Overloaded("the policy decision point gave no decision; try again later")
        })?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_CACHED_DECISIONS {
            cache.clear();
        }
        cache.insert(query, (now, decision));
        Ok(decision)
    }

    async fn evaluate(&self, fed: &str, (user, action, resource): &PolicyQuery) -> Result<bool, String> {
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
        let response = bounded_response::read_bounded(request.send().await, MAX_RESPONSE_BYTES).await?;
        let decision: EvaluationResponse = serde_json::from_slice(&response).map_err(|error| error.to_string())?;
        Ok(decision.decision)
    }
}
