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

mod claim;
mod coming;
mod connections;
mod crop;
mod desk;
mod docs;
mod documents;
mod forwarded;
mod health;
mod html;
mod key_lock;
mod once;
mod page;
mod peer;
mod problem;
mod published;
mod readiness;
mod receive;
mod resource;
mod router;
mod serve;
mod service;
mod share;
mod show;
mod status;
mod who;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upload::{Places, RecordsError, TlsSettings, WrongSetting};

use desk::{Desk, Inside};
pub use documents::settings::DocumentSettings;
pub use readiness::ReadinessProbe;
pub use receive::settings::UploadSettings;
pub use serve::{HttpSettings, ServeError};
pub use service::ServiceSettings;
pub use who::{
    DecisionSettings, FirstAdmin, HashError, IdentitySettings, NewUser, RealmSettings, SecureCookies, add_user,
    change_user, end_sessions, ensure_admin, hash_password, issue_token, make_up_password, rotate_keys,
};

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
    pub fn check(&self) -> Result<(), WrongSetting> {
        let Self { http, realm, uploads, .. } = self;
        realm.check()?;
        WrongSetting::unless_address("http.listen", &http.listen)?;
        let most = Semaphore::MAX_PERMITS;
        for (key, count) in [
            ("http.max_connections", http.max_connections),
            ("http.max_connections_per_address", http.max_connections_per_address),
            ("uploads.most_at_once", uploads.most_at_once),
        ] {
            WrongSetting::unless((1..=most).contains(&count), key, count, &format!("write 1 to {most}"))?;
        }
        WrongSetting::unless_counts([
            ("uploads.max_bytes", uploads.max_bytes.as_u64()),
            ("uploads.requests_per_minute", uploads.requests_per_minute.into()),
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
            WrongSetting::unless(!time.is_zero(), key, "0s", "write a longer time, such as 15s")?;
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
    Settings(String),
}

impl From<WrongSetting> for OpenError {
    fn from(error: WrongSetting) -> Self {
        Self::Settings(error.to_string())
    }
}

impl From<who::KeyError> for OpenError {
    fn from(error: who::KeyError) -> Self {
        match error {
            who::KeyError::Records(error) => Self::Records(error),
            who::KeyError::Random(_) => Self::Settings(error.to_string()),
        }
    }
}

/// The api, ready to serve.
pub struct Api {
    desk: Desk,
    noting: JoinHandle<()>,
}

impl Api {
    /// Prepares to serve: reads the signing keys, or makes the first.
    ///
    /// # Errors
    /// Where the settings make no sense or the records do not answer.
    pub async fn open(settings: &ApiSettings, places: Places, metrics: PrometheusHandle) -> Result<Self, OpenError> {
        let realm = settings.realm.clone();
        let names = who::Names::of(&realm.fedmember)?;
        let keys = who::Keys::open(&places.records).await?;
        let (published, confirmed) = mpsc::unbounded_channel();
        let noting = tokio::spawn(published::note(places.records.clone(), confirmed));
        let client = client(&settings.tls)?;
        let identity = who::Identity::open(&realm.identity, &client)?;
        let service_keys = realm.service.digests()?;
        let desk = Desk::new(Inside {
            decisions: who::Decisions::open(&realm.decisions, &client),
            identity,
            service_keys,
            passwords: who::Passwords::new(),
            logins: who::Attempts::new(realm.login_limits()),
            access_codes: who::Attempts::new(settings.documents.code_limits(&realm)),
            opened_links: documents::opened_links::OpenedLinks::default(),
            sessions: who::SessionCache::new(realm.session_check),
            coming: coming::AllComing::default(),
            arriving: coming::AllComing::default(),
            documents: settings.documents.clone(),
            requests: who::Throttle::new(settings.uploads.requests_per_minute, Duration::from_secs(60)),
            room: Arc::new(Semaphore::new(settings.uploads.most_at_once)),
            http: settings.http.clone(),
            uploads: settings.uploads.clone(),
            readiness: Arc::default(),
            names,
            keys,
            realm,
            places,
            published,
            metrics,
        });
        Ok(Self { desk, noting })
    }

    /// What `/readyz` says, for a listener apart from this one.
    pub fn readiness(&self) -> ReadinessProbe {
        ReadinessProbe { readiness: Arc::clone(&self.desk.readiness), places: self.desk.places.clone() }
    }

    /// Serves until `stop`, then lets what is in flight finish, bounded, and returns.
    ///
    /// # Errors
    /// Where the listening socket breaks.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { desk, noting } = self;
        let tending = tokio::spawn(tend(desk.clone(), stop.clone()));
        let served = serve::serve(router::router(desk.clone()), listener, &desk.http, stop).await;
        tending.abort();
        tending.await.ok();
        // The last desk takes the sender with it; what is still to be noted is noted then. Connections that were cut
        // may hold one a little longer, so this wait is bounded; what is not noted is published twice, which is fine.
        drop(desk);
        tokio::time::timeout(Duration::from_secs(1), noting).await.ok();
        served
    }
}

/// For asking the portal's own systems: its identity provider, its policy decision point.
fn client(tls: &TlsSettings) -> Result<reqwest::Client, OpenError> {
    // One provider of TLS for the whole program; that another place was faster to say so is fine.
    rustls::crypto::ring::default_provider().install_default().ok();
    let no_client = |error| OpenError::Settings(format!("no HTTP client: {}", upload::chain(&error)));
    let trusted = tls.certificates()?.unwrap_or_default();
    let trusted = reqwest::Certificate::from_pem_bundle(trusted.as_bytes()).map_err(no_client)?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).tls_certs_merge(trusted);
    client.redirect(reqwest::redirect::Policy::none()).build().map_err(no_client)
}

/// How often an api looks for a new signing key. A login and a renewed session look as well.
const KEYS_EVERY: Duration = Duration::from_secs(10);

/// Keeps the keys young and the numbers tidy.
async fn tend(desk: Desk, stop: CancellationToken) {
    let (mut round, mut failing): (u32, bool) = (0, false);
    while !stop.is_cancelled() {
        desk.metrics.run_upkeep();
        let hourly = round.is_multiple_of(360);
        let tended = if hourly {
            desk.keys.rotate(desk.realm.rotate_keys, desk.realm.session).await
        } else {
            desk.keys.refresh().await.map_err(Into::into)
        };
        match &tended {
            Err(error) if !failing => tracing::warn!(%error, "the signing keys could not be tended: {error}"),
            _ => {}
        }
        failing = tended.is_err();
        // What failed in an hourly round is tried again in the next one, not in an hour.
        if !(failing && hourly) {
            round = round.wrapping_add(1);
        }
        tokio::time::sleep(KEYS_EVERY).await;
    }
}
