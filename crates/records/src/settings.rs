//! Settings of the records.

use std::time::Duration;

use bytesize::ByteSize;
use domain::{InvalidSetting, Secret};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use serde::{Deserialize, Serialize};

/// Settings of the records.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsSettings {
    /// `sqlite:///a/file.db` or `postgres://user:password@host/database`; empty means a file in the data directory.
    pub url: Secret,
    /// Maximum number of open connections.
    pub max_connections: u32,
    /// For SQLite: free space on its file system below which uploads are refused. 0 refuses none.
    pub min_free: ByteSize,
    /// Maximum duration of one call; after that its connection is discarded.
    #[serde(with = "friendly_duration")]
    pub timeout: Duration,
    /// The pooler between this process and PostgreSQL.
    pub pooler: Pooler,
}

/// A pooler in front of PostgreSQL, as far as its clients must know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooler {
    /// None, or one that gives a client the same server for as long as its connection lives (session mode).
    #[default]
    None,
    /// One that may give a client another server for each transaction, as PgBouncer in transaction mode.
    Transaction,
}

impl RecordsSettings {
    /// Settings for a database at `url`. Everything else has its default, except the reserve, which is 0.
    pub fn new(url: Secret, max_connections: u32) -> Self {
        let timeout = Duration::from_secs(10);
        Self { url, max_connections, min_free: ByteSize::b(0), timeout, pooler: Pooler::None }
    }

    /// Checks the settings without opening anything.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        self.database_url()?;
        let short = self.timeout < Duration::from_secs(1);
        InvalidSetting::require(!short, "records.timeout", format_args!("{:?}", self.timeout), "write 1s or more")?;
        InvalidSetting::require_positive([("records.max_connections", self.max_connections.into())])
    }
}
