//! `[documents]`: limits of files and renditions, and how long deleted files are kept.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use serde::{Deserialize, Serialize};

use crate::auth::attempt_limiter::AttemptLimits;
use crate::auth::realm::RealmSettings;

/// `[documents]`: how large files and renditions may be, how many renditions a version may have, and how long a deleted
/// file is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentSettings {
    /// The largest custom rendition.
    pub max_rendition_bytes: ByteSize,
    /// The largest file.
    pub max_file_bytes: ByteSize,
    /// The most custom renditions of one version.
    pub max_renditions: u64,
    /// How long a deleted file can be restored.
    #[serde(with = "friendly_duration")]
    pub deletion_grace: Duration,
    /// How many access codes may be tried at one public link from one network address, counting IPv6 by /64, per
    /// `realm.login_window`.
    pub max_codes_per_link_and_address: u32,
    /// How many access codes may be tried from one network address at all links, per `realm.login_window`.
    pub max_codes_per_address: u32,
    /// How many access codes may be tried at one public link from all addresses together, per
    /// `realm.login_account_window`.
    pub max_codes_per_link: u32,
}

impl DocumentSettings {
    /// Returns the limits for access-code attempts.
    pub(crate) fn access_code_limits(&self, realm: &RealmSettings) -> AttemptLimits {
        AttemptLimits {
            per_address_and_account: self.max_codes_per_link_and_address,
            per_address: self.max_codes_per_address,
            per_account: self.max_codes_per_link,
            window: realm.login_window,
            account_window: realm.login_account_window,
        }
    }
}
