//! Taking an upload in: the upload, its job and the beginning of its history in one transaction. When it has committed,
//! the bytes in staging are waited for and the job will be done, whatever happens to the process that asked.

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryFilter, Set,
};
use uuid::Uuid;

use super::commit::LookUp;
use super::entity::{events, jobs, uploads};
use super::principals::{Change, Usage};
use super::{Records, RecordsError, Writing, outbox, rows, span};
use crate::document::OnceKey;
use crate::job::{Job, Routing, Ticket};
use crate::staging::Staged;
use crate::upload::Kind;
use crate::{Event, Media, State, UploadId, trace};

/// What the api knows of an upload when its bytes are durable in staging.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The id of the user who sends it.
    pub owner: String,
    /// The client's file name, cleaned.
    pub label: String,
    /// What the bytes look like.
    pub media: Media,
    /// The bytes.
    pub staged: Staged,
    /// How long workers have before the sweeper settles it as failed.
    pub deadline: Duration,
    /// How long it may stay unclaimed.
    pub keep: Duration,
    /// Where the client gave the request a key.
    pub once: Option<OnceKey>,
}

/// An upload that is in.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Its number.
    pub id: UploadId,
    /// Its job, to be published.
    pub ticket: Ticket,
}

impl Records {
    /// Admits an upload. Its state is [`State::Accepted`].
    ///
    /// # Errors
    /// The database's. Nothing was admitted and the staged bytes belong to no upload, unless
    /// [`RecordsError::is_outcome_unknown`].
    pub async fn admit(&self, admission: Admission) -> Result<Admitted, RecordsError> {
        self.faults.watch("records", "admit", self.admit_in_one(admission)).await
    }

    async fn admit_in_one(&self, admission: Admission) -> Result<Admitted, RecordsError> {
        let tx = self.write().await?;
        let intent = Intent {
            kind: Kind::Dropbox,
            owner: admission.owner,
            label: admission.label,
            media: admission.media,
            staged: admission.staged,
            deadline: admission.deadline,
            keep: Some(admission.keep),
        };
        let now = self.now_ms();
        let (taken, row) = tx.take_in(intent, now).await?;
        if let Some(once) = &admission.once {
            tx.note_admission(once, taken.id).await?;
        }
        let admitted = tx.promise_first(taken, |upload| Job::ProcessPicture { upload }, self.routing, now).await?;
        self.commit_or_look_up(tx, row).await?;
        Ok(admitted)
    }
}

/// An admission, by the row of its upload.
impl LookUp for uploads::Model {
    type Found = ();

    async fn find(&self, tx: &Writing) -> Result<Option<()>, DbErr> {
        if tx.get_database_backend() == DbBackend::Postgres {
            // The same row again: PostgreSQL waits for a transaction under way that inserts its number, which a look at
            // the table would not see. Its numbers are drawn once, so that a row with this number is this one.
            let again = uploads::Entity::insert(self.clone().into_active_model().reset_all())
                .on_conflict(OnConflict::column(uploads::Column::Id).do_nothing().to_owned());
            let inserted = again.exec_without_returning(&tx.tx).await?;
            return Ok((inserted == 0).then_some(()));
        }
        // SQLite has one writing transaction, and it is this one. A number that was rolled back is given again.
        let found =
            uploads::Entity::find_by_id(self.id).filter(uploads::Column::StagedKey.eq(self.staged_key.as_str()));
        Ok(found.one(&tx.tx).await?.map(drop))
    }
}

/// What every upload has, whatever it is for.
pub(super) struct Intent {
    pub(super) kind: Kind,
    pub(super) owner: String,
    pub(super) label: String,
    pub(super) media: Media,
    pub(super) staged: Staged,
    pub(super) deadline: Duration,
    /// How long it may stay unclaimed; None for what is nobody's to claim.
    pub(super) keep: Option<Duration>,
}

/// An upload whose row is written, and which has no job yet.
pub(super) struct Taken {
    pub(super) id: UploadId,
    owner: String,
    media: Media,
    bytes: u64,
    estimate: Duration,
    deadline: Duration,
}

impl Writing {
    /// The upload itself, and its row to look it up by. Its job follows once it has its place: see
    /// [`promise_first`](Self::promise_first).
    pub(super) async fn take_in(&self, intent: Intent, now: i64) -> Result<(Taken, uploads::Model), RecordsError> {
        let staged = intent.staged;
        let row = uploads::ActiveModel {
            kind: Set(intent.kind.as_str().to_owned()),
            owner: Set(intent.owner.clone()),
            state: Set(State::Accepted.as_str().to_owned()),
            label: Set(intent.label),
            media: Set(rows::media_word(intent.media)),
            bytes: Set(i64::try_from(staged.bytes).unwrap_or(i64::MAX)),
            sha256: Set(staged.sha256),
            staged_key: Set(staged.key),
            generation: Set(0),
            created_at: Set(now),
            deadline: Set(now + span(intent.deadline)),
            expires_at: Set(intent.keep.map(|keep| now + span(keep))),
            estimate: Set(i64::try_from(staged.estimate.as_millis()).unwrap_or(i64::MAX)),
            ..Default::default()
        };
        let row = row.insert(&self.tx).await?;
        let (bytes, estimate) = (staged.bytes, staged.estimate);
        let Intent { owner, media, deadline, .. } = intent;
        Ok((Taken { id: rows::id(row.id)?, owner, media, bytes, estimate, deadline }, row))
    }

    /// The job of an upload that was taken in, counted, and the beginning of its history. Nothing comes after it that
    /// another transaction could hold: see [`super::principals`].
    pub(super) async fn promise_first(
        &self,
        taken: Taken,
        job: impl FnOnce(UploadId) -> Job,
        routing: Routing,
        now: i64,
    ) -> Result<Admitted, RecordsError> {
        let Taken { id, owner, media, bytes, estimate, deadline } = taken;
        let change = Change { bytes: i64::try_from(bytes).unwrap_or(i64::MAX), ..Change::jobs(true, 1) };
        let held = Usage::from(self.change(&owner, change).await?);
        let job = job(id);
        let lane = routing.lane(&job, held.uploads + held.variants, estimate);
        let ticket = Ticket { lane, principal: owner, trace: trace::here(), ..Ticket::new(Uuid::now_v7(), job) };
        self.promise(&ticket, deadline, now).await?;
        let at = rows::at(now);
        let staged = format!("{bytes} bytes of {}", media.name());
        let queued = format!("{} in {}", ticket.job.kind(), lane.as_str());
        self.tell(id, [Event::new(at, "staged", staged), Event::new(at, "queued", queued)]).await?;
        Ok(Admitted { id, ticket })
    }

    /// Writes a job beside what it is about; the queue hears of it once this transaction has committed. `deadline` is how
    /// long it may take. A job that settles an upload ends with that; any other is given up by itself.
    pub(super) async fn promise(&self, ticket: &Ticket, deadline: Duration, now: i64) -> Result<(), RecordsError> {
        let give_up_at = (!ticket.job.settles()).then(|| now + span(deadline));
        let row = jobs::ActiveModel {
            id: Set(ticket.id),
            upload_id: Set(ticket.job.upload().get()),
            kind: Set(ticket.job.kind().to_owned()),
            payload: Set(serde_json::to_string(ticket).map_err(|error| RecordsError::Row(error.to_string()))?),
            state: Set("queued".to_owned()),
            attempts: Set(0),
            trace: Set(ticket.trace.clone()),
            created_at: Set(now),
            run_at: Set(now),
            republish_at: Set(outbox::after_grace(now)),
            republish_after: Set(outbox::republish_after(deadline)),
            give_up_at: Set(give_up_at),
            queue: Set(ticket.lane.as_str().to_owned()),
            principal: Set(ticket.principal.clone()),
            ..Default::default()
        };
        jobs::Entity::insert(row).exec_without_returning(&self.tx).await?;
        Ok(())
    }

    /// Adds to an upload's history.
    pub(super) async fn tell(
        &self,
        upload: UploadId,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), RecordsError> {
        let rows: Vec<events::ActiveModel> = events
            .into_iter()
            .map(|event| events::ActiveModel {
                upload_id: Set(upload.get()),
                at: Set(event.at.as_millisecond()),
                what: Set(event.what),
                detail: Set(event.detail),
                ..Default::default()
            })
            .collect();
        events::Entity::insert_many(rows).exec_without_returning(&self.tx).await?;
        Ok(())
    }
}
