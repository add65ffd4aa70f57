//! `cloakroom jobs`: lists and changes queued jobs and dead letters.

use anyhow::{Context, bail};
use clap::Subcommand;
use domain::JobId;
use records::JobRow;

use crate::settings::Settings;

#[derive(Subcommand)]
pub(crate) enum JobsCommand {
    /// List the dead letters, oldest first; with --all also the queued jobs.
    Ls {
        #[arg(long)]
        all: bool,
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
        /// The most jobs to list.
        #[arg(long, default_value_t = 100)]
        most: u64,
    },
    /// Show one job and what went wrong.
    Show {
        id: JobId,
        #[arg(long)]
        json: bool,
    },
    /// Retry dead jobs, with all their attempts available again. Their uploads return to waiting.
    Retry {
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Drop dead jobs for good. Their uploads keep their state.
    Drop {
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Return parked messages to their queues. An older version did not know these messages and parked them.
    Unpark,
}

impl JobsCommand {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// If a backend cannot be asked, or a job to show, retry or drop does not exist.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let places = crate::roles::open_backends(&settings).await?;
        let (records, queue) = (&places.records, &places.queue);
        match self {
            Self::Ls { all, json, most } => {
                let jobs = records.jobs(!all, most).await?;
                for job in &jobs {
                    if json { print_json(job)? } else { println!("{}", format_job(job)) }
                }
                if jobs.is_empty() && !json {
                    println!("{}", if all { "no jobs" } else { "no dead letters" });
                }
            }
            Self::Show { id, json } => {
                let job = records.job(id).await?.with_context(|| format!("there is no job {id}"))?;
                if json {
                    return print_json(&job);
                }
                println!("{}", format_job(&job));
                println!("  promised   {}\n  published  {}", job.created_at, timestamp_or_never(job.published_at));
                println!("  last error {}", job.last_error.as_deref().unwrap_or("none"));
                if let Some(backend) = &job.waiting_for {
                    println!(
                        "  postponed  {} times in a row, the last time because {backend} failed",
                        job.postponements
                    );
                }
                if let Some(upload) = job.upload {
                    println!("  `cloakroom explain {upload}` tells the whole way");
                }
            }
            Self::Retry { ids } => {
                for id in ids {
                    let Some(retried) = records.retry_job(id, settings.uploads.deadline).await? else {
                        bail!("job {id} cannot be tried again: it is not dead, or its upload has expired");
                    };
                    // An in-memory queue would be this command's own and end with it. The running process takes the job
                    // from the records, as it takes any job that its queue does not hold.
                    if queue.is_volatile() {
                        println!("job {id} will be tried again by the running cloakroom when it sweeps");
                        continue;
                    }
                    match queue.publish(&retried.message).await {
                        Ok(()) => records.confirm_published([retried.publish]).await?,
                        Err(error) => println!("job {id}: {error}; the sweeper publishes it"),
                    }
                    println!("job {id} will be tried again");
                }
            }
            Self::Drop { ids } => {
                for id in ids {
                    if !records.discard_job(id).await? {
                        bail!("job {id} cannot be dropped: it is not dead");
                    }
                    println!("job {id} is given up");
                }
            }
            Self::Unpark => println!("{} parked jobs taken up", queue.unpark().await?),
        }
        queue.close().await;
        Ok(())
    }
}

fn format_job(job: &JobRow) -> String {
    let state = if job.dead { "dead" } else { "promised" };
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
