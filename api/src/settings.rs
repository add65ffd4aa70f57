//! The settings of the API.

use address::TlsSettings;
use domain::InvalidSetting;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::auth::realm::RealmSettings;
use crate::documents::settings::DocumentSettings;
use crate::dropbox::settings::UploadSettings;
use crate::http::path_prefix;
use crate::http::settings::HttpSettings;

/// The settings of the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Connections, their limits and timeouts.
    pub http: HttpSettings,
    /// Users and sessions.
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
    /// Checks the settings without opening anything. Some settings are not checked. They may be 0, even if 0 means that
    /// nothing is permitted.
    ///
    /// # Errors
    /// A value that is invalid, or with which no request could be answered. The error names the setting.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let Self { http, realm, uploads, .. } = self;
        realm.check()?;
        InvalidSetting::require_listen_address("http.listen", &http.listen)?;
        path_prefix::check(&http.path_prefix)?;
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
