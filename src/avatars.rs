//! `cloakroom avatars`: removes the avatar of a resource.

use anyhow::bail;
use clap::Subcommand;
use domain::{ExpectedVersion, VersionChanged};

use crate::confirm::{OPERATOR, confirm};
use crate::resource_arg::parse_resource;
use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum AvatarsCommand {
    /// Remove the avatar of a resource and all its former versions. The resource has the default avatar then. The pictures
    /// are deleted for good.
    Remove {
        /// The resource, such as users/jane.
        resource: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

impl AvatarsCommand {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// If the resource is invalid, the question is not answered with yes, or a backend cannot be asked.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let Self::Remove { resource, yes } = self;
        let resource = parse_resource(&resource, &settings.realm.fedmember)?;
        let backends = crate::roles::open_backends(&settings).await?;
        confirm(&format!("Remove the avatar of {resource} with all its versions?"), yes)?;
        match backends.records.remove_avatar(&resource, OPERATOR, ExpectedVersion::Any).await? {
            Ok(discarded) if discarded.uploads.is_empty() => println!("{resource} has the default avatar already"),
            Ok(discarded) => {
                backends.clean_up_discarded(&discarded).await;
                let count = discarded.uploads.len();
                let pictures = if count == 1 { "picture is" } else { "pictures are" };
                println!("removed the avatar of {resource}; {count} {pictures} deleted");
            }
            Err(VersionChanged) => bail!("the avatar of {resource} has changed meanwhile; run the command again"),
        }
        backends.queue.close().await;
        Ok(())
    }
}
