//! `cloakroom config`: prints and checks the settings.

use clap::Subcommand;

use crate::settings::{self, Settings};

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings in effect, without passwords. Fails if a setting is invalid, and names every such setting.
    Check,
    /// Print the settings in effect as a settings file.
    Dump {
        /// Print every setting with its default and a description, as a template for a settings file.
        #[arg(long)]
        defaults: bool,
    },
}

impl ConfigCommand {
    /// Prints the requested settings to standard output.
    ///
    /// # Errors
    /// If a setting is invalid.
    pub(crate) fn run(self, settings: impl FnOnce() -> anyhow::Result<Settings>) -> anyhow::Result<()> {
        match self {
            Self::Dump { defaults: true } => print!("{}", settings::defaults()),
            Self::Dump { defaults: false } => print!("{}", toml::to_string_pretty(&settings()?)?),
            Self::Check => {
                let settings = settings()?;
                print!("{}", toml::to_string_pretty(&settings)?);
                eprintln!("All settings are valid.");
            }
        }
        Ok(())
    }
}
