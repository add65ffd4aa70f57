//! `cloakroom files`: lists, deletes and restores files.

use anyhow::{Context, bail};
use clap::Subcommand;
use domain::{ExpectedVersion, FileId};
use records::{DeleteFileRefusal, FileRow, FilesFilter, RestoreFileRefusal};

use crate::confirm::{OPERATOR, confirm};
use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum FilesCommand {
    /// List files by their ids.
    Ls {
        /// List only the files of this owner, named without the federation member.
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
        /// List the deleted files that can still be restored, instead of the others.
        #[arg(long)]
        deleted: bool,
        /// The maximum number of files to list.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u64,
        /// Begin after this file: the last one of the page before.
        #[arg(long, value_name = "ID")]
        cursor: Option<FileId>,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Delete a file with all its versions, renditions and links. It can be restored for documents.deletion_grace (default:
    /// 7 days).
    Delete {
        /// The id of the file.
        id: FileId,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Restore a deleted file.
    Restore {
        /// The id of the file, as listed by `files ls --deleted`.
        id: FileId,
    },
}

impl FilesCommand {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// If a file does not exist, the question is not answered with yes, or the records cannot be asked.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let records = crate::roles::open_backends(&settings).await?.records;
        match self {
            Self::Ls { owner, deleted, limit, cursor, json } => {
                let filter = FilesFilter { owner, deleted };
                let files = records.list_files(&filter, cursor.as_ref(), limit).await?;
                for file in &files {
                    if json { println!("{}", serde_json::to_string(file)?) } else { println!("{}", format_file(file)) }
                }
                match files.last() {
                    _ if json => {}
                    None => println!("no files"),
                    Some(last) if files.len() as u64 == limit => println!("continue with --cursor {}", last.id),
                    Some(_) => {}
                }
            }
            Self::Delete { id, yes } => {
                let unknown = || format!("there is no file {id}; `cloakroom files ls` lists the files");
                let file = records.file(&id).await?.with_context(unknown)?;
                let question = format!("Delete file {id} ({}, owner {}) with all its versions?", file.name, file.owner);
                confirm(&question, yes)?;
                let grace = settings.documents.deletion_grace;
                match records.delete_file(&id, OPERATOR, grace, ExpectedVersion::Any).await? {
                    Ok(until) => {
                        println!("file {id} is deleted; `cloakroom files restore {id}` restores it until {until}")
                    }
                    Err(DeleteFileRefusal::Unknown | DeleteFileRefusal::VersionChanged) => bail!(unknown()),
                }
            }
            Self::Restore { id } => match records.restore_file(&id, OPERATOR).await? {
                Ok(()) => println!("file {id} is restored"),
                Err(RestoreFileRefusal::Unknown) => {
                    bail!("there is no file {id}; `cloakroom files ls --deleted` lists the files that can be restored")
                }
                Err(RestoreFileRefusal::TooLate) => bail!("file {id} cannot be restored: its grace period is over"),
            },
        }
        Ok(())
    }
}

fn format_file(file: &FileRow) -> String {
    let FileRow { id, owner, name, latest_version, changed_at, .. } = file;
    let deletion = match (&file.deleted_at, &file.deleted_by, &file.restorable_until) {
        (Some(at), Some(by), Some(until)) => format!("  deleted at {at} by {by}, restorable until {until}"),
        _ => String::new(),
    };
    format!("{id}  owner {owner}  version {latest_version}  changed {changed_at}  {name}{deletion}")
}
