//! `cloakroom migrate`: the schema, brought up to date or shown. Roles refuse to start on a schema that is behind.

use anyhow::bail;
use clap::Subcommand;

use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum MigrateCommand {
    /// Apply what the database does not have yet. Several may run this at once.
    Up,
    /// List the migrations and whether each has been applied. Exits with 1 while some have not.
    Status,
}

impl MigrateCommand {
    /// Does it, and says what was done to standard output.
    ///
    /// # Errors
    /// Where the database cannot be reached or refuses; with `status`, while migrations are pending.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        match self {
            Self::Up => {
                let applied = apply_pending(&settings).await?;
                for name in &applied {
                    println!("applied  {name}");
                }
                println!("{}", if applied.is_empty() { "nothing to do" } else { "the schema is up to date" });
            }
            Self::Status => {
                let steps = status(&settings).await?;
                for step in &steps {
                    println!("{}  {}", if step.applied { "applied" } else { "pending" }, step.name);
                }
                if steps.iter().any(|step| !step.applied) {
                    bail!("migrations are pending: run `cloakroom migrate up`");
                }
            }
        }
        Ok(())
    }
}

/// Brings the schema up to date, and names what it did not have.
///
/// # Errors
/// Where the database cannot be reached, with its address, or refuses.
pub(crate) async fn apply_pending(settings: &Settings) -> anyhow::Result<Vec<String>> {
    migrations::up(&settings.records_url()?).await.map_err(|error| with_database_url(settings, error))
}

async fn status(settings: &Settings) -> anyhow::Result<Vec<migrations::MigrationStatus>> {
    migrations::status(&settings.records_url()?).await.map_err(|error| with_database_url(settings, error))
}

/// Which database it is that cannot be opened, without its password.
fn with_database_url(settings: &Settings, error: migrations::MigrationError) -> anyhow::Error {
    let unreachable = matches!(error, migrations::MigrationError::Unreachable(_));
    let error = anyhow::Error::new(error);
    if unreachable { error.context(format!("the records at {} cannot be opened", settings.records.url)) } else { error }
}

/// Refuses a database whose schema is behind this program.
///
/// # Errors
/// Where it is, with the command to run; or where it cannot be reached.
pub(crate) async fn require_current_schema(settings: &Settings) -> anyhow::Result<()> {
    let pending: Vec<String> =
        status(settings).await?.into_iter().filter(|step| !step.applied).map(|step| step.name).collect();
    if !pending.is_empty() {
        bail!("the records' schema is behind ({} pending): run `cloakroom migrate up` first", pending.join(", "));
    }
    Ok(())
}
