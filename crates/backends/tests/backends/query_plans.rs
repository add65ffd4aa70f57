//! PostgreSQL answers every frequent query from an index, whatever is in the tables. The test calls the records' own
//! functions and reads the server's counters of scans.

use std::time::Duration;

use domain::{ExpectedVersion, FileId, Resource, Service, UploadKind, UploadState, UploadTarget};
use jiff::Timestamp;
use records::{Claimant, LeaseResult, PublishAttempt, PurgeStep, UploadFilter};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, FromQueryResult, Statement};
use test_support::test_db::{MINUTE, RETENTION, TestDb, processed_upload};

use crate::files::file_admission;

#[derive(Debug, FromQueryResult)]
struct SequentialScans {
    relname: String,
    seq_scan: i64,
}

async fn scans(db: &DatabaseConnection) -> Vec<SequentialScans> {
    let sql = "SELECT relname::text, seq_scan FROM pg_stat_user_tables ORDER BY relname";
    SequentialScans::find_by_statement(Statement::from_string(DbBackend::Postgres, sql)).all(db).await.unwrap()
}

/// A few years of a portal: settled uploads with their events, and a queue that has fallen behind.
const FILL: &str = "
INSERT INTO uploads (kind, owner, state, filename, media, bytes, sha256, staged_key, generation, created_at, deadline, expires_at, claimed_at)
SELECT 'dropbox', 'user' || n % 500, CASE n % 40 WHEN 0 THEN 'expired' WHEN 1 THEN 'rejected' ELSE 'ready' END,
       'x', 'jpg', 1, 'x', 'incoming/' || n, 0, n, n, n, CASE n % 40 WHEN 0 THEN NULL WHEN 1 THEN NULL ELSE n END
FROM generate_series(1, 30000) n;
INSERT INTO events (upload_id, occurred_at, kind, detail) SELECT 1001 + n % 30000, n, 'ready', '' FROM generate_series(1, 60000) n;
INSERT INTO variants (upload_id, generation, name, created_at) SELECT 1001 + n % 30000, 0, n / 30000 || '.jpg', n
FROM generate_series(1, 60000) n;
INSERT INTO jobs (id, upload_id, kind, payload, queue, settles_upload, principal, republish_after_ms, state, attempts, created_at, run_at, published_at, republish_at)
SELECT gen_random_uuid(), 1001 + n, 'picture.process.v1', '{}', 'pictures', true, 'mary', 60000, CASE n % 10 WHEN 0 THEN 'dead' ELSE 'queued' END, 0, n,
       4000000000000, 4000000000000, CASE n % 10 WHEN 0 THEN n ELSE 4000000000000 END FROM generate_series(1, 20000) n;
INSERT INTO deletions (id, upload_id, blob_prefix, reason, due_at) SELECT gen_random_uuid(), n, 'p', 'w', 4000000000000
FROM generate_series(1, 20000) n;
INSERT INTO avatars (service, resource_id, upload_id, set_by, created_at) SELECT 'groups', 'g' || n % 5000, n, 'x', n
FROM generate_series(1, 20000) n;
INSERT INTO files (id, owner, name, latest_version, created_at, changed_at, deleted_at, purge_at)
SELECT 'F' || n, 'user7', 'x', 1, n, n, CASE n % 9 WHEN 0 THEN n END, CASE n % 9 WHEN 0 THEN 4000000000000 END
FROM generate_series(1, 20000) n;
INSERT INTO file_versions (file_id, number, upload_id, name, created_by, created_at, ready_at)
SELECT 'F' || n, 1, 1000 + n, 'x', 'x', n, n FROM generate_series(1, 20000) n;
INSERT INTO renditions (version_id, name, case_folded_name, description, extension, upload_id, created_by, access_grant, created_at, released_at)
SELECT n, 'x', 'x', '', '', 1000 + n, 'x', 'x', n, CASE n % 2 WHEN 0 THEN n END FROM generate_series(1, 20000) n;
INSERT INTO file_grants (file_id, user_id, role, created_at) SELECT 'F' || n, 'user7', 'viewer', n FROM generate_series(1, 20000) n;
INSERT INTO applinks (id, file_id, audience, role, created_by, created_at)
SELECT 'A' || n, 'F' || n, '@everybody', 'viewer', 'user7', n FROM generate_series(1, 20000) n;
INSERT INTO public_links (id, file_id, name, audience, role, created_by, created_at)
SELECT 'P' || n, 'F' || n, '', '[]', 'viewer', 'user7', n FROM generate_series(1, 20000) n;
INSERT INTO users (id, email, name, password_hash, role, created_at) SELECT 'user' || n, 'user' || n || '@x', 'x', 'x', 'member', n
FROM generate_series(1, 5000) n;
INSERT INTO sessions (id, user_id, epoch, created_at, ends_at) SELECT gen_random_uuid(), 'user' || n % 5000, 0, n, 4000000000000
FROM generate_series(1, 20000) n;
INSERT INTO usage_counters (principal, uploads_in_flight, stored_bytes) SELECT 'user' || n, 1, n FROM generate_series(1, 5000) n;
INSERT INTO resource_grants (service, resource_id, user_id, created_at) SELECT 'groups', 'g' || n, 'user' || n, n FROM generate_series(1, 5000) n;
ANALYZE";

#[tokio::test]
async fn no_frequent_query_reads_a_whole_table() {
    let Some(db) = TestDb::postgres().await else { return };
    let looking = Database::connect(&db.url).await.unwrap();
    looking.execute_unprepared(FILL).await.unwrap();
    let before = scans(&looking).await;

    // The records have connections of their own, because the server reports their counters when they end. Each query
    // runs often enough for the server to choose a generic plan.
    let records = TestDb::reopen(&db.url, &db.clock).await;
    let choir = Resource { service: Service::Groups, id: "choir".to_owned() };
    let mary = Claimant { user: "mary".to_owned(), admin: false };
    for _ in 0..8 {
        let admitted = records.admit(test_support::test_db::admission("mary")).await.unwrap();
        records.confirm_published([PublishAttempt::first(admitted.message.id)]).await.unwrap();
        let LeaseResult::Leased(attempt) = records.begin_attempt(&admitted.message, MINUTE).await.unwrap() else {
            panic!("busy")
        };
        records.renew_lease(&attempt, MINUTE).await.unwrap();
        records.processing_job(admitted.id).await.unwrap();
        records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        records.upload(admitted.id).await.unwrap();
        records.usage("mary").await.unwrap();
        for owner in [None, Some("user7".to_owned())] {
            for state in [None, Some(UploadState::Rejected), Some(UploadState::Failed)] {
                for (kind, old) in
                    [(None, None), (Some(UploadKind::Rendition), None), (Some(UploadKind::Dropbox), Some(500))]
                {
                    // Uploads that are older than most of those in the tables, to which an index has to lead directly.
                    let created_before = old.map(|ms| Timestamp::from_millisecond(ms).unwrap());
                    let filter = UploadFilter { owner: owner.clone(), kind, state, created_before, created_from: None };
                    let cursor = old.is_none().then_some(admitted.id);
                    let listed = records.list_uploads(&filter, cursor, 20).await.unwrap();
                    assert!(listed.len() <= 20);
                }
            }
        }
        records.events(admitted.id).await.unwrap();
        records.variants(admitted.id, 0).await.unwrap();
        records.request_variant(admitted.id, 0, "64.png".parse().unwrap()).await.unwrap();
        records.claim(admitted.id, &choir, &mary, None, ExpectedVersion::Any).await.unwrap().unwrap();
        records.avatar(&choir).await.unwrap();
        records.remove_avatar(&choir, "mary", ExpectedVersion::Any).await.unwrap().unwrap();
        records.avatar(&choir).await.unwrap();
        records.may_act_for("mary", &choir).await.unwrap();
        let unclaimed = records.admit(test_support::test_db::admission("mary")).await.unwrap().id;
        records.delete_upload(unclaimed, &mary, ExpectedVersion::Any).await.unwrap().unwrap();
        records.unclaimed("mary").await.unwrap();
        let file = FileId::generate();
        let target = UploadTarget::NewFile(file.clone());
        let version = records.admit_into_file(file_admission(target)).await.unwrap().unwrap();
        let LeaseResult::Leased(attempt) = records.begin_attempt(&version.message, MINUTE).await.unwrap() else {
            panic!("busy")
        };
        records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        records.delete_file(&file, "mary", MINUTE, ExpectedVersion::Any).await.unwrap().unwrap();
        records.restore_file(&file, "mary").await.unwrap().unwrap();
        records.delete_file(&file, "mary", MINUTE, ExpectedVersion::Any).await.unwrap().unwrap();
        let user = records.user_by_email("mary@example.org").await.unwrap().unwrap();
        let (ends_at, session) = (db.clock.now() + RETENTION, uuid::Uuid::new_v4());
        assert!(records.add_session(session, &user, ends_at).await.unwrap());
        assert!(records.session(session).await.unwrap().is_some());
        records.end_sessions("mary").await.unwrap();
        records.end_session(session).await.unwrap();
        assert!(records.add_session(session, &user, ends_at).await.unwrap());
        let lost = records.admit(test_support::test_db::admission("mary")).await.unwrap();
        records.begin_attempt(&lost.message, MINUTE).await.unwrap();
        let forgotten = records.admit(test_support::test_db::admission("mary")).await.unwrap();
        db.clock.advance(Duration::from_secs(90));
        let due = records.take_due_messages(100).await.unwrap();
        assert!(due.iter().any(|due| due.message == forgotten.message));
        records.fail_overdue_variants(100).await.unwrap();
        db.clock.advance(RETENTION);
        let keys: Vec<String> = (0..500).map(|n| format!("incoming/{n}")).collect();
        records.needed_staged_keys(&keys).await.unwrap();
        records.fail_overdue(100).await.unwrap();
        records.expire(100).await.unwrap();
        assert_eq!(records.lease_due_purges(100).await.unwrap(), std::slice::from_ref(&file));
        assert!(matches!(records.purge_file(&file).await.unwrap(), PurgeStep::Version(_)));
        assert_eq!(records.purge_file(&file).await.unwrap(), PurgeStep::Done);
        assert_eq!(records.delete_ended_sessions(100).await.unwrap(), 1);
        for deletion in records.take_due_deletions(100).await.unwrap() {
            records.complete_deletion(&deletion).await.unwrap();
        }
    }
    records.close().await.unwrap();

    let read_whole = async || {
        let after = scans(&looking).await;
        let tables = before.iter().zip(&after).filter(|(before, after)| {
            // Tables with few rows that are always read whole: the signing keys, and the migrations table of SeaORM.
            !matches!(after.relname.as_str(), "signing_keys" | "seaql_migrations") && before.seq_scan != after.seq_scan
        });
        tables
            .map(|(before, after)| format!("{}: {}", after.relname, after.seq_scan - before.seq_scan))
            .collect::<Vec<_>>()
    };
    assert_eq!(read_whole().await, Vec::<String>::new());
    // An index could be read whole too, so the entries that were read are counted. Claimed or
    // expired uploads must not be read again.
    let unclaimed = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_uploads_unclaimed'";
    let read = looking.query_one_raw(Statement::from_string(DbBackend::Postgres, unclaimed)).await.unwrap().unwrap();
    let read: i64 = read.try_get_by_index(0).unwrap();
    assert!(read < 1000, "{read} entries were read for the few unclaimed uploads");
    let republish = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_jobs_republish_at'";
    let read = looking.query_one_raw(Statement::from_string(DbBackend::Postgres, republish)).await.unwrap().unwrap();
    let read: i64 = read.try_get_by_index(0).unwrap();
    assert!(read < 1000, "{read} entries were read for the few jobs that were due");
    // A page of uploads reads the entries of that page. Each round lists with nine filters for each index. A filter without
    // a kind or a state is a query for each.
    for index in ["ix_uploads_owner", "ix_uploads_state"] {
        let sql = format!("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = '{index}'");
        let read = looking.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
        let read: i64 = read.try_get_by_index(0).unwrap();
        assert!((1..5000).contains(&read), "{read} entries of {index} were read for pages of 20 uploads");
    }
    looking.close().await.unwrap();
    db.close().await;
}
