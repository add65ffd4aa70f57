//! `cloakroom config`: what the settings are, and whether they can be.

use clap::Subcommand;

use crate::settings::{self, Settings};

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read all settings and print what is in effect, passwords left out. Fails where one is wrong and says which.
    Check,
    /// Print what is in effect as a settings file.
    Dump {
        /// Print every setting there is with its default and what it does, to begin a settings file from.
        #[arg(long)]
        defaults: bool,
    },
}

impl ConfigCommand {
    /// Prints what was asked for to standard output.
    ///
    /// # Errors
    /// Where a setting is wrong.
    pub(crate) fn run(self, settings: impl FnOnce() -> anyhow::Result<Settings>) -> anyhow::Result<()> {
        match self {
            Self::Dump { defaults: true } => print!("{}", settings::defaults()),
            Self::Dump { defaults: false } => print!("{}", toml::to_string_pretty(&settings()?)?),
            Self::Check => {
                let settings = settings()?;
                print!("{}", toml::to_string_pretty(&settings)?);
                eprintln!("The settings are good.");
            }
        }
        Ok(())
    }
}
