//! The settings of the program: the defaults of each crate, overridden by a file, overridden by the environment.

mod known_keys;
mod overrides;
mod problem;

use std::path::{Path, PathBuf};

use anyhow::Context;
use domain::Secret;
use serde::{Deserialize, Serialize};

use self::known_keys::KnownKeys;
use self::overrides::{Override, Overrides};
use self::problem::{Problem, SettingsError};

/// All settings. An unknown key is an error, so that a typing mistake does not silently leave the default in effect.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) log: crate::log::LogSettings,
    pub(crate) traces: crate::traces::TraceSettings,
    pub(crate) probes: crate::probes::ProbeSettings,
    pub(crate) shutdown: crate::shutdown::ShutdownSettings,
    pub(crate) http: api::HttpSettings,
    pub(crate) realm: api::RealmSettings,
    pub(crate) uploads: api::UploadSettings,
    pub(crate) documents: api::DocumentSettings,
    pub(crate) tls: address::TlsSettings,
    pub(crate) staging: storage::StoreSettings,
    pub(crate) queue: queue::QueueSettings,
    pub(crate) blobs: storage::StoreSettings,
    pub(crate) records: records::RecordsSettings,
    pub(crate) worker: worker::JobSettings,
    pub(crate) pictures: worker::PictureSettings,
    pub(crate) sweep: worker::SweepSettings,
}

/// The settings file to read if none is named.
const DEFAULT_FILE: &str = "cloakroom.toml";

/// The commented defaults of all crates, as one file.
pub(crate) fn defaults() -> String {
    [include_str!("defaults.toml"), api::DEFAULTS, backends::DEFAULTS, worker::DEFAULTS].join("\n")
}

impl Settings {
    /// Loads all settings. `file` must exist if it is given; otherwise `cloakroom.toml` is read if it exists.
    ///
    /// # Errors
    /// If the file cannot be read, a key is unknown or a value is invalid. The error names every such key, where it was
    /// set, and what is allowed.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let (path, required) = (file.unwrap_or(Path::new(DEFAULT_FILE)), file.is_some());
        let known = KnownKeys::embedded()?;
        let mut overrides = Overrides::default();
        overrides.read_file(&known, path, required)?;
        overrides.read_environment(&known, std::env::vars_os());
        Self::from_overrides(&known, overrides)
    }

    fn from_overrides(known: &KnownKeys, overrides: Overrides) -> anyhow::Result<Self> {
        let Overrides { mut values, mut problems, file_unreadable } = overrides;
        loop {
            let settings = Self::with_values(known, &values)?;
            // Settings that depend on each other cannot be checked while some of them are unknown.
            let checked = if file_unreadable { Ok(()) } else { settings.check() };
            match checked {
                Ok(()) if problems.is_empty() => return Ok(settings),
                Ok(()) => return Err(SettingsError::new(problems).into()),
                Err(error) => {
                    // A check ends at the first invalid setting. It is repeated without that setting, so that all
                    // invalid settings are reported at once.
                    let message = format!("{error:#}");
                    let key = key_of(known, &message);
                    let origin = values.iter().rfind(|value| Some(&value.key) == key.as_ref());
                    problems.push(Problem { origin: origin.map(|value| value.origin.clone()), message });
                    let section = |key: &str| key.rsplit_once('.').map(|(section, _)| section.to_owned());
                    let (before, set) = (values.len(), origin.is_some());
                    values.retain(|value| match (&key, set) {
                        (Some(key), true) => value.key != *key,
                        // The invalid setting is a default, which does not fit what was set beside it.
                        (Some(key), false) => section(&value.key) != section(key),
                        (None, _) => false,
                    });
                    if values.len() == before {
                        return Err(SettingsError::new(problems).into());
                    }
                }
            }
        }
    }

    /// Returns the defaults with these values instead of theirs, and an address for each backend.
    fn with_values(known: &KnownKeys, values: &[Override]) -> anyhow::Result<Self> {
        let mut table = known.defaults().clone();
        for Override { key, value, .. } in values {
            known_keys::set(&mut table, key, value.clone());
        }
        let mut settings: Self = table.try_into()?;
        settings.fill_default_urls()?;
        Ok(settings)
    }

    /// Checks everything that needs no other service. So `cloakroom config check`, too, refuses settings with which a
    /// start would fail, or with which no request could be served.
    fn check(&self) -> anyhow::Result<()> {
        self.log.filter()?;
        self.traces.check()?;
        self.probes.check()?;
        self.shutdown.check()?;
        self.tls.check()?;
        self.api().check()?;
        self.backends().check()?;
        self.worker().check()?;
        Ok(())
    }

    /// Gives each backend without an address one below the data directory.
    fn fill_default_urls(&mut self) -> anyhow::Result<()> {
        let data = std::path::absolute(&self.data_dir).context("data_dir")?;
        let below = |scheme: &str, name: &str| Secret::new(format!("{scheme}://{}", data.join(name).display()));
        for (url, scheme, name) in [
            (&mut self.staging.url, "file", "staging"),
            (&mut self.blobs.url, "file", "blobs"),
            (&mut self.records.url, "sqlite", "records.db"),
        ] {
            if url.expose().is_empty() {
                *url = below(scheme, name);
            }
        }
        self.data_dir = data;
        Ok(())
    }

    pub(crate) fn backends(&self) -> backends::BackendsSettings {
        backends::BackendsSettings {
            staging: self.staging.clone(),
            queue: self.queue.clone(),
            blobs: self.blobs.clone(),
            records: self.records.clone(),
        }
        .with_trusted_ca(&self.tls)
    }

    /// Returns the records' address in the form that the migrations take.
    ///
    /// # Errors
    /// If no database can be opened at this address.
    pub(crate) fn records_url(&self) -> Result<String, domain::InvalidSetting> {
        self.backends().records.database_url()
    }

    pub(crate) fn api(&self) -> api::ApiSettings {
        api::ApiSettings {
            http: self.http.clone(),
            realm: self.realm.clone(),
            uploads: self.uploads.clone(),
            documents: self.documents.clone(),
            tls: self.tls.clone(),
        }
    }

    pub(crate) fn worker(&self) -> worker::WorkerSettings {
        worker::WorkerSettings {
            worker: self.worker.clone(),
            pictures: self.pictures.clone(),
            sweep: self.sweep.clone(),
        }
    }
}

/// Returns the key with which the message of a check begins. Every check names its setting first.
fn key_of(known: &KnownKeys, message: &str) -> Option<String> {
    known.all().into_iter().filter(|key| message.starts_with(key.as_str())).max_by_key(String::len)
}
