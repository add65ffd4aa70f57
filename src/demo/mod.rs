//! `cloakroom demo`: starts a complete Cloakroom on an empty folder, uploads one photograph and shows each step of its
//! processing. The demo uses the same HTTP interface as a portal.

mod client;
mod photograph;
mod scenario;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use domain::Secret;
use tokio_util::sync::CancellationToken;

use crate::all_in_one::AllInOne;
use crate::settings::Settings;

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Keep all data in this folder, which must be empty or not exist. Default: a new temporary folder.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Exit after the last step. Otherwise the server keeps running until Ctrl-C.
    #[arg(long)]
    exit: bool,
}

impl DemoArgs {
    /// Runs the demo and prints its steps to standard output.
    ///
    /// # Errors
    /// If a step fails.
    pub(crate) async fn run(self, mut settings: Settings) -> anyhow::Result<()> {
        let folder = empty_folder(self.dir)?;
        let below =
            |scheme: &str, name: &str| Secret::new(format!("{scheme}://{}", folder.join("state").join(name).display()));
        settings.data_dir = folder.join("state");
        settings.staging.url = below("file", "staging");
        settings.blobs.url = below("file", "blobs");
        settings.records.url = below("sqlite", "records.db");
        settings.queue.url = Secret::new("memory:");
        let stop = settings.shutdown.shutdown_signal()?;
        let up = AllInOne::open(&settings).await.context(
            "the demo could not start; if another process uses the port, set CLOAKROOM__HTTP__LISTEN=127.0.0.1:0",
        )?;
        let address = up.address;
        let admin = up.admin.as_ref().map(|admin| (admin.email.clone(), admin.password.clone()));
        let (email, generated) = admin.context("the demo needs an empty database, but this one has users")?;
        let password = generated.unwrap_or_else(|| settings.realm.admin_password.expose().to_owned());
        let done = CancellationToken::new();
        let scenario = async {
            let result = scenario::run(address, &settings.realm.fedmember, &email, &password, &folder).await;
            if self.exit || result.is_err() {
                done.cancel();
            } else {
                scenario::print_next_steps(address, &settings.realm.fedmember, &email, &password, &folder);
            }
            result
        };
        let stop_serving = CancellationToken::new();
        let serving = async {
            let outcome = up.serve(stop_serving.clone()).await;
            done.cancel();
            outcome
        };
        let waiting = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = done.cancelled() => {}
            }
            stop_serving.cancel();
        };
        let (result, served, ()) = tokio::join!(scenario, serving, waiting);
        served?;
        result
    }
}

/// Limits the log to warnings, because the output of the demo is meant to be read.
pub(crate) fn with_warn_log_level(mut settings: Settings) -> Settings {
    "warn".clone_into(&mut settings.log.level);
    settings
}

/// Returns an empty folder: the requested one, or a new one in the system's folder for temporary files.
fn empty_folder(requested: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let folder = match requested {
        Some(folder) => std::path::absolute(folder)?,
        None => std::env::temp_dir().join(format!("cloakroom-demo-{}", std::process::id())),
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("--dir: the folder {} cannot be created", folder.display()))?;
    let mut entries = std::fs::read_dir(&folder)?;
    anyhow::ensure!(
        entries.next().is_none(),
        "--dir: the folder {} is not empty; name an empty folder, or one that does not exist",
        folder.display()
    );
    Ok(folder)
}
