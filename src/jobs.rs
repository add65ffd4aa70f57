//! `cloakroom jobs`: lists and changes queued jobs and dead letters.

use anyhow::{Context, bail};
use clap::Subcommand;
use domain::JobId;
use records::JobRow;

use crate::publish::{PublishedBy, publish};
use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum JobsCommand {
    /// List the dead letters, oldest first.
    Ls {
        /// Also list the queued jobs.
        #[arg(long)]
        all: bool,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
        /// The maximum number of jobs to list.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u64,
    },
    /// Show one job and its errors.
    Show {
        /// The id of the job, as listed by `jobs ls`.
        #[arg(value_parser = parse_job_id)]
        id: JobId,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Retry dead jobs, with all their attempts available again. Their uploads return to the state `accepted`.
    Retry {
        /// The ids of the jobs, as listed by `jobs ls`.
        #[arg(required = true, value_parser = parse_job_id)]
        ids: Vec<JobId>,
    },
    /// Drop dead jobs for good. Their uploads keep their state.
    Drop {
        /// The ids of the jobs, as listed by `jobs ls`.
        #[arg(required = true, value_parser = parse_job_id)]
        ids: Vec<JobId>,
    },
    /// Return parked messages to their queues. An older version parked them, because it did not know their jobs.
    Unpark,
}

fn parse_job_id(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|_| "this is not the id of a job; `cloakroom jobs ls --all` lists the jobs".to_owned())
}

impl JobsCommand {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// If a backend cannot be asked, or a job to show, retry or drop does not exist.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let backends = crate::roles::open_backends(&settings).await?;
        let (records, queue) = (&backends.records, &backends.queue);
        match self {
            Self::Ls { all, json, limit } => {
                let jobs = records.jobs(!all, limit).await?;
                for job in &jobs {
                    if json { print_json(job)? } else { println!("{}", format_job(job)) }
                }
                if jobs.is_empty() && !json {
                    println!("{}", if all { "no jobs" } else { "no dead letters" });
                }
            }
            Self::Show { id, json } => {
                let job = records
                    .job(id)
                    .await?
                    .with_context(|| format!("there is no job {id}; `cloakroom jobs ls --all` lists the jobs"))?;
                if json {
                    return print_json(&job);
                }
                println!("{}", format_job(&job));
                println!("  created    {}\n  published  {}", job.created_at, timestamp_or_never(job.published_at));
                println!("  last error {}", job.last_error.as_deref().unwrap_or("none"));
                if let Some(backend) = &job.waiting_for {
                    println!(
                        "  postponed  {} times in a row, the last time because {backend} failed",
                        job.postponements
                    );
                }
                if let Some(upload) = job.upload {
                    println!("  `cloakroom explain {upload}` shows the history of the upload");
                }
            }
            Self::Retry { ids } => {
                for id in ids {
                    let Some(retried) = records.retry_job(id, settings.uploads.deadline).await? else {
                        bail!(
                            "job {id} cannot be retried: it is not dead, or its upload has expired; `cloakroom jobs show {id}` shows its state"
                        );
                    };
                    match publish(&backends, &retried.message, retried.publish).await? {
                        PublishedBy::RunningProcess => {
                            println!("job {id} will be retried by the running cloakroom within one sweep interval");
                            continue;
                        }
                        PublishedBy::Sweeper(error) => println!("job {id}: {error}; the sweeper will publish it"),
                        PublishedBy::Command => {}
                    }
                    println!("job {id} will be retried");
                }
            }
            Self::Drop { ids } => {
                for id in ids {
                    if !records.discard_job(id).await? {
                        bail!("job {id} cannot be dropped: it is not dead; `cloakroom jobs show {id}` shows its state");
                    }
                    println!("job {id} is dropped");
                }
            }
            Self::Unpark => println!("returned {} parked messages to their queues", queue.unpark().await?),
        }
        queue.close().await;
        Ok(())
    }
}

fn format_job(job: &JobRow) -> String {
    let state = if job.dead { "dead" } else { "queued" };
    let error = job.last_error.as_deref().unwrap_or_default();
    let upload = job.upload.map_or_else(|| "-".to_owned(), |upload| upload.to_string());
    format!("{}  {state:8}  {}  upload {upload}  {} attempts  {error}", job.id, job.kind, job.attempts)
}

fn timestamp_or_never(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

fn print_json(job: &JobRow) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(job)?);
    Ok(())
}
