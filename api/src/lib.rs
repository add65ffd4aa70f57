//! The HTTP API of Cloakroom. It is the only crate that uses axum.
//!
//! ```text
//! http ─► router ─► auth       authenticates the caller and checks permissions
//!                   dropbox    the dropbox pictures API: upload, view, crop, claim
//!                   documents  files, their renditions, links to them
//!                   service_api, upload_list, upload_status, health, ui, openapi
//! ```
//!
//! The API decodes no pixel and consumes no job. It stages and admits uploads, enqueues jobs, waits for outcomes, and
//! streams what workers made. The wire rules are those of the dropbox contract (`docs/contracts/dropbox.md`) and of the
//! rendition contract (`docs/contracts/renditions.md`). Errors have the form that these contracts define, and are
//! problem documents elsewhere.

mod auth;
mod documents;
mod dropbox;
mod error;
mod health;
mod http;
mod in_flight;
mod ingest;
mod job_publisher;
mod maintenance;
mod open_error;
mod openapi;
mod quota;
mod readiness;
mod resource;
mod router;
mod service_api;
mod settings;
mod state;
mod ui;
mod upload_deletion;
mod upload_list;
mod upload_status;

use std::sync::Arc;
use std::time::Duration;

use address::TlsSettings;
use backends::Backends;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use crate::http::cross_origin::CorsSettings;
pub use crate::http::server::ServeError;
pub use crate::http::settings::HttpSettings;
pub use auth::oidc::OidcSettings;
pub use auth::password::{HashError, hash_password};
pub use auth::policy_client::PolicySettings;
pub use auth::realm::{RealmSettings, SecureCookies};
pub use auth::service_settings::ServiceSettings;
use auth::signing_keys::SigningKeys;
pub use auth::user_admin::{
    FirstAdmin, NewUser, add_user, change_user, end_sessions, ensure_admin, generate_password, issue_token, rotate_keys,
};
pub use documents::settings::DocumentSettings;
pub use dropbox::settings::UploadSettings;
use job_publisher::JobPublisher;
use maintenance::Maintenance;
pub use open_error::OpenError;
pub use readiness::ReadinessProbe;
pub use settings::ApiSettings;
use state::{AppState, Foundations};

/// The default settings of the API's sections, in TOML, with a comment for each key.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// The API, ready to serve.
pub struct Api {
    state: AppState,
    maintenance: Maintenance,
    confirmation_recorder: JoinHandle<()>,
}

impl Api {
    /// Prepares to serve: reads the signing keys, or creates the first key.
    ///
    /// # Errors
    /// Invalid settings. Any database error.
    pub async fn open(
        settings: &ApiSettings,
        backends: Backends,
        metrics: PrometheusHandle,
    ) -> Result<Self, OpenError> {
        let signing_keys = SigningKeys::load(&backends.records).await?;
        let (publisher, confirmation_recorder) = JobPublisher::start(backends.queue.clone(), backends.records.clone());
        let maintenance = Maintenance::new(signing_keys.clone(), metrics.clone(), &settings.realm);
        let client = http_client(&settings.tls)?;
        let state = AppState::build(Foundations { settings, backends, signing_keys, client, publisher, metrics })?;
        Ok(Self { state, maintenance, confirmation_recorder })
    }

    /// Returns a probe that gives the `/readyz` report to another listener.
    pub fn readiness(&self) -> ReadinessProbe {
        ReadinessProbe(Arc::clone(&self.state.readiness))
    }

    /// Serves until `stop`. Then waits a bounded time for the requests in flight to finish, and returns.
    ///
    /// # Errors
    /// A listening socket that fails.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { state, maintenance, confirmation_recorder } = self;
        let maintenance = tokio::spawn(maintenance.run(stop.clone()));
        let served = http::server::serve(router::router(state.clone()), listener, &state.http, stop).await;
        maintenance.abort();
        maintenance.await.ok();
        // Dropping the last `AppState` drops the publisher, so the recorder writes what remains and ends. Connections
        // that were cut may hold an `AppState` a little longer, so this wait is bounded. A job whose confirmation is not
        // recorded is published twice, which is harmless.
        drop(state);
        tokio::time::timeout(Duration::from_secs(1), confirmation_recorder).await.ok();
        served
    }
}

/// Builds the client for the portal's own systems: its identity provider and its policy decision point.
fn http_client(tls: &TlsSettings) -> Result<reqwest::Client, OpenError> {
    // The whole program uses one TLS provider. It is not an error if another part of the program installed it first.
    rustls::crypto::ring::default_provider().install_default().ok();
    let no_client = |error| OpenError::InvalidInput(format!("no HTTP client: {}", domain::chain(&error)));
    let trusted = tls.certificates()?.unwrap_or_default();
    let trusted = reqwest::Certificate::from_pem_bundle(trusted.as_bytes()).map_err(no_client)?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).tls_certs_merge(trusted);
    client.redirect(reqwest::redirect::Policy::none()).build().map_err(no_client)
}
