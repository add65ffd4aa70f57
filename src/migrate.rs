//! `cloakroom migrate`: the schema, brought up to date or shown. Roles refuse to start on a schema that is behind.

use anyhow::bail;
use clap::Subcommand;

use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum Migrate {
    /// Apply what the database does not have yet. Several may run this at once.
    Up,
    /// List the migrations and whether each has been applied. Exits with 1 while some have not.
    Status,
}

impl Migrate {
    /// Does it, and says what was done to standard output.
    ///
    /// # Errors
    /// Where the database cannot be reached or refuses; with `status`, while migrations are pending.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let url = settings.records.url.expose();
        match self {
            Self::Up => {
                let applied = migrations::up(url).await?;
                for name in &applied {
                    println!("applied  {name}");
                }
                println!("{}", if applied.is_empty() { "nothing to do" } else { "the schema is up to date" });
            }
            Self::Status => {
                let steps = migrations::status(url).await?;
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

/// Refuses a database whose schema is behind this program.
///
/// # Errors
/// Where it is, with the command to run; or where it cannot be reached.
pub(crate) async fn require(settings: &Settings) -> anyhow::Result<()> {
    let pending: Vec<String> = migrations::status(settings.records.url.expose())
        .await?
        .into_iter()
        .filter(|step| !step.applied)
        .map(|step| step.name)
        .collect();
    if !pending.is_empty() {
        bail!("the records' schema is behind ({} pending): run `cloakroom migrate up` first", pending.join(", "));
    }
    Ok(())
}
