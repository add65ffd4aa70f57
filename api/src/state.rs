//! The state that all handlers share: the four backends, the settings, the keys and the counters. Clones share it.

use std::sync::Arc;

use backends::Backends;
use domain::JobId;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, mpsc};

use crate::auth::attempt_limiter::AttemptLimiter;
use crate::auth::oidc::TokenVerifier;
use crate::auth::password::Passwords;
use crate::auth::policy_client::PolicyClient;
use crate::auth::rate_limiter::RateLimiter;
use crate::auth::realm::{RealmNames, RealmSettings};
use crate::auth::session_cache::SessionCache;
use crate::auth::signing_keys::SigningKeys;
use crate::documents::access_codes::AccessCodeCache;
use crate::documents::settings::DocumentSettings;
use crate::dropbox::settings::UploadSettings;
use crate::http::settings::HttpSettings;
use crate::in_flight::InFlightUploads;
use crate::readiness::Readiness;

/// The application state that every handler receives.
#[derive(Clone)]
pub(crate) struct AppState(Arc<AppStateInner>);

pub(crate) struct AppStateInner {
    pub(crate) backends: Backends,
    pub(crate) http: HttpSettings,
    pub(crate) realm: RealmSettings,
    pub(crate) uploads: UploadSettings,
    pub(crate) documents: DocumentSettings,
    pub(crate) realm_names: RealmNames,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) token_verifier: Option<TokenVerifier>,
    pub(crate) policy_client: Option<PolicyClient>,
    /// Digests of the service keys.
    pub(crate) service_keys: Vec<[u8; 32]>,
    pub(crate) passwords: Passwords,
    pub(crate) login_attempts: AttemptLimiter,
    pub(crate) access_code_attempts: AttemptLimiter,
    pub(crate) access_code_cache: AccessCodeCache,
    pub(crate) session_cache: SessionCache,
    pub(crate) request_limiter: RateLimiter,
    pub(crate) in_flight_pictures: InFlightUploads,
    /// The uploads in flight over both contracts, for the quotas.
    pub(crate) in_flight_uploads: InFlightUploads,
    /// How many more uploads may be in flight at once.
    pub(crate) upload_slots: Arc<Semaphore>,
    /// Jobs that the queue has confirmed, to be recorded.
    pub(crate) confirmed_jobs: mpsc::UnboundedSender<JobId>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) readiness: Arc<Readiness>,
}

impl AppState {
    pub(crate) fn new(inside: AppStateInner) -> Self {
        Self(Arc::new(inside))
    }
}

impl std::ops::Deref for AppState {
    type Target = AppStateInner;

    fn deref(&self) -> &AppStateInner {
        &self.0
    }
}
