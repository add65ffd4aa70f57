//! `cloakroom explain`: prints the history of one upload, step by step, and one sentence that says what it waits for.

use anyhow::Context;
use backends::Backends;
use clap::Args;
use domain::{QueueName, Upload, UploadId, UploadState};
use jiff::Timestamp;
use queue::QueueStats;
use records::JobRow;
use serde_json::json;

use crate::settings::Settings;

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The upload's number.
    id: String,
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
        let places = crate::roles::open_backends(&settings).await?;
        let upload = places.records.upload(id).await?.with_context(|| format!("there is no upload {id}"))?;
        let events = places.records.events(id).await?;
        let jobs = places.records.jobs_of(id).await?;
        let now = describe_wait(&places, &upload, &jobs).await;
        if self.json {
            let state = upload.state.as_str();
            println!("{}", json!({ "id": id, "state": state, "now": now, "events": events, "jobs": jobs }));
        } else {
            let (kind, bytes) = (upload.media.name(), upload.bytes);
            println!("upload {id}: {} ({kind}, {bytes} bytes), sent by {}", upload.filename, upload.owner);
            for event in &events {
                let since = event.at.duration_since(upload.created_at).as_millis();
                println!("  {}  {since:>8} ms  {:18} {}", event.at, event.kind, event.detail);
            }
            println!("{now}");
        }
        places.queue.close().await;
        Ok(())
    }
}

/// Describes in one sentence what the upload waits for.
async fn describe_wait(places: &Backends, upload: &Upload, jobs: &[JobRow]) -> String {
    let why = || upload.reason.as_ref().map_or_else(String::new, |reason| reason.to_string());
    match (upload.state, &upload.claim, upload.expires_at) {
        (UploadState::Accepted, ..) => match jobs.iter().find(|job| !job.dead && job.settles_upload) {
            Some(job) => describe_job_wait(places, job).await,
            None => format!("No job is to settle it; the sweeper settles it as failed at {}.", upload.deadline),
        },
        (UploadState::Ready, Some(claim), _) => {
            format!("It is ready and was claimed for {} at {}.", claim.resource, claim.at)
        }
        (UploadState::Ready, None, Some(at)) => format!("It is ready and waits to be claimed until {at}."),
        (UploadState::Ready, None, None) => "It is ready.".to_owned(),
        (UploadState::Rejected, ..) => format!("It was rejected ({}); nothing will happen any more.", why()),
        (UploadState::Failed, ..) => match jobs.iter().find(|job| job.dead) {
            Some(job) => format!("It failed ({}); `cloakroom jobs retry {}` tries again.", why(), job.id),
            None => format!("It failed ({}); nothing will happen any more.", why()),
        },
        (UploadState::Expired, ..) => format!("It has expired ({}); its bytes are gone or going.", why()),
    }
}

async fn describe_job_wait(places: &Backends, job: &JobRow) -> String {
    let now: Timestamp = places.records.clock().now();
    let lane = job.queue;
    match (job.leased_until, job.published_at) {
        (Some(until), _) if until > now => {
            format!("A worker is on it, attempt {}, and has it until {until}.", job.attempts)
        }
        (Some(until), _) => format!("Its worker has shown no sign of life; since {until} another may have it."),
        _ if job.run_at > now => {
            let error = job.last_error.as_deref().unwrap_or("nothing is known of the last one");
            match &job.waiting_for {
                Some(backend) => {
                    format!(
                        "It is postponed until {}, because {backend} failed ({error}); no attempt is lost.",
                        job.run_at
                    )
                }
                None => format!("Attempt {} is due at {} ({error}).", job.attempts + 1, job.run_at),
            }
        }
        (None, None) => match places.queue.ping().await {
            Ok(()) => "The queue has not been told of its job yet; the sweeper is about to.".to_owned(),
            Err(error) => format!("The queue has not been told of its job: {error}."),
        },
        (None, Some(at)) => {
            let line = describe_queue(places, lane).await;
            let again = job.republish_at;
            format!(
                "A message for its job went to the queue at {at}. {line} Without an attempt by {again} it is sent again."
            )
        }
    }
}

/// Describes what the broker knows of a queue: how many messages it holds, but not which.
async fn describe_queue(places: &Backends, lane: QueueName) -> String {
    let name = lane.as_str();
    match places.queue.stats(lane).await {
        // The only queue that could be asked here belongs to this command.
        Ok(None) => "It is in the memory of the running cloakroom, which cannot be asked.".to_owned(),
        Ok(Some(QueueStats { consumers: 0, waiting })) => {
            format!("The queue {name} has {waiting} waiting messages and no consumer: no worker takes jobs from it.")
        }
        Ok(Some(QueueStats { waiting: 0, consumers })) => format!(
            "No message waits in the queue {name}, which has {consumers} consumers: a worker holds the message and has not \
             begun, or it is lost."
        ),
        Ok(Some(QueueStats { waiting, consumers })) => {
            format!(
                "The queue {name} has {waiting} waiting messages, maybe this one among them, and {consumers} consumers."
            )
        }
        Err(error) => format!("The queue {name} cannot be asked: {error}."),
    }
}
