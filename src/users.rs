//! `cloakroom user`, `token` and `grant`: manages users, tokens and rights from a terminal.
//!
//! A password is never an argument, because every process on the machine could read it there. It is generated and shown
//! once, or read from standard input.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, bail};
use api::NewUser;
use clap::{Args, Subcommand, ValueEnum};
use records::{Records, Role};

use crate::resource_arg::parse_resource;
use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user. The password is generated and shown once, unless --password-stdin is given.
    Add {
        /// The id of the user, without the federation member.
        id: String,
        /// The e-mail address that the user logs in with.
        email: String,
        /// The display name of the user. Default: the id.
        #[arg(long)]
        name: Option<String>,
        /// The role of the user.
        #[arg(long, value_enum, default_value_t = RoleArg::Member)]
        role: RoleArg,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Change the password of a user. This also ends all sessions and issued bearer tokens of the user.
    Passwd {
        /// The id of the user.
        id: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List the users.
    Ls,
    /// End all sessions of a user, and all bearer tokens issued for the user. Running processes refuse them after
    /// `realm.session_cache_time` at the latest (default: 5s).
    Logout {
        /// The id of the user.
        id: String,
    },
    /// Disable a user, and end all sessions and bearer tokens of the user.
    /// Running processes refuse the user after `realm.session_cache_time` at the latest.
    Disable {
        /// The id of the user.
        id: String,
        /// Enable the user again.
        #[arg(long)]
        undo: bool,
    },
    /// Make a user a site administrator, or a member again.
    Role {
        /// The id of the user.
        id: String,
        /// The new role.
        role: RoleArg,
    },
    /// Recount the uploads in flight and the stored bytes of every user, and correct the counters. Reads all uploads.
    Recount,
}

#[derive(Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from standard input, up to the end of the line.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// May upload, and act for granted resources.
    Member,
    /// Site administrator: unrestricted.
    Admin,
}

impl From<RoleArg> for Role {
    fn from(kind: RoleArg) -> Self {
        match kind {
            RoleArg::Member => Self::Member,
            RoleArg::Admin => Self::Admin,
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a bearer token for a user. `cloakroom user logout` ends it early, together with the user's sessions.
    Issue {
        /// The id of the user.
        id: String,
        /// How long the token is valid, such as 30m or 24h.
        #[arg(long, value_name = "TIME", default_value = "30m", value_parser = parse_lifetime)]
        lifetime: Duration,
    },
}

#[derive(Args)]
pub(crate) struct GrantArgs {
    /// The resource, such as apps/travel.
    resource: String,
    /// The id of the user.
    user: String,
    /// Revoke the right instead of granting it.
    #[arg(long)]
    revoke: bool,
}

async fn open_records(settings: &Settings) -> anyhow::Result<Records> {
    Ok(crate::roles::open_backends(settings).await?.records)
}

impl PasswordArgs {
    /// Returns the password, and whether it was generated and has to be shown.
    fn read_or_generate(&self) -> anyhow::Result<(String, bool)> {
        if !self.password_stdin {
            return Ok((api::generate_password()?, true));
        }
        let mut input = String::new();
        std::io::stdin().take(4096).read_to_string(&mut input).context("reading the password from standard input")?;
        let password = input.lines().next().unwrap_or_default();
        if password.chars().count() < 8 {
            bail!("the password is too short: it needs at least 8 characters");
        }
        Ok((password.to_owned(), false))
    }
}

impl UserCommand {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// If a user exists already or does not exist, or the records cannot be asked.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let records = open_records(&settings).await?;
        match self {
            Self::Add { id, email, name, role, password } => {
                let (password, generated) = password.read_or_generate()?;
                let name = name.unwrap_or_else(|| id.clone());
                let new = NewUser { id, email, name, password: password.clone() };
                let user = api::add_user(&records, new, role.into()).await?;
                println!(
                    "added the user {}.{} with the e-mail address {}",
                    user.id, settings.realm.fedmember, user.email
                );
                print_password(&password, generated);
            }
            Self::Passwd { id, password } => {
                let (password, generated) = password.read_or_generate()?;
                api::change_user(&records, &id, Some(password.clone()), None, None).await?;
                println!("changed the password of {id}");
                print_password(&password, generated);
            }
            Self::Ls => {
                for user in records.users().await? {
                    let off = if user.disabled { "  disabled" } else { "" };
                    println!("{:<24}  {:<6}  {:<32}  {}{off}", user.id, user.role.as_str(), user.email, user.name);
                }
            }
            Self::Logout { id } => {
                api::end_sessions(&records, &id).await?;
                println!("ended all sessions and tokens of {id}");
            }
            Self::Disable { id, undo } => {
                api::change_user(&records, &id, None, None, Some(!undo)).await?;
                println!("{} {id}", if undo { "enabled" } else { "disabled" });
            }
            Self::Role { id, role } => {
                let user = api::change_user(&records, &id, None, Some(role.into()), None).await?;
                println!("{id} is {} now", user.role.as_str());
            }
            Self::Recount => match records.recount_usage().await?.as_slice() {
                [] => println!("all counters were right"),
                wrong => println!("corrected the counters of {}", wrong.join(", ")),
            },
        }
        Ok(())
    }
}

fn print_password(password: &str, generated: bool) {
    if generated {
        println!("password: {password}");
    }
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    lifetime.filter(|time| !time.is_zero()).ok_or_else(|| "write a positive time, such as 30m or 24h".to_owned())
}

impl TokenCommand {
    /// Prints only the token to standard output.
    ///
    /// # Errors
    /// If the user does not exist or is disabled, or the records cannot be asked.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let Self::Issue { id, lifetime } = self;
        println!("{}", api::issue_token(&open_records(&settings).await?, &settings.realm, &id, lifetime).await?);
        Ok(())
    }
}

impl GrantArgs {
    /// Grants or revokes the right, and reports it on standard output.
    ///
    /// # Errors
    /// If the resource is invalid, the user does not exist, or the records cannot be asked.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let records = open_records(&settings).await?;
        let resource = parse_resource(&self.resource, &settings.realm.fedmember)?;
        if records.user(&self.user).await?.is_none() {
            bail!("there is no user \"{}\"; `cloakroom user ls` lists them", self.user);
        }
        if self.revoke {
            records.revoke_resource_grant(&resource, &self.user).await?;
            println!("revoked: {} may not act for {resource}", self.user);
        } else {
            records.grant_resource(&resource, &self.user).await?;
            println!("granted: {} may act for {resource}", self.user);
        }
        Ok(())
    }
}
