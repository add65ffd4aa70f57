//! People whom the portal's own identity provider vouches for: its tokens (JWTs) are sessions here, where a JWKS is
//! configured. Signature, issuer, audience and times are checked; keys are cached and fetched again when they are old
//! or when a token names one that is not among them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as human;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use upload::{Records, RecordsError, Role, User, WrongSetting};

use super::{fetch, verifying};
use crate::resource::is_unique_part;

/// `[realm.identity]`: whose tokens are believed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySettings {
    /// Where the provider's keys are: an http(s) address or a file. Empty: no provider.
    pub jwks: String,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be, or have among it.
    pub audience: String,
    /// The claim that holds the user's id here.
    pub user_claim: String,
    /// How old keys grow before they are fetched again.
    #[serde(with = "human")]
    pub refresh: Duration,
}

impl IdentitySettings {
    /// Looks at them without asking anybody: a provider whose tokens are for others, too, is none for us.
    pub(crate) fn check(&self) -> Result<(), WrongSetting> {
        let whole = self.jwks.is_empty() || !(self.issuer.is_empty() || self.audience.is_empty());
        let allowed = "set realm.identity.issuer and realm.identity.audience as well";
        WrongSetting::unless(whole, "realm.identity.jwks", format_args!("\"{}\"", self.jwks), allowed)
    }
}

/// The password hash of those who have no password here: it verifies nothing.
const NO_PASSWORD: &str = "!";

/// Clocks differ by as much.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// Keys are not fetched more often than this, whatever tokens name.
const SELDOM: SignedDuration = SignedDuration::from_secs(10);

/// The largest key set, in bytes. One key takes a few hundred bytes, or a few thousand with its certificates.
const LARGEST_SET: usize = 1 << 20;

/// The provider. Clones share its keys.
#[derive(Clone)]
pub(crate) struct Identity {
    settings: Arc<IdentitySettings>,
    client: reqwest::Client,
    keys: Arc<RwLock<Cached>>,
    fetching: Arc<Mutex<()>>,
    /// How often the keys were fetched, or could not be.
    fetches: Arc<AtomicU64>,
}

#[derive(Default)]
struct Cached {
    fetched_at: Option<Timestamp>,
    keys: Vec<Jwk>,
}

impl Identity {
    /// The provider in the settings, if there is one.
    pub(crate) fn open(settings: &IdentitySettings, client: &reqwest::Client) -> Result<Option<Self>, WrongSetting> {
        settings.check()?;
        if settings.jwks.is_empty() {
            return Ok(None);
        }
        verifying::install();
        Ok(Some(Self {
            settings: Arc::new(settings.clone()),
            client: client.clone(),
            keys: Arc::default(),
            fetching: Arc::default(),
            fetches: Arc::default(),
        }))
    }

    /// The id of the user whom a token is about, or why it is not believed.
    pub(crate) async fn user(&self, token: &str, records: &Records) -> Result<User, Vouch> {
        let header = decode_header(token).map_err(|_| Vouch::No("the token is not valid"))?;
        let now = records.clock().now();
        let key = self.key(header.kid.as_deref(), now).await.ok_or(Vouch::No("the token's key is not known"))?;
        let claims = self.claims(token, &key, header.alg)?;
        check_times(&claims, now)?;
        let id = claims.get(&self.settings.user_claim).and_then(Value::as_str).filter(|id| is_unique_part(id));
        let id = id.ok_or(Vouch::No("the token names no user, or one whose id cannot be used here"))?;
        self.known(id, &claims, records).await
    }

    fn claims(&self, token: &str, key: &Jwk, algorithm: jsonwebtoken::Algorithm) -> Result<Map<String, Value>, Vouch> {
        const NOT_VALID: Vouch = Vouch::No("the token is not valid");
        // A shared secret cannot come from a public key set; verifying knows public keys only.
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The times are checked by the records' clock.
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(key).map_err(|_| NOT_VALID)?;
        let decoded = decode::<Map<String, Value>>(token, &key, &validation).map_err(|_| NOT_VALID)?;
        Ok(decoded.claims)
    }

    /// Whom we know by that id. Somebody new is noted; somebody with a password here is not the provider's to be.
    async fn known(&self, id: &str, claims: &Map<String, Value>, records: &Records) -> Result<User, Vouch> {
        if let Some(user) = records.user(id).await? {
            let theirs = user.password_hash == NO_PASSWORD;
            return if theirs { Ok(user) } else { Err(Vouch::No("this account logs in with its password")) };
        }
        // No database keeps a text with U+0000 in it.
        let kept = |text: &&str| !text.contains('\0');
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(kept).map(str::to_owned);
        let nowhere = format!("{id}@identity.invalid");
        let mut user = User {
            id: id.to_owned(),
            email: text("email").filter(|email| email.contains('@')).unwrap_or_else(|| nowhere.clone()),
            name: text("name").unwrap_or_else(|| id.to_owned()),
            password_hash: NO_PASSWORD.to_owned(),
            role: Role::Member,
            disabled: false,
        };
        if records.user_by_email(&user.email).await?.is_some() {
            user.email = nowhere;
        }
        records.put_user(&user).await?;
        tracing::info!(user = id, "somebody whom the identity provider vouches for is here for the first time");
        Ok(user)
    }

    async fn key(&self, id: Option<&str>, now: Timestamp) -> Option<Jwk> {
        if let Some(key) = self.cached(id, now, self.settings.refresh) {
            return Some(key);
        }
        let fetches = self.fetches.load(Ordering::SeqCst);
        let _one_at_a_time = self.fetching.lock().await;
        let age = self.keys.read().unwrap_or_else(PoisonError::into_inner).fetched_at;
        // A try of another request that ended meanwhile counts: else each request would wait for a slow provider in turn.
        let tried = self.fetches.load(Ordering::SeqCst) != fetches;
        if !tried && age.is_none_or(|at| now.duration_since(at) >= SELDOM) {
            let fetched = self.fetch().await;
            self.fetches.fetch_add(1, Ordering::SeqCst);
            match fetched {
                Ok(set) => {
                    let cached = Cached { fetched_at: Some(now), keys: set.keys };
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = cached;
                }
                // Old keys are better than none: they were good, and the provider may just be restarting.
                Err(error) => tracing::warn!(error, "the identity provider's keys could not be fetched: {error}"),
            }
        }
        self.cached(id, now, Duration::MAX)
    }

    fn cached(&self, id: Option<&str>, now: Timestamp, refresh: Duration) -> Option<Jwk> {
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

    async fn fetch(&self) -> Result<JwkSet, String> {
        let place = &self.settings.jwks;
        let bytes = if place.starts_with("https://") || place.starts_with("http://") {
            fetch::body(self.client.get(place).send().await, LARGEST_SET).await?
        } else {
            tokio::fs::read(place).await.map_err(|error| format!("{place}: {error}"))?
        };
        serde_json::from_slice(&bytes).map_err(|error| format!("{place}: {error}"))
    }
}

/// `exp` and `nbf`, which are numbers of seconds, and the first of them must be there.
fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Vouch> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().ok_or(Vouch::No("the token's times are not numbers"))?;
            let moment =
                Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).unwrap_or_default());
            moment.map(Some).map_err(|_| Vouch::No("the token's times are out of range"))
        }
    };
    let expires = time("exp")?.ok_or(Vouch::No("the token never expires"))?;
    if now.duration_since(expires) >= LEEWAY {
        return Err(Vouch::No("the token has expired"));
    }
    match time("nbf")? {
        Some(begins) if begins.duration_since(now) > LEEWAY => Err(Vouch::No("the token is not valid yet")),
        _ => Ok(()),
    }
}

/// Why a token is not believed.
#[derive(Debug)]
pub(crate) enum Vouch {
    /// For the person.
    No(&'static str),
    /// The records could not be asked.
    Records(RecordsError),
}

impl From<RecordsError> for Vouch {
    fn from(error: RecordsError) -> Self {
        Self::Records(error)
    }
}
