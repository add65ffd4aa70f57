//! `cloakroom migrate`: applies or lists the schema migrations. Roles refuse to start on an outdated schema.

use anyhow::bail;
use clap::Subcommand;

use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum MigrateCommand {
    /// Apply the pending migrations. Several processes may run this at once.
    Up,
    /// List the migrations and whether each is applied. Exits with 1 while some are pending.
    Status,
}

impl MigrateCommand {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// If the database cannot be reached or refuses a statement; with `status`, if migrations are pending.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        match self {
            Self::Up => {
                let applied = apply_pending(&settings).await?;
                for name in &applied {
                    println!("applied  {name}");
                }
                println!(
                    "{}",
                    if applied.is_empty() { "the schema was up to date already" } else { "the schema is up to date" }
                );
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

/// Applies the pending migrations and returns their names.
///
/// # Errors
/// If the database cannot be reached or refuses a statement. If it cannot be reached, the error names its address.
pub(crate) async fn apply_pending(settings: &Settings) -> anyhow::Result<Vec<String>> {
    migrations::up(&settings.records_url()?).await.map_err(|error| with_database_url(settings, error))
}

async fn status(settings: &Settings) -> anyhow::Result<Vec<migrations::MigrationStatus>> {
    migrations::status(&settings.records_url()?).await.map_err(|error| with_database_url(settings, error))
}

/// Adds the address of the database, without its password, to the error of a database that cannot be reached.
fn with_database_url(settings: &Settings, error: migrations::MigrationError) -> anyhow::Error {
    let unreachable = matches!(error, migrations::MigrationError::Unreachable(_));
    let error = anyhow::Error::new(error);
    if unreachable { error.context(format!("the records at {} cannot be opened", settings.records.url)) } else { error }
}

/// Refuses a database whose schema is older than this program.
///
/// # Errors
/// If the schema is outdated or the database cannot be reached. The error for an outdated schema names the command to
/// run.
pub(crate) async fn require_current_schema(settings: &Settings) -> anyhow::Result<()> {
    let pending: Vec<String> =
        status(settings).await?.into_iter().filter(|step| !step.applied).map(|step| step.name).collect();
    if !pending.is_empty() {
        bail!("the schema of the records is outdated ({} pending): run `cloakroom migrate up`", pending.join(", "));
    }
    Ok(())
}
