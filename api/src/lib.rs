//! HTTP in, HTTP out: the counter of the cloakroom, and the sole owner of axum.
//!
//! ```text
//! serve ─► router ─► who      is at the counter, and what they may
//!                    receive  takes a picture in and waits for the verdict
//!                    show     pictures and avatars, by way of variants
//!                    documents  files, their renditions, links to them
//!                    crop, claim, status, health
//! ```
//!
//! The api decodes no pixel and consumes no job: it stages, admits, promises, waits, and streams what workers made. The
//! wire rules are the dropbox and the rendition contract's; errors are what those say, and problem documents elsewhere.

mod auth;
mod claim;
mod client_ip;
mod connections;
mod crop;
mod documents;
mod dropbox;
mod error;
mod forwarded;
mod health;
mod html;
mod idempotency;
mod idempotency_lock;
mod in_flight;
mod openapi;
mod pictures;
mod publish_confirmations;
mod quota;
mod readiness;
mod resource;
mod router;
mod server;
mod service_api;
mod state;
mod ui;
mod upload_status;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upload::{Backends, InvalidSetting, RecordsError, TlsSettings};

pub use auth::{
    FirstAdmin, HashError, NewUser, OidcSettings, PolicySettings, RealmSettings, SecureCookies, add_user, change_user,
    end_sessions, ensure_admin, generate_password, hash_password, issue_token, rotate_keys,
};
pub use documents::settings::DocumentSettings;
pub use dropbox::settings::UploadSettings;
pub use readiness::ReadinessProbe;
pub use server::{HttpSettings, ServeError};
pub use service_api::ServiceSettings;
use state::{AppState, AppStateInner};

/// The defaults of the sections below, commented key by key, in TOML.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// What the api is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Connections.
    pub http: HttpSettings,
    /// People and sessions.
    pub realm: RealmSettings,
    /// Pictures.
    pub uploads: UploadSettings,
    /// Files and renditions.
    pub documents: DocumentSettings,
    /// Which certificates of the portal's own servers are trusted.
    #[serde(default)]
    pub tls: TlsSettings,
}

impl ApiSettings {
    /// Looks at them without opening anything. Of what is not here, 0 has a meaning, if only that nobody may.
    ///
    /// # Errors
    /// Where one would keep all requests from being answered; it is named.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let Self { http, realm, uploads, .. } = self;
        realm.check()?;
        InvalidSetting::require_listen_address("http.listen", &http.listen)?;
        let max = Semaphore::MAX_PERMITS;
        for (key, count) in [
            ("http.max_connections", http.max_connections),
            ("http.max_connections_per_address", http.max_connections_per_address),
            ("uploads.max_concurrent", uploads.max_concurrent),
        ] {
            InvalidSetting::require((1..=max).contains(&count), key, count, &format!("write 1 to {max}"))?;
        }
        InvalidSetting::require_positive([
            ("uploads.max_bytes", uploads.max_bytes.as_u64()),
            ("uploads.max_requests_per_minute", uploads.max_requests_per_minute.into()),
            ("uploads.max_in_flight", uploads.max_in_flight),
            ("uploads.max_stored_bytes", uploads.max_stored_bytes.as_u64()),
        ])?;
        for (key, time) in [
            ("http.header_timeout", http.header_timeout),
            ("http.body_idle_timeout", http.body_idle_timeout),
            ("http.body_timeout", http.body_timeout),
            ("http.write_timeout", http.write_timeout),
            ("uploads.deadline", uploads.deadline),
        ] {
            InvalidSetting::require(!time.is_zero(), key, "0s", "write a longer time, such as 15s")?;
        }
        Ok(())
    }
}

/// Why the api could not be opened, or one of its commands not be done.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The records did not do it.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// What was asked for makes no sense; the text says what and what to do.
    #[error("{0}")]
    InvalidInput(String),
}

impl From<InvalidSetting> for OpenError {
    fn from(error: InvalidSetting) -> Self {
        Self::InvalidInput(error.to_string())
    }
}

impl From<auth::KeyError> for OpenError {
    fn from(error: auth::KeyError) -> Self {
        match error {
            auth::KeyError::Records(error) => Self::Records(error),
            auth::KeyError::Random(_) => Self::InvalidInput(error.to_string()),
        }
    }
}

/// The api, ready to serve.
pub struct Api {
    state: AppState,
    confirmation_recorder: JoinHandle<()>,
}

impl Api {
    /// Prepares to serve: reads the signing keys, or makes the first.
    ///
    /// # Errors
    /// Where the settings make no sense or the records do not answer.
    pub async fn open(
        settings: &ApiSettings,
        backends: Backends,
        metrics: PrometheusHandle,
    ) -> Result<Self, OpenError> {
        let realm = settings.realm.clone();
        let realm_names = auth::RealmNames::from_fedmember(&realm.fedmember)?;
        let signing_keys = auth::SigningKeys::load(&backends.records).await?;
        let (confirmed_jobs, confirmations) = mpsc::unbounded_channel();
        let confirmation_recorder =
            tokio::spawn(publish_confirmations::record(backends.records.clone(), confirmations));
        let client = http_client(&settings.tls)?;
        let token_verifier = auth::TokenVerifier::open(&realm.oidc, &client)?;
        let service_keys = realm.service.key_digests()?;
        let state = AppState::new(AppStateInner {
            policy_client: auth::PolicyClient::open(&realm.policy, &client),
            token_verifier,
            service_keys,
            passwords: auth::Passwords::new(),
            login_attempts: auth::AttemptLimiter::new(realm.login_limits()),
            access_code_attempts: auth::AttemptLimiter::new(settings.documents.access_code_limits(&realm)),
            access_code_cache: documents::access_code_cache::AccessCodeCache::default(),
            session_cache: auth::SessionCache::new(realm.session_cache_time),
            in_flight_pictures: in_flight::InFlightUploads::default(),
            in_flight_uploads: in_flight::InFlightUploads::default(),
            documents: settings.documents.clone(),
            request_limiter: auth::RateLimiter::new(settings.uploads.max_requests_per_minute, Duration::from_secs(60)),
            upload_slots: Arc::new(Semaphore::new(settings.uploads.max_concurrent)),
            http: settings.http.clone(),
            uploads: settings.uploads.clone(),
            readiness: Arc::default(),
            realm_names,
            signing_keys,
            realm,
            backends,
            confirmed_jobs,
            metrics,
        });
        Ok(Self { state, confirmation_recorder })
    }

    /// What `/readyz` says, for a listener apart from this one.
    pub fn readiness(&self) -> ReadinessProbe {
        ReadinessProbe { readiness: Arc::clone(&self.state.readiness), backends: self.state.backends.clone() }
    }

    /// Serves until `stop`, then lets what is in flight finish, bounded, and returns.
    ///
    /// # Errors
    /// Where the listening socket breaks.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { state, confirmation_recorder: noting } = self;
        let maintenance = tokio::spawn(run_maintenance(state.clone(), stop.clone()));
        let served = server::serve(router::router(state.clone()), listener, &state.http, stop).await;
        maintenance.abort();
        maintenance.await.ok();
        // The last desk takes the sender with it; what is still to be noted is noted then. Connections that were cut
        // may hold one a little longer, so this wait is bounded; what is not noted is published twice, which is fine.
        drop(state);
        tokio::time::timeout(Duration::from_secs(1), noting).await.ok();
        served
    }
}

/// For asking the portal's own systems: its identity provider, its policy decision point.
fn http_client(tls: &TlsSettings) -> Result<reqwest::Client, OpenError> {
    // One provider of TLS for the whole program; that another place was faster to say so is fine.
    rustls::crypto::ring::default_provider().install_default().ok();
    let no_client = |error| OpenError::InvalidInput(format!("no HTTP client: {}", upload::chain(&error)));
    let trusted = tls.certificates()?.unwrap_or_default();
    let trusted = reqwest::Certificate::from_pem_bundle(trusted.as_bytes()).map_err(no_client)?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).tls_certs_merge(trusted);
    client.redirect(reqwest::redirect::Policy::none()).build().map_err(no_client)
}

/// How often an api looks for a new signing key. A login and a renewed session look as well.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// Keeps the keys young and the numbers tidy.
async fn run_maintenance(state: AppState, stop: CancellationToken) {
    let (mut round, mut failing): (u32, bool) = (0, false);
    while !stop.is_cancelled() {
        state.metrics.run_upkeep();
        let hourly = round.is_multiple_of(360);
        let result = if hourly {
            state.signing_keys.rotate(state.realm.key_rotation_interval, state.realm.session_lifetime).await
        } else {
            state.signing_keys.refresh().await.map_err(Into::into)
        };
        match &result {
            Err(error) if !failing => tracing::warn!(%error, "the signing keys could not be tended: {error}"),
            _ => {}
        }
        failing = result.is_err();
        // What failed in an hourly round is tried again in the next one, not in an hour.
        if !(failing && hourly) {
            round = round.wrapping_add(1);
        }
        tokio::time::sleep(MAINTENANCE_INTERVAL).await;
    }
}
