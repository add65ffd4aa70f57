//! `cloakroom explain`: prints the history of one upload, step by step, and one sentence that says what it waits for.

use anyhow::Context;
use backends::Backends;
use clap::Args;
use domain::{QueueName, Upload, UploadId, UploadState};
use jiff::Timestamp;
use queue::QueueStats;
use records::JobRow;
use serde_json::{Value, json};

use crate::settings::Settings;

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The number of the upload.
    id: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    /// Prints the history.
    ///
    /// # Errors
    /// If the records cannot be asked or there is no such upload.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let id: UploadId = self.id.parse()?;
        let backends = crate::roles::open_backends(&settings).await?;
        let upload = backends.records.upload(id).await?.with_context(|| format!("there is no upload {id}"))?;
        let events = backends.records.events(id).await?;
        let jobs = backends.records.jobs_of(id).await?;
        let now = describe_wait(&backends, &upload, &jobs).await;
        if self.json {
            let state = upload.state.as_str();
            let events: Vec<Value> = events
                .iter()
                .map(|event| json!({ "at": event.at, "what": event.kind.as_str(), "detail": event.detail }))
                .collect();
            println!("{}", json!({ "id": id, "state": state, "now": now, "events": events, "jobs": jobs }));
        } else {
            let (media, bytes) = (upload.media.name(), upload.bytes);
            println!("upload {id}: {} ({media}, {bytes} bytes), uploaded by {}", upload.filename, upload.owner);
            for event in &events {
                let since = event.at.duration_since(upload.created_at).as_millis();
                println!("  {}  {since:>8} ms  {:18} {}", event.at, event.kind, event.detail);
            }
            println!("{now}");
            for job in jobs.iter().filter(|job| job.dead && !job.settles_upload) {
                let error = job.last_error.as_deref().unwrap_or("no error is recorded");
                println!("Its job {} ({}) is a dead letter: {error}.", job.id, job.kind);
            }
        }
        backends.queue.close().await;
        Ok(())
    }
}

/// Describes in one sentence what the upload waits for.
async fn describe_wait(backends: &Backends, upload: &Upload, jobs: &[JobRow]) -> String {
    let why = || upload.reason.as_ref().map_or_else(String::new, |reason| reason.to_string());
    match (upload.state, &upload.claim, upload.expires_at) {
        (UploadState::Accepted, ..) => match jobs.iter().find(|job| !job.dead && job.settles_upload) {
            Some(job) => describe_job_wait(backends, job).await,
            None => format!("The upload has no job. The sweeper settles it as failed at {}.", upload.deadline),
        },
        (UploadState::Ready, Some(claim), _) => {
            format!("The upload is ready and was claimed for {} at {}.", claim.resource, claim.at)
        }
        (UploadState::Ready, None, Some(at)) => {
            format!("The upload is ready. It expires at {at} unless it is claimed.")
        }
        (UploadState::Ready, None, None) => "The upload is ready.".to_owned(),
        (UploadState::Rejected, ..) => format!("The upload was rejected ({}). This is final.", why()),
        (UploadState::Failed, ..) => match jobs.iter().find(|job| job.dead) {
            Some(job) => format!("The upload failed ({}). `cloakroom jobs retry {}` tries again.", why(), job.id),
            None => format!("The upload failed ({}). This is final.", why()),
        },
        (UploadState::Expired, ..) => {
            format!(
                "The upload has expired or was deleted ({}). Its bytes are deleted, or will be by the next sweeps.",
                why()
            )
        }
    }
}

async fn describe_job_wait(backends: &Backends, job: &JobRow) -> String {
    let now: Timestamp = backends.records.clock().now();
    match (job.leased_until, job.published_at) {
        (Some(until), _) if until > now => {
            format!("A worker runs attempt {} of its job. The lease lasts until {until}.", job.attempts)
        }
        (Some(until), _) => {
            format!("The worker that ran its job has shown no activity. Since {until} another worker may take the job.")
        }
        _ if job.run_at > now => {
            let error = job.last_error.as_deref().unwrap_or("no error is recorded");
            match &job.waiting_for {
                Some(backend) => {
                    format!(
                        "The job is postponed until {}, because {backend} failed ({error}). The attempt does not count.",
                        job.run_at
                    )
                }
                None => format!("Attempt {} is due at {} ({error}).", job.attempts + 1, job.run_at),
            }
        }
        (None, None) => match backends.queue.ping().await {
            Ok(()) => "The job is not published to the queue yet. The sweeper will publish it.".to_owned(),
            Err(error) => format!("The job cannot be published to the queue: {error}."),
        },
        (None, Some(at)) => {
            let queue = describe_queue(backends, job.queue).await;
            let again = job.republish_at;
            format!(
                "The job was published to the queue at {at}. {queue} If no attempt begins by {again}, it is published again."
            )
        }
    }
}

/// Describes what the broker knows of a queue. The broker tells how many messages wait, but not which ones.
async fn describe_queue(backends: &Backends, queue: QueueName) -> String {
    let name = queue.as_str();
    match backends.queue.stats(queue).await {
        // A queue in memory. The one that this command has opened is not that of the running process.
        Ok(None) => "The queue is in the memory of the running cloakroom, which this command cannot read.".to_owned(),
        Ok(Some(QueueStats { consumers: 0, waiting })) => {
            format!(
                "The queue {name} has {waiting} waiting messages and no consumer. Start a worker that consumes this queue."
            )
        }
        Ok(Some(QueueStats { waiting: 0, consumers })) => format!(
            "No message waits in the queue {name}, which has {consumers} consumers: a worker holds the message and has not \
             begun, or the message is lost."
        ),
        Ok(Some(QueueStats { waiting, consumers })) => {
            format!(
                "The queue {name} has {waiting} waiting messages, maybe this one among them, and {consumers} consumers."
            )
        }
        Err(error) => format!("The queue {name} cannot be asked: {error}."),
    }
}
