//! Settings of the queue.

use std::time::Duration;

use domain::{Routing, Secret};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use serde::{Deserialize, Serialize};

use crate::broker_address;
use crate::error::QueueError;

/// Settings of the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// `memory:` or `amqp://user:password@host:5672/vhost`.
    pub url: Secret,
    /// The prefix of the names of all queues and exchanges, so that two installations can share one broker.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// How long a picture may take to render, as estimated from its header, before its jobs go to the queue `heavy`.
    #[serde(default = "heavy_threshold", with = "friendly_duration")]
    pub heavy_threshold: Duration,
    /// How many jobs of one user may be in flight before further ones go to the queue `bulk`.
    #[serde(default = "bulk_threshold")]
    pub bulk_threshold: u32,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            url: Secret::new("memory:"),
            prefix: prefix(),
            heavy_threshold: heavy_threshold(),
            bulk_threshold: bulk_threshold(),
        }
    }
}

impl QueueSettings {
    /// Which jobs go to `bulk` and `heavy`.
    pub fn routing(&self) -> Routing {
        Routing { heavy_threshold: self.heavy_threshold, bulk_threshold: self.bulk_threshold }
    }

    /// Checks the settings without opening anything.
    pub fn check(&self) -> Result<(), QueueError> {
        if self.url.expose() == "memory:" { Ok(()) } else { broker_address::parse_address(&self.url).map(drop) }
    }

    /// Trusts the certificate authorities in this file for the broker's certificate, unless the address names a file of
    /// its own.
    pub fn trust_ca_file(&mut self, ca_file: &str) {
        broker_address::trust_ca_file(&mut self.url, ca_file);
    }
}

fn prefix() -> String {
    "cloakroom".to_owned()
}

fn heavy_threshold() -> Duration {
    Routing::default().heavy_threshold
}

fn bulk_threshold() -> u32 {
    Routing::default().bulk_threshold
}
