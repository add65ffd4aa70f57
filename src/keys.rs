//! `cloakroom keys`: the keys that sign sessions and bearer tokens.

use clap::Subcommand;

use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a new signing key at once. Every process signs with it within a minute, logins within a second. What the old
    /// keys signed stays valid until it expires; then they are deleted.
    Rotate,
}

impl KeysCommand {
    /// Does it, and says what was done to standard output.
    ///
    /// # Errors
    /// If the database cannot be reached, or the machine gives no random numbers.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let Self::Rotate = self;
        let records = crate::roles::open_backends(&settings).await?.records;
        let id = api::rotate_keys(&records).await?;
        println!("key {id} signs from now on; what older keys signed stays valid until it expires");
        Ok(())
    }
}
