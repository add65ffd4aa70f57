//! What an API process does beside its requests: it rotates and refreshes the signing keys, and runs the upkeep of the
//! metrics.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::auth::realm::RealmSettings;
use crate::auth::signing_keys::SigningKeys;

/// The time between two rounds. Each round looks for a new signing key. A login and a session renewal look for one as
/// well.
const INTERVAL: Duration = Duration::from_secs(10);
/// The rounds from one rotation of the signing keys to the next: one hour. A rotation makes a new key if the newest key
/// is old enough.
const ROTATION_ROUNDS: u32 = 360;

/// The maintenance of one process.
pub(crate) struct Maintenance {
    signing_keys: SigningKeys,
    metrics: PrometheusHandle,
    rotation_interval: Duration,
    session_lifetime: Duration,
}

impl Maintenance {
    pub(crate) fn new(signing_keys: SigningKeys, metrics: PrometheusHandle, realm: &RealmSettings) -> Self {
        let (rotation_interval, session_lifetime) = (realm.key_rotation_interval, realm.session_lifetime);
        Self { signing_keys, metrics, rotation_interval, session_lifetime }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (mut round, mut is_failing): (u32, bool) = (0, false);
        while !stop.is_cancelled() {
            self.metrics.run_upkeep();
            let is_rotation = round.is_multiple_of(ROTATION_ROUNDS);
            let result = if is_rotation {
                self.signing_keys.rotate(self.rotation_interval, self.session_lifetime).await
            } else {
                self.signing_keys.refresh().await.map_err(Into::into)
            };
            match &result {
                Err(error) if !is_failing => tracing::warn!(%error, "the signing keys were not refreshed: {error}"),
                _ => {}
            }
            is_failing = result.is_err();
            // If a rotation fails, the next round tries it again, so that it does not wait for an hour.
            if !(is_failing && is_rotation) {
                round = round.wrapping_add(1);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}
