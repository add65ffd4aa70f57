//! Users of the portal's own identity provider. If a JWKS is configured, the provider's tokens (JWTs) are accepted as
//! sessions. Signature, issuer, audience and times are checked. The keys are cached, and fetched again when they are
//! old or when a token names an unknown key.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::InvalidSetting;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use records::{Records, RecordsError, Role, User};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::{bounded_response, jwt_crypto};
use crate::resource::is_unique_part;

/// `[realm.oidc]`: the identity provider whose tokens are accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// Where the provider's keys are: an http(s) URL or a file. Empty: no provider.
    pub jwks: String,
    /// The required value of `iss`.
    pub issuer: String,
    /// The required value of `aud`, or one that `aud` must contain.
    pub audience: String,
    /// The claim that holds the id of the user.
    pub user_claim: String,
    /// The age after which keys are fetched again.
    #[serde(with = "friendly_duration")]
    pub refresh: Duration,
}

impl OidcSettings {
    /// Checks the settings without a network request. Issuer and audience are required, because the provider may issue
    /// tokens for other systems too.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        let is_complete = self.jwks.is_empty() || !(self.issuer.is_empty() || self.audience.is_empty());
        let allowed = "set realm.oidc.issuer and realm.oidc.audience as well";
        InvalidSetting::require(is_complete, "realm.oidc.jwks", format_args!("\"{}\"", self.jwks), allowed)
    }
}

/// The password hash of users who have no password in Cloakroom. No password matches it.
const NO_PASSWORD: &str = "!";

/// The tolerance for clocks that differ.
const CLOCK_LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// The least time between two fetches of the keys, whatever keys the tokens name.
const MIN_FETCH_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// The largest key set, in bytes. One key takes a few hundred bytes, or a few thousand with its certificates.
const MAX_KEY_SET_BYTES: usize = 1 << 20;

/// Verifies tokens of the identity provider. Clones share its keys.
#[derive(Clone)]
pub(crate) struct TokenVerifier {
    settings: Arc<OidcSettings>,
    client: reqwest::Client,
    keys: Arc<RwLock<CachedKeys>>,
    fetch_lock: Arc<Mutex<()>>,
    /// How often a fetch of the keys has ended, successful or not.
    fetch_count: Arc<AtomicU64>,
}

#[derive(Default)]
struct CachedKeys {
    fetched_at: Option<Timestamp>,
    keys: Vec<Jwk>,
}

impl TokenVerifier {
    /// Returns the verifier for the provider in the settings, if there is one.
    pub(crate) fn open(settings: &OidcSettings, client: &reqwest::Client) -> Result<Option<Self>, InvalidSetting> {
        settings.check()?;
        if settings.jwks.is_empty() {
            return Ok(None);
        }
        jwt_crypto::install();
        Ok(Some(Self {
            settings: Arc::new(settings.clone()),
            client: client.clone(),
            keys: Arc::default(),
            fetch_lock: Arc::default(),
            fetch_count: Arc::default(),
        }))
    }

    /// Verifies a token and returns its user, or says why the token is not accepted.
    pub(crate) async fn user_for_token(&self, token: &str, records: &Records) -> Result<User, TokenVerificationError> {
        let header = decode_header(token).map_err(|_| TokenVerificationError::Invalid("the token is not valid"))?;
        let now = records.clock().now();
        let key = self
            .find_key(header.kid.as_deref(), now)
            .await
            .ok_or(TokenVerificationError::Invalid("the token's key is not known"))?;
        let claims = self.verify_claims(token, &key, header.alg)?;
        check_times(&claims, now)?;
        let id = claims.get(&self.settings.user_claim).and_then(Value::as_str).filter(|id| is_unique_part(id));
        let id =
            id.ok_or(TokenVerificationError::Invalid("the token names no user, or one whose id cannot be used here"))?;
        self.find_or_create_user(id, &claims, records).await
    }

    fn verify_claims(
        &self,
        token: &str,
        key: &Jwk,
        algorithm: jsonwebtoken::Algorithm,
    ) -> Result<Map<String, Value>, TokenVerificationError> {
        const NOT_VALID: TokenVerificationError = TokenVerificationError::Invalid("the token is not valid");
        // The algorithm in the token's header can be trusted, because the key set holds no shared
        // secrets, and only public-key algorithms are verified.
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // `check_times` checks the times, by the clock of the records.
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(key).map_err(|_| NOT_VALID)?;
        let decoded = decode::<Map<String, Value>>(token, &key, &validation).map_err(|_| NOT_VALID)?;
        Ok(decoded.claims)
    }

    /// Returns the user with this id, and adds the user if there is none. A user who has a password in Cloakroom is
    /// refused, because the provider must not take over that account.
    async fn find_or_create_user(
        &self,
        id: &str,
        claims: &Map<String, Value>,
        records: &Records,
    ) -> Result<User, TokenVerificationError> {
        if let Some(user) = records.user(id).await? {
            let from_provider = user.password_hash == NO_PASSWORD;
            return if from_provider {
                Ok(user)
            } else {
                Err(TokenVerificationError::Invalid("this account logs in with its password, not with a token"))
            };
        }
        // PostgreSQL cannot store a text that contains U+0000.
        let is_storable = |text: &&str| !text.contains('\0');
        let storable_claim =
            |name: &str| claims.get(name).and_then(Value::as_str).filter(is_storable).map(str::to_owned);
        let placeholder_email = format!("{id}@identity.invalid");
        let mut user = User {
            id: id.to_owned(),
            email: storable_claim("email")
                .filter(|email| email.contains('@'))
                .unwrap_or_else(|| placeholder_email.clone()),
            name: storable_claim("name").unwrap_or_else(|| id.to_owned()),
            password_hash: NO_PASSWORD.to_owned(),
            role: Role::Member,
            disabled: false,
        };
        if records.user_by_email(&user.email).await?.is_some() {
            user.email = placeholder_email;
        }
        records.upsert_user(&user).await?;
        tracing::info!(user = id, "added a user of the identity provider");
        Ok(user)
    }

    async fn find_key(&self, id: Option<&str>, now: Timestamp) -> Option<Jwk> {
        if let Some(key) = self.cached_key(id, now, self.settings.refresh) {
            return Some(key);
        }
        let count_before = self.fetch_count.load(Ordering::SeqCst);
        let _fetch_guard = self.fetch_lock.lock().await;
        let last_fetch_at = self.keys.read().unwrap_or_else(PoisonError::into_inner).fetched_at;
        // If another request's fetch ended meanwhile, this request fetches nothing. Otherwise each
        // request would wait for a slow provider in turn.
        let fetched_meanwhile = self.fetch_count.load(Ordering::SeqCst) != count_before;
        if !fetched_meanwhile && last_fetch_at.is_none_or(|at| now.duration_since(at) >= MIN_FETCH_INTERVAL) {
            let fetched = self.fetch_keys().await;
            self.fetch_count.fetch_add(1, Ordering::SeqCst);
            match fetched {
                Ok(set) => {
                    let cached = CachedKeys { fetched_at: Some(now), keys: set.keys };
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = cached;
                }
                // The old keys stay in use, because they were valid and the provider may just be restarting.
                Err(error) => tracing::warn!(error, "the identity provider's keys could not be fetched: {error}"),
            }
        }
        self.cached_key(id, now, Duration::MAX)
    }

    fn cached_key(&self, id: Option<&str>, now: Timestamp, refresh: Duration) -> Option<Jwk> {
        let cached = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let refresh = SignedDuration::try_from(refresh).unwrap_or(SignedDuration::MAX);
        if cached.fetched_at.is_none_or(|at| now.duration_since(at) >= refresh) {
            return None;
        }
        match id {
            Some(id) => cached.keys.iter().find(|key| key.common.key_id.as_deref() == Some(id)).cloned(),
            None if cached.keys.len() == 1 => cached.keys.first().cloned(),
            None => None,
        }
    }

    async fn fetch_keys(&self) -> Result<JwkSet, String> {
        let location = &self.settings.jwks;
        let bytes = if location.starts_with("https://") || location.starts_with("http://") {
            bounded_response::read_bounded(self.client.get(location).send().await, MAX_KEY_SET_BYTES).await?
        } else {
            tokio::fs::read(location).await.map_err(|error| format!("{location}: {error}"))?
        };
        serde_json::from_slice(&bytes).map_err(|error| format!("{location}: {error}"))
    }
}

/// Checks `exp` and `nbf`, which are numbers of seconds. `exp` is required.
fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), TokenVerificationError> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().ok_or(TokenVerificationError::Invalid("the token's times are not numbers"))?;
            let moment =
                Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).unwrap_or_default());
            moment.map(Some).map_err(|_| TokenVerificationError::Invalid("the token's times are out of range"))
        }
    };
    let expires = time("exp")?.ok_or(TokenVerificationError::Invalid("the token never expires"))?;
    if now.duration_since(expires) >= CLOCK_LEEWAY {
        return Err(TokenVerificationError::Invalid("the token has expired; get a new one from the identity provider"));
    }
    match time("nbf")? {
        Some(begins) if begins.duration_since(now) > CLOCK_LEEWAY => {
            Err(TokenVerificationError::Invalid("the token is not valid yet"))
        }
        _ => Ok(()),
    }
}

/// Why a token is not accepted.
#[derive(Debug)]
pub(crate) enum TokenVerificationError {
    /// The token is invalid. The text is for the user.
    Invalid(&'static str),
    /// The records failed.
    Records(RecordsError),
}

impl From<RecordsError> for TokenVerificationError {
    fn from(error: RecordsError) -> Self {
        Self::Records(error)
    }
}
