//! `cloakroom keys`: manages the keys that sign sessions and bearer tokens.

use clap::Subcommand;

use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Create a new signing key. New logins use it after at most one second, everything else after at most ten seconds.
    /// Tokens signed by the old keys stay valid until they expire; then the old keys are deleted.
    Rotate,
}

impl KeysCommand {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// If the database cannot be reached, or the machine provides no random numbers.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let Self::Rotate = self;
        let records = crate::roles::open_backends(&settings).await?.records;
        let id = api::rotate_keys(&records).await?;
        println!("the new key is {id}; what older keys signed stays valid until it expires");
        Ok(())
    }
}
