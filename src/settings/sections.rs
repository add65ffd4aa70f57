//! Every setting of the program.

use std::path::PathBuf;

use anyhow::Context;
use domain::Secret;
use serde::{Deserialize, Serialize};

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

/// The commented defaults of all crates, as one file.
pub(crate) fn defaults() -> String {
    [include_str!("../defaults.toml"), api::DEFAULTS, backends::DEFAULTS, worker::DEFAULTS].join("\n")
}

impl Settings {
    /// Checks everything that needs no other service. So `cloakroom config check` also refuses settings with which a
    /// start would fail, or with which no request could be served.
    pub(super) fn check(&self) -> anyhow::Result<()> {
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

    /// Gives staging, blobs and records an address below the data directory if they have none.
    pub(super) fn fill_default_urls(&mut self) -> anyhow::Result<()> {
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
