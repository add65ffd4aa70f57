//! For every writing operation of records, queue and storage there is a test in which a process
//! dies at this operation. `crash_points` walks the operations of a picture and of a file. The
//! walks here reach the others. Each walk runs some operations and dies at the nth. The next
//! process runs them all again and must reach the same final state.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use domain::{
    Applink, Audience, Backend, Clock, Crop, EventKind, ExpectedVersion, FileId, FileRole, IdempotencyKey,
    IdempotencyKeyLock, IdempotencyLockResult, Job, JobMessage, PublicLink, Reason, ReasonCode, RenditionName,
    RenditionNameRules, Resource, Rotation, Service, UploadState, UploadTarget,
};
use instrument::{FailPoints, FaultSide};
use records::{Attempt, Claimant, FilesFilter, LeaseResult, PublishAttempt, Role, SigningKey, User, VariantStatus};
use test_support::in_process::{InProcess, OWNER, prepared_folder};
use test_support::portal::read_picture;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const PICTURE: &[u8] = include_bytes!("../api/tests/contract/pictures/small.gif");

/// Operations that the engines of these walks do not have: backend, operation, and the file and the
/// name of the test in which each fails.
const TESTED_ELSEWHERE: [(&str, &str, &str, &str); 1] = [(
    "storage",
    "copy",
    "crates/backends/tests/backends/bucket_storage.rs",
    "a_store_that_can_copy_promotes_without_the_callers_bytes",
)];

#[tokio::test(flavor = "multi_thread")]
async fn every_writing_operation_is_walked() {
    let mut called = BTreeSet::new();
    let photograph = read_picture("hubble.jpg");
    for walk in 0..5 {
        let (folder, faults) = (prepared_folder().await, FailPoints::recorder());
        let parts = InProcess::open(&folder, Clock::manual(jiff::Timestamp::now()), faults.clone()).await.unwrap();
        match walk {
            0 => change_accounts(&parts).await.unwrap(),
            1 => change_files(&parts).await.unwrap(),
            2 => change_pictures(&parts).await.unwrap(),
            3 => drop(parts.submit_picture(&photograph).await.unwrap()),
            _ => drop(parts.submit_file(&FileId::generate(), &photograph).await.unwrap()),
        }
        parts.worker.run_pending().await.unwrap();
        parts.sweeper.sweep_once().await.unwrap();
        parts.recover().await.unwrap();
        called.extend(faults.operations_called());
        // The walks end attempts without a worker. A worker would delete the staged bytes.
        folder.leaves_work();
    }
    let mut missing = Vec::new();
    for (backends, writing) in [
        (["records"].as_slice(), records::WRITING_OPERATIONS),
        (&["queue"], queue::WRITING_OPERATIONS),
        (&["staging", "blobs"], storage::WRITING_OPERATIONS),
    ] {
        let unwalked = writing.iter().filter(|op| !backends.iter().any(|backend| called.contains(&(*backend, **op))));
        missing.extend(unwalked.copied());
    }
    let elsewhere: Vec<&str> = TESTED_ELSEWHERE.iter().map(|(_, op, ..)| *op).collect();
    assert_eq!(missing, elsewhere, "walk these operations, or name the test that fails each of them");
    for (_, op, file, test) in TESTED_ELSEWHERE {
        let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(text.contains(&format!("async fn {test}()")), "{op}: {file} has no test {test}");
    }
}

/// Operations write to the database only by `write`, `write_with_lookup` or `write_statement`.
/// Every name that these get is in the list, and every name of the list is used.
#[test]
fn every_write_to_the_records_passes_the_seam() {
    let folder = format!("{}/crates/records/src", env!("CARGO_MANIFEST_DIR"));
    let files = ["", "/files"].into_iter().flat_map(|below| std::fs::read_dir(format!("{folder}{below}")).unwrap());
    let mut named = BTreeSet::new();
    for file in files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|is| is == "rs")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for write in
            ["exec(&self.db)", "exec_with_returning(&self.db)", "exec_without_returning(&self.db)", "insert(&self.db)"]
        {
            assert!(!text.contains(write), "{}: {write} does not pass the seam", file.display());
        }
        for call in [".write(", ".write_with_lookup(", ".write_statement("] {
            let calls = text.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
            named.extend(calls.filter_map(|rest| rest.split_once('"')).map(|(op, _)| op.to_owned()));
        }
    }
    let listed: BTreeSet<String> = records::WRITING_OPERATIONS.iter().map(|op| (*op).to_owned()).collect();
    assert_eq!(named, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_change_of_accounts_is_the_last_it_can_be_repeated() {
    crash_everywhere(change_accounts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_change_of_files_is_the_last_it_can_be_repeated() {
    crash_everywhere(change_files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_change_of_pictures_is_the_last_it_can_be_repeated() {
    crash_everywhere(change_pictures).await;
}

async fn crash_everywhere(change: impl AsyncFn(&InProcess) -> Result<()>) {
    let mut died = 0;
    for side in [FaultSide::BeforeEffect, FaultSide::AfterEffect] {
        for n in 1.. {
            let faults = FailPoints::crash_at(n, side);
            if !crash_and_repeat(&change, faults).await {
                break;
            }
            died += 1;
        }
    }
    assert!(died > 20, "only {died} crash points");
    println!("all {died} crashes led to the same final state");
}

/// Makes the changes while `faults` are active, and makes them again in the next process. Returns
/// whether the first process died. False means that the changes have fewer operations.
async fn crash_and_repeat(change: impl AsyncFn(&InProcess) -> Result<()>, faults: FailPoints) -> bool {
    let (folder, clock) = (prepared_folder().await, Clock::manual(jiff::Timestamp::now()));
    let parts = InProcess::open(&folder, clock.clone(), faults.clone()).await.unwrap();
    let changed = change(&parts).await;
    drop(parts);
    let died = faults.has_triggered();
    assert_eq!(changed.is_err(), died, "{faults:?}: {changed:?}");

    let parts = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    parts.recover().await.unwrap();
    change(&parts).await.unwrap_or_else(|error| panic!("{faults:?}: {error:#}"));
    parts.recover().await.unwrap();
    let records = &parts.backends.records;
    for job in records.jobs(true, 100).await.unwrap() {
        assert!(records.discard_job(job.id).await.unwrap());
    }
    // Unclaimed pictures expire. Then the blobs are deleted that an attempt may still have been
    // writing.
    clock.advance(2 * DAY);
    parts.recover().await.unwrap();
    clock.advance(DAY);
    parts.recover().await.unwrap();
    let deleted = FilesFilter { owner: None, deleted: true };
    assert_eq!(records.list_files(&deleted, None, 100).await.unwrap(), [], "{faults:?}: a deleted file stays");
    let stats = records.stats().await.unwrap();
    assert_eq!((stats.queued_jobs, stats.dead_jobs, stats.pending_deletions), (0, 0, 0), "{faults:?}");
    assert_eq!((stats.unaccounted(), stats.in_state(UploadState::Accepted)), (0, 0), "{faults:?}: {stats:?}");
    assert_eq!(folder.staged_files(), Vec::<std::path::PathBuf>::new(), "{faults:?}");
    assert_eq!(records.recount_usage().await.unwrap(), Vec::<String>::new(), "{faults:?}: a counter is wrong");
    died
}

/// Users, sessions, keys, resources and idempotency keys, upload ids, and parked messages.
async fn change_accounts(parts: &InProcess) -> Result<()> {
    let records = &parts.backends.records;
    let (bob, later) = (user("bob"), records.clock().now() + MINUTE);
    records.upsert_user(&bob).await?;
    records.insert_user_if_absent(&user("carol")).await?;
    let session = Uuid::now_v7();
    anyhow::ensure!(records.add_session(session, &bob, later).await?);
    records.end_session(session).await?;
    records.end_sessions("bob").await?;
    let key = SigningKey { id: Uuid::now_v7().to_string(), secret: "0".repeat(64) };
    records.add_signing_key(&key).await?;
    records.extend_signing_key(&key.id, later).await?;
    records.delete_old_signing_keys(DAY).await?;

    let choir = Resource { service: Service::Groups, id: "choir".to_owned() };
    records.register_resource(&choir, Some("Choir"), Some(&["bob".to_owned()])).await?;
    records.name_resource(&choir, "The choir", ExpectedVersion::Any).await??;
    records.grant_resource(&choir, "carol").await?;
    records.revoke_resource_grant(&choir, "carol").await?;
    anyhow::ensure!(records.resource_grants(&choir).await? == ["bob"]);

    let lock = lock_key(parts).await?;
    anyhow::ensure!(records.renew_idempotency_key(&lock, MINUTE).await?);
    let key = IdempotencyKey { lock, fingerprint: "f".to_owned() };
    records.store_idempotent_response(&key, "{}").await?;
    records.release_idempotency_key(&lock_key(parts).await?).await?;

    records.skip_upload_ids(2000).await?;
    parts.backends.queue.unpark().await?;
    Ok(())
}

/// Files, their links and renditions, and the usage of their owner.
async fn change_files(parts: &InProcess) -> Result<()> {
    let records = &parts.backends.records;
    let registered: FileId = "registered".parse()?;
    records.register_file(&registered, "report.pdf", OWNER, 1, None).await?.ok().context("it was refused")?;
    records.share_file(&registered, "carol", FileRole::Viewer).await?;
    records.unshare_file(&registered, "carol").await?;
    let link = applink(&registered);
    records.add_applink(&link).await?;
    anyhow::ensure!(records.revoke_applink(&link.id).await?);
    records.add_public_link(&public_link(parts, &registered)).await?;
    for link in records.public_links(&registered).await? {
        anyhow::ensure!(records.revoke_public_link(&link.id).await?);
    }

    let file = FileId::generate();
    parts.submit_file(&file, PICTURE).await?;
    parts.worker.run_pending().await?;
    let version = records.file_version(&file, 1).await?.context("the file is not ready")?.id;
    let name = RenditionName::parse("small", RenditionNameRules::V1_1)?;
    let target = UploadTarget::Rendition { version, name, description: String::new(), max_renditions: 9 };
    parts.submit_to_target(target, PICTURE).await?;
    parts.worker.run_pending().await?;
    let rendition = records.rendition(version, "small").await?.context("the rendition is not ready")?;
    anyhow::ensure!(records.delete_rendition(&rendition, OWNER).await?);
    anyhow::ensure!(records.recount_usage().await?.is_empty());
    parts.sweeper.sweep_once().await?;

    // One more rendition is ready and one waits, so that the purge deletes and cancels.
    for (name, settled) in [("ready", true), ("waiting", false)] {
        let name = RenditionName::parse(name, RenditionNameRules::V1_1)?;
        let target = UploadTarget::Rendition { version, name, description: String::new(), max_renditions: 9 };
        parts.submit_to_target(target, PICTURE).await?;
        if settled {
            parts.worker.run_pending().await?;
        }
    }
    let delete = async |grace| records.delete_file(&file, OWNER, grace, ExpectedVersion::Any).await;
    delete(DAY).await?.ok().context("it cannot be deleted")?;
    records.restore_file(&file, OWNER).await?.ok().context("it cannot be restored")?;
    delete(Duration::ZERO).await?.ok().context("it cannot be deleted again")?;
    parts.sweeper.sweep_once().await?;
    anyhow::ensure!(records.file_versions(&file, None).await?.is_empty());
    Ok(())
}

/// All ways in which a job can end, and the changes of a ready picture.
async fn change_pictures(parts: &InProcess) -> Result<()> {
    let (records, queue) = (&parts.backends.records, &parts.backends.queue);
    let reason = Reason::new(ReasonCode::BytesLost, "the bytes are lost");
    let rejected = parts.submit_picture(PICTURE).await?;
    let job = rejected.message.id;
    records.confirm_published([PublishAttempt::first(job)]).await?;
    let attempt = begin(parts, &rejected.message).await?;
    anyhow::ensure!(records.renew_lease(&attempt, MINUTE).await?);
    records.reschedule(&attempt, Duration::ZERO, "it took too long").await?.context("rescheduled before")?;
    let attempt = begin(parts, &rejected.message).await?;
    records.postpone(&attempt, Backend::Blobs, Duration::ZERO, "refused").await?.context("postponed before")?;
    let attempt = begin(parts, &rejected.message).await?;
    records.mark_dead(&attempt, &reason, "lost").await?;
    records.retry_job(job, 10 * MINUTE).await?.context("it is not dead")?;
    let attempt = begin(parts, &rejected.message).await?;
    records.settle_rejected(&attempt, &reason).await?;
    queue.publish_delayed(&rejected.message, Duration::ZERO).await?;

    let dead = parts.submit_picture(PICTURE).await?;
    records.mark_dead(&begin(parts, &dead.message).await?, &reason, "lost").await?;
    anyhow::ensure!(records.discard_job(dead.message.id).await?);

    let ready = parts.submit_picture(PICTURE).await?.id;
    parts.worker.run_pending().await?;
    let refused = request_variant(parts, ready, "96.png").await?;
    records.refuse_variant(&begin(parts, &refused).await?, &reason).await?;
    let message = request_variant(parts, ready, "97.png").await?;
    queue.publish(&message).await?;
    parts.worker.run_pending().await?;
    anyhow::ensure!(records.variants(ready, 0).await?.iter().any(|variant| variant.name.to_string() == "97.png"));

    let job = Job::MakeVariant { upload: ready, generation: 0, variant: "98.png".parse()? };
    let message = records.enqueue_upload_job(ready, job, MINUTE).await?.context("the picture is not ready")?;
    records.finish_upload_job(&begin(parts, &message).await?, EventKind::VariantRefused, "").await?;

    let ada = Claimant { user: OWNER.to_owned(), admin: false };
    let resource = Resource { service: Service::Users, id: OWNER.to_owned() };
    let crop = Crop { rotate: Rotation::Deg90, ..Crop::default() };
    records.crop(ready, crop, &ada, ExpectedVersion::Any).await?.ok().context("it cannot be cropped")?;
    records.claim(ready, &resource, &ada, None, ExpectedVersion::Any).await?.ok().context("it cannot be claimed")?;
    let removed = records.remove_avatar(&resource, OWNER, ExpectedVersion::Any).await??;
    parts.backends.clean_up_discarded(&removed).await;

    let waiting = parts.submit_picture(PICTURE).await?.id;
    let deleted = records.delete_upload(waiting, &ada, ExpectedVersion::Any).await?.ok().context("it stays")?;
    anyhow::ensure!(deleted.uploads == [waiting]);
    parts.backends.clean_up_discarded(&deleted).await;
    parts.sweeper.sweep_once().await?;
    Ok(())
}

async fn begin(parts: &InProcess, message: &JobMessage) -> Result<Attempt> {
    match parts.backends.records.begin_attempt(message, MINUTE).await? {
        LeaseResult::Leased(attempt) => Ok(*attempt),
        other => bail!("not leased: {other:?}"),
    }
}

async fn request_variant(parts: &InProcess, upload: domain::UploadId, name: &str) -> Result<JobMessage> {
    match parts.backends.records.request_variant(upload, 0, name.parse()?).await? {
        VariantStatus::Enqueued(message) => Ok(message),
        other => bail!("not enqueued: {other:?}"),
    }
}

async fn lock_key(parts: &InProcess) -> Result<IdempotencyKeyLock> {
    let key = Uuid::now_v7().to_string();
    match parts.backends.records.lock_idempotency_key(OWNER, &key, MINUTE).await? {
        IdempotencyLockResult::Acquired(lock) => Ok(lock),
        other => bail!("not acquired: {other:?}"),
    }
}

fn user(id: &str) -> User {
    User {
        id: id.to_owned(),
        email: format!("{id}@example.org"),
        name: id.to_owned(),
        password_hash: String::new(),
        role: Role::Member,
        disabled: false,
    }
}

fn applink(file: &FileId) -> Applink {
    Applink {
        id: Uuid::now_v7().to_string(),
        file: file.clone(),
        audience: Audience::Everybody,
        role: FileRole::Viewer,
        created_by: OWNER.to_owned(),
    }
}

fn public_link(parts: &InProcess, file: &FileId) -> PublicLink {
    PublicLink {
        id: Uuid::now_v7().to_string(),
        file: file.clone(),
        name: String::new(),
        audience: Audience::Everybody,
        role: FileRole::Viewer,
        password_hash: None,
        expires_at: None,
        expiration_time: None,
        created_by: OWNER.to_owned(),
        created_at: parts.backends.records.clock().now(),
    }
}
