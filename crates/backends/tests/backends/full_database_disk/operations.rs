//! The operations of the test, and what must be true after each, whether it succeeded or not.

use std::time::Duration;

use domain::{
    Applink, Audience, Crop, ExpectedVersion, FileId, FileRole, IdempotencyKey, IdempotencyLockResult, PublicLink,
    Reason, Resource, Rotation, Service, UploadState,
};
use records::{Claimant, LeaseResult, VariantStatus};
use test_support::test_db::{DEADLINE, MINUTE, RETENTION, admission, file_admission, processed_upload, user, variant};

use super::FailingDiskWalk;
use crate::files::new_file;

/// An operation that runs while the disk fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum WalkOperation {
    Admit,
    AdmitFile,
    ConfirmPublished,
    BeginAttempt,
    Reschedule,
    Reject,
    MarkDead,
    Settle,
    SettleFile,
    RequestVariant,
    SettleVariant,
    Crop,
    Claim,
    DeleteUpload,
    RemoveAvatar,
    DeleteFile,
    RestoreFile,
    PurgeFile,
    User,
    Session,
    Share,
    Applink,
    PublicLink,
    LockKey,
    StoreResponse,
    FailOverdue,
    Expire,
    TakeDueDeletions,
    CompleteDeletion,
}

/// The operations in the order of an upload's life. The last ones need a clock that has advanced.
pub(super) const OPERATIONS: [WalkOperation; 29] = [
    WalkOperation::Admit,
    WalkOperation::AdmitFile,
    WalkOperation::ConfirmPublished,
    WalkOperation::BeginAttempt,
    WalkOperation::Reschedule,
    WalkOperation::Reject,
    WalkOperation::MarkDead,
    WalkOperation::Settle,
    WalkOperation::SettleFile,
    WalkOperation::RequestVariant,
    WalkOperation::SettleVariant,
    WalkOperation::Crop,
    WalkOperation::Claim,
    WalkOperation::DeleteUpload,
    WalkOperation::RemoveAvatar,
    WalkOperation::DeleteFile,
    WalkOperation::RestoreFile,
    WalkOperation::PurgeFile,
    WalkOperation::User,
    WalkOperation::Session,
    WalkOperation::Share,
    WalkOperation::Applink,
    WalkOperation::PublicLink,
    WalkOperation::LockKey,
    WalkOperation::StoreResponse,
    WalkOperation::FailOverdue,
    WalkOperation::Expire,
    WalkOperation::TakeDueDeletions,
    WalkOperation::CompleteDeletion,
];

impl FailingDiskWalk {
    /// Runs one operation with this number of free bytes and checks that the records agree with its result. Returns
    /// whether it succeeded.
    pub(super) async fn step(&self, op: WalkOperation, room: u64) -> bool {
        let (db, seen, records) = (&self.db, &self.observer, &self.db.records);
        match op {
            WalkOperation::Admit => {
                let upload = admission("mary");
                let key = upload.staged.key.clone();
                let admitted = self.run_with_free_space(room, records.admit(upload)).await;
                self.check_admitted(&key, admitted.as_ref()).await;
                admitted.is_some()
            }
            WalkOperation::AdmitFile => {
                let upload = file_admission();
                let key = upload.staged.key.clone();
                let admitted =
                    self.run_with_free_space(room, records.admit_into_file(upload)).await.map(Result::unwrap);
                self.check_admitted(&key, admitted.as_ref()).await;
                admitted.is_some()
            }
            WalkOperation::ConfirmPublished => {
                let job = db.admit().await.message.id;
                let noted = self
                    .run_with_free_space(room, records.confirm_published([records::PublishAttempt::first(job)]))
                    .await
                    .is_some();
                assert_eq!(seen.job(job).await.unwrap().unwrap().published_at.is_some(), noted);
                noted
            }
            WalkOperation::BeginAttempt => {
                let message = db.admit().await.message;
                let start = self.run_with_free_space(room, records.begin_attempt(&message, MINUTE)).await;
                assert!(matches!(start, None | Some(LeaseResult::Leased(_))), "{start:?}");
                assert_eq!(seen.job(message.id).await.unwrap().unwrap().attempts, i32::from(start.is_some()));
                start.is_some()
            }
            WalkOperation::Reschedule => {
                let attempt = db.begin_attempt(&db.admit().await.message).await;
                let rescheduled = self
                    .run_with_free_space(room, records.reschedule(&attempt, MINUTE, "the store is away"))
                    .await
                    .is_some();
                let job = seen.job(attempt.message.id).await.unwrap().unwrap();
                assert_eq!(job.last_error.is_some(), rescheduled);
                rescheduled
            }
            WalkOperation::Reject | WalkOperation::MarkDead | WalkOperation::Settle | WalkOperation::SettleFile => {
                let admitted = match op {
                    WalkOperation::SettleFile => records.admit_into_file(file_admission()).await.unwrap().unwrap(),
                    _ => db.admit().await,
                };
                let attempt = db.begin_attempt(&admitted.message).await;
                let reason = Reason::new("broken", "the picture is broken");
                let (settled, end) = match op {
                    WalkOperation::Reject => (
                        self.run_with_free_space(room, records.settle_rejected(&attempt, &reason)).await,
                        UploadState::Rejected,
                    ),
                    WalkOperation::MarkDead => (
                        self.run_with_free_space(room, records.mark_dead(&attempt, &reason, "it is broken")).await,
                        UploadState::Failed,
                    ),
                    _ => (
                        self.run_with_free_space(room, records.settle_ready(&attempt, processed_upload(&attempt)))
                            .await,
                        UploadState::Ready,
                    ),
                };
                let expected = if settled.is_some() { end } else { UploadState::Accepted };
                assert_eq!(seen.upload(admitted.id).await.unwrap().unwrap().state, expected);
                settled.is_some()
            }
            WalkOperation::RequestVariant => {
                let (id, name) = (db.admit_and_settle().await.id, "96.jpg".parse().unwrap());
                let ordered = self.run_with_free_space(room, records.request_variant(id, 0, name)).await;
                assert_eq!(seen.jobs_of(id).await.unwrap().len(), usize::from(ordered.is_some()));
                ordered.is_some()
            }
            WalkOperation::SettleVariant => {
                let id = db.admit_and_settle().await.id;
                let ordered = records.request_variant(id, 0, "96.jpg".parse().unwrap()).await.unwrap();
                let VariantStatus::Enqueued(message) = ordered else { panic!("{ordered:?}") };
                let attempt = db.begin_attempt(&message).await;
                let made = variant(&attempt, "96.jpg");
                let settled =
                    self.run_with_free_space(room, records.settle_variant(&attempt, 0, &made)).await.is_some();
                assert_eq!(seen.variants(id, 0).await.unwrap().len(), 3 + usize::from(settled));
                settled
            }
            WalkOperation::Crop => {
                let id = db.admit_and_settle().await.id;
                let crop = Crop { rotate: Rotation::Deg90, ..Crop::default() };
                let cropped = self
                    .run_with_free_space(room, records.crop(id, crop, &mary(), ExpectedVersion::Any))
                    .await
                    .is_some();
                assert_eq!(seen.upload(id).await.unwrap().unwrap().generation, u32::from(cropped));
                cropped
            }
            WalkOperation::Claim => {
                let id = db.admit_and_settle().await.id;
                let claimed = self
                    .run_with_free_space(
                        room,
                        records.claim(id, &marys_resource(), &mary(), None, ExpectedVersion::Any),
                    )
                    .await
                    .is_some();
                assert_eq!(seen.upload(id).await.unwrap().unwrap().claim.is_some(), claimed);
                claimed
            }
            WalkOperation::DeleteUpload => {
                let (id, mary) = (db.admit_and_settle().await.id, mary());
                let delete = records.delete_upload(id, &mary, ExpectedVersion::Any);
                let deleted = self.run_with_free_space(room, delete).await.is_some();
                let expected = if deleted { UploadState::Expired } else { UploadState::Ready };
                assert_eq!(seen.upload(id).await.unwrap().unwrap().state, expected);
                assert_eq!(seen.variants(id, 0).await.unwrap().is_empty(), deleted);
                deleted
            }
            WalkOperation::RemoveAvatar => {
                let (id, resource) = (db.admit_and_settle().await.id, marys_resource());
                records.claim(id, &resource, &mary(), None, ExpectedVersion::Any).await.unwrap().unwrap();
                let remove = records.remove_avatar(&resource, "mary", ExpectedVersion::Any);
                let removed = self.run_with_free_space(room, remove).await.is_some();
                assert_eq!(seen.avatar(&resource).await.unwrap().is_none(), removed);
                let expected = if removed { UploadState::Expired } else { UploadState::Ready };
                assert_eq!(seen.upload(id).await.unwrap().unwrap().state, expected);
                removed
            }
            WalkOperation::DeleteFile => {
                let (file, _) = new_file(db).await;
                let delete = records.delete_file(&file, "mary", RETENTION, ExpectedVersion::Any);
                let deleted = self.run_with_free_space(room, delete).await.is_some();
                assert_eq!(seen.file(&file).await.unwrap().is_none(), deleted);
                deleted
            }
            WalkOperation::RestoreFile => {
                let (file, _) = new_file(db).await;
                records.delete_file(&file, "mary", RETENTION, ExpectedVersion::Any).await.unwrap().unwrap();
                let restore = records.restore_file(&file, "mary");
                let restored = self.run_with_free_space(room, restore).await.is_some();
                assert_eq!(seen.file(&file).await.unwrap().is_some(), restored);
                restored
            }
            WalkOperation::PurgeFile => {
                let (file, _) = new_file(db).await;
                let upload = records.file_version(&file, 1).await.unwrap().unwrap().upload.unwrap().id;
                records.delete_file(&file, "mary", Duration::ZERO, ExpectedVersion::Any).await.unwrap().unwrap();
                assert!(records.lease_due_purges(1000).await.unwrap().contains(&file));
                let purged = self.run_with_free_space(room, records.purge_file(&file)).await.is_some();
                assert_eq!(seen.file_version(&file, 1).await.unwrap().is_none(), purged);
                let expected = if purged { UploadState::Expired } else { UploadState::Ready };
                assert_eq!(seen.upload(upload).await.unwrap().unwrap().state, expected);
                purged
            }
            WalkOperation::User => {
                let id = fresh_id();
                let put = self.run_with_free_space(room, records.upsert_user(&user(&id))).await.is_some();
                assert_eq!(seen.user(&id).await.unwrap().is_some(), put);
                put
            }
            WalkOperation::Session => {
                let (id, ends_at) = (uuid::Uuid::now_v7(), db.clock.now() + RETENTION);
                let added =
                    self.run_with_free_space(room, records.add_session(id, &user("mary"), ends_at)).await.is_some();
                assert_eq!(seen.session(id).await.unwrap().is_some(), added);
                added
            }
            WalkOperation::Share => {
                let file = FileId::generate();
                let shared =
                    self.run_with_free_space(room, records.share_file(&file, "mary", FileRole::Viewer)).await.is_some();
                assert_eq!(seen.file_grants(&file).await.unwrap().len(), usize::from(shared));
                shared
            }
            WalkOperation::Applink => {
                let link = applink();
                let added = self.run_with_free_space(room, records.add_applink(&link)).await.is_some();
                assert_eq!(seen.applink(&link.id).await.unwrap(), added.then_some(link));
                added
            }
            WalkOperation::PublicLink => {
                let link = PublicLink { created_at: db.clock.now(), ..public_link() };
                let added = self.run_with_free_space(room, records.add_public_link(&link)).await.is_some();
                assert_eq!(seen.public_link(&link.id).await.unwrap(), added.then_some(link));
                added
            }
            WalkOperation::LockKey => {
                let key = fresh_id();
                let held =
                    self.run_with_free_space(room, records.lock_idempotency_key("mary", &key, MINUTE)).await.is_some();
                let next = seen.lock_idempotency_key("mary", &key, MINUTE).await.unwrap();
                assert_eq!(matches!(next, IdempotencyLockResult::InFlight { .. }), held, "{next:?}");
                held
            }
            WalkOperation::StoreResponse => {
                let key = fresh_id();
                let held = records.lock_idempotency_key("mary", &key, MINUTE).await.unwrap();
                let IdempotencyLockResult::Acquired(hold) = held else { panic!("{held:?}") };
                let idempotency_key = IdempotencyKey { lock: hold, fingerprint: "f".to_owned() };
                let noted = self
                    .run_with_free_space(room, records.store_idempotent_response(&idempotency_key, "done"))
                    .await
                    .is_some();
                let next = seen.lock_idempotency_key("mary", &key, MINUTE).await.unwrap();
                assert_eq!(matches!(next, IdempotencyLockResult::Completed { .. }), noted, "{next:?}");
                noted
            }
            WalkOperation::FailOverdue => {
                records.fail_overdue(1000).await.unwrap();
                let id = db.admit().await.id;
                db.clock.advance(2 * DEADLINE);
                let failed = self.run_with_free_space(room, records.fail_overdue(1000)).await.is_some();
                let expected = if failed { UploadState::Failed } else { UploadState::Accepted };
                assert_eq!(seen.upload(id).await.unwrap().unwrap().state, expected);
                failed
            }
            WalkOperation::Expire => {
                records.expire(1000).await.unwrap();
                let id = db.admit_and_settle().await.id;
                db.clock.advance(2 * RETENTION);
                let expired = self.run_with_free_space(room, records.expire(1000)).await.is_some();
                let expected = if expired { UploadState::Expired } else { UploadState::Ready };
                assert_eq!(seen.upload(id).await.unwrap().unwrap().state, expected);
                expired
            }
            WalkOperation::TakeDueDeletions => {
                db.clock.advance(RETENTION);
                self.run_with_free_space(room, records.take_due_deletions(1))
                    .await
                    .is_some_and(|taken| taken.len() == 1)
            }
            WalkOperation::CompleteDeletion => {
                db.clock.advance(RETENTION);
                let taken = records.take_due_deletions(1000).await.unwrap();
                let struck = self.run_with_free_space(room, records.complete_deletion(&taken[0])).await.is_some();
                db.clock.advance(RETENTION);
                let left = records.take_due_deletions(1000).await.unwrap();
                assert_eq!(left.contains(&taken[0]), !struck);
                struck
            }
        }
    }
}

pub(super) fn mary() -> Claimant {
    Claimant { user: "mary".to_owned(), admin: false }
}

fn fresh_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

fn applink() -> Applink {
    Applink {
        id: fresh_id(),
        file: FileId::generate(),
        audience: Audience::Users(vec!["mary".to_owned()]),
        role: FileRole::Viewer,
        created_by: "mary".to_owned(),
    }
}

fn public_link() -> PublicLink {
    let Applink { id, file, audience, role, created_by } = applink();
    let (name, created_at) = ("a link".to_owned(), Default::default());
    PublicLink {
        id,
        file,
        name,
        audience,
        role,
        password_hash: None,
        expires_at: None,
        expiration_time: None,
        created_by,
        created_at,
    }
}

pub(super) fn marys_resource() -> Resource {
    Resource { service: Service::Users, id: "mary".to_owned() }
}
