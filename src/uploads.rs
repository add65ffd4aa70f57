//! `cloakroom uploads`: lists, shows and deletes uploads.

use anyhow::{Context, bail};
use clap::Subcommand;
use domain::{ExpectedVersion, Upload, UploadId, UploadKind, UploadState};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use records::{Claimant, DeleteUploadRefusal, UploadFilter};
use serde_json::{Value, json};

use crate::confirm::{OPERATOR, confirm};
use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum UploadsCommand {
    /// List uploads, the newest first.
    Ls {
        /// List only the uploads of this user, named without the federation member.
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
        /// List only uploads in this state: accepted, ready, rejected, failed or expired.
        #[arg(long, value_parser = parse_state)]
        state: Option<UploadState>,
        /// List only uploads of this kind: dropbox, rendition or file.
        #[arg(long, value_parser = parse_kind)]
        kind: Option<UploadKind>,
        /// List only uploads that were accepted before this time, such as 2026-11-21 or 2026-11-21T12:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        before: Option<Timestamp>,
        /// List only uploads that were accepted at this time or later.
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        after: Option<Timestamp>,
        /// The maximum number of uploads to list.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u64,
        /// Begin after this upload: the last one of the page before.
        #[arg(long, value_name = "ID")]
        cursor: Option<UploadId>,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Show one upload and its variants. `cloakroom explain` shows its history.
    Show {
        /// The number of the upload.
        id: UploadId,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Delete pictures that are not claimed. Pictures that are being processed are cancelled.
    Delete {
        /// The numbers of the uploads.
        #[arg(required = true)]
        ids: Vec<UploadId>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

fn parse_state(word: &str) -> Result<UploadState, String> {
    word.parse().map_err(|_| {
        format!("there is no such state; the states are {}", UploadState::ALL.map(UploadState::as_str).join(", "))
    })
}

fn parse_kind(word: &str) -> Result<UploadKind, String> {
    word.parse().map_err(|_| {
        format!("there is no such kind; the kinds are {}", UploadKind::ALL.map(UploadKind::as_str).join(", "))
    })
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let midnight = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let time = text.parse().ok().or_else(midnight);
    time.ok_or_else(|| "write a date or a time, such as 2026-11-21 or 2026-11-21T12:00:00Z".to_owned())
}

impl UploadsCommand {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// If an upload does not exist or cannot be deleted, the question is not answered with yes, or a backend cannot be
    /// asked.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let backends = crate::roles::open_backends(&settings).await?;
        let records = &backends.records;
        match self {
            Self::Ls { owner, state, kind, before, after, limit, cursor, json } => {
                let filter = UploadFilter { owner, kind, state, created_from: after, created_before: before };
                let uploads = records.list_uploads(&filter, cursor, limit).await?;
                for upload in &uploads {
                    if json { println!("{}", upload_json(upload)) } else { println!("{}", format_upload(upload)) }
                }
                match uploads.last() {
                    _ if json => {}
                    None => println!("no uploads"),
                    Some(last) if uploads.len() as u64 == limit => println!("continue with --cursor {}", last.id),
                    Some(_) => {}
                }
            }
            Self::Show { id, json } => {
                let upload = records.upload(id).await?.with_context(|| unknown(id))?;
                let variants = records.variants(id, upload.generation).await?;
                if json {
                    let mut shown = upload_json(&upload);
                    let variant =
                        |variant: &domain::Variant| json!({"name": variant.name.to_string(), "bytes": variant.bytes});
                    shown["variants"] = variants.iter().map(variant).collect();
                    println!("{shown}");
                } else {
                    println!("{}", format_upload(&upload));
                    println!("  sha256     {}", upload.sha256);
                    for variant in &variants {
                        println!("  variant    {}  {} bytes", variant.name, variant.bytes);
                    }
                    if let Some(claim) = &upload.claim {
                        println!("  claimed    for {} by {} at {}", claim.resource, claim.by, claim.at);
                    }
                    println!("  `cloakroom explain {id}` shows the history of the upload");
                }
            }
            Self::Delete { ids, yes } => {
                for id in &ids {
                    let upload = records.upload(*id).await?.with_context(|| unknown(*id))?;
                    println!("{}", format_upload(&upload));
                }
                confirm(&format!("Delete {}?", if ids.len() == 1 { "this upload" } else { "these uploads" }), yes)?;
                let operator = Claimant { user: OPERATOR.to_owned(), admin: true };
                for id in ids {
                    match records.delete_upload(id, &operator, ExpectedVersion::Any).await? {
                        Ok(discarded) => backends.clean_up_discarded(&discarded).await,
                        Err(DeleteUploadRefusal::Claimed(resource)) => bail!(
                            "upload {id} is claimed for {resource}; `cloakroom avatars remove {resource}` removes that avatar"
                        ),
                        Err(DeleteUploadRefusal::BelongsToFile) => {
                            bail!("upload {id} belongs to a file; `cloakroom files delete` deletes a file")
                        }
                        Err(DeleteUploadRefusal::Unknown | DeleteUploadRefusal::VersionChanged) => bail!(unknown(id)),
                    }
                    println!("upload {id} is deleted");
                }
            }
        }
        backends.queue.close().await;
        Ok(())
    }
}

fn unknown(id: UploadId) -> String {
    format!("there is no upload {id}; `cloakroom uploads ls` lists the uploads")
}

fn format_upload(upload: &Upload) -> String {
    let Upload { id, owner, filename, bytes, created_at, .. } = upload;
    let (state, kind) = (upload.state.as_str(), upload.kind.as_str());
    let why = upload.reason.as_ref().map_or_else(String::new, |reason| format!("  {}", reason.code));
    let claimed = if upload.claim.is_some() { "  claimed" } else { "" };
    format!("{id}  {state:8}  {kind:9}  owner {owner}  {bytes} bytes  {created_at}  {filename}{claimed}{why}")
}

fn upload_json(upload: &Upload) -> Value {
    let claim = upload.claim.as_ref();
    let claim = claim.map(|claim| json!({"resource": claim.resource.to_string(), "by": claim.by, "at": claim.at}));
    json!({
        "id": upload.id,
        "kind": upload.kind.as_str(),
        "state": upload.state,
        "owner": upload.owner,
        "filename": upload.filename,
        "media": upload.media.name(),
        "bytes": upload.bytes,
        "sha256": upload.sha256,
        "code": upload.reason.as_ref().map(|reason| &reason.code),
        "why": upload.reason.as_ref().map(|reason| &reason.message),
        "claim": claim,
        "created_at": upload.created_at,
        "settled_at": upload.settled_at,
        "expires_at": upload.expires_at,
    })
}
