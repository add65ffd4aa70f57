//! How a process ends. The first SIGTERM or Ctrl-C drains: the process takes nothing new and finishes the work in
//! progress. A second signal aborts, and so does the end of the grace period. Everything acknowledged is durable, so an
//! abort loses nothing, but leaves more to repair.

use std::time::Duration;

use domain::InvalidSetting;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Section `[shutdown]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShutdownSettings {
    /// How long a process may take to finish the work in progress after it is told to stop.
    #[serde(with = "friendly_duration")]
    pub(crate) grace_period: Duration,
}

/// The exit status of a process that did not finish within its grace period.
const EXIT_UNFINISHED: i32 = 1;

impl ShutdownSettings {
    /// Refuses a grace period of zero.
    ///
    /// # Errors
    /// If the grace period is zero.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        InvalidSetting::require(
            !self.grace_period.is_zero(),
            "shutdown.grace_period",
            "0s",
            "write a longer time, such as 40s",
        )
    }

    /// Returns a token that is cancelled by the first signal. The second signal ends the process with the status that
    /// shells use for that signal. The end of the grace period also ends the process, even if something hangs.
    ///
    /// # Errors
    /// If the signal handlers cannot be installed.
    pub(crate) fn shutdown_signal(&self) -> anyhow::Result<CancellationToken> {
        let stop = CancellationToken::new();
        let (token, grace) = (stop.clone(), self.grace_period);
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            let mut next_signal = async || {
                tokio::select! {
                    _ = term.recv() => 143,
                    _ = int.recv() => 130,
                }
            };
            next_signal().await;
            tracing::info!("stopping: finishing the work in progress; send the signal again to abort");
            // A separate thread, because the runtime itself, or its shutdown, may hang.
            std::thread::spawn(move || {
                #[expect(clippy::disallowed_methods, reason = "a thread of its own, not one of the runtime")]
                std::thread::sleep(grace);
                tracing::warn!("aborted: the work in progress did not end within {grace:?} (shutdown.grace_period)");
                std::process::exit(EXIT_UNFINISHED);
            });
            token.cancel();
            let status = next_signal().await;
            tracing::warn!("aborted by a second signal");
            std::process::exit(status);
        });
        Ok(stop)
    }
}
