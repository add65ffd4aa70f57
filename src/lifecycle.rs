//! How a process ends: the first SIGTERM or Ctrl-C drains (take nothing new, finish what is under way), the second one
//! aborts. Everything acknowledged is durable, so that an abort loses nothing either; it only leaves more to repair.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first signal. The second ends the process with the status that shells use for it.
///
/// # Errors
/// Where the signals cannot be listened for.
pub(crate) fn until_told_to_stop() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let token = stop.clone();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = term.recv() => 143,
                _ = int.recv() => 130,
            }
        };
        next().await;
        tracing::info!("stopping: finishing what is under way; once more to abort");
        token.cancel();
        let status = next().await;
        tracing::warn!("aborted");
        std::process::exit(status);
    });
    Ok(stop)
}
