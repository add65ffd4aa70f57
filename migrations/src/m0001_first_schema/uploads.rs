//! Uploads, their jobs, variants and events, blobs to delete, idempotency keys, and usage counters.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::table::table;

pub(super) fn tables() -> [TableCreateStatement; 7] {
    [uploads(), jobs(), variants(), events(), deletions(), idempotency_keys(), usage_counters()]
}

pub(super) const INDEXES: [&str; 11] = [
    "CREATE INDEX ix_uploads_deadline ON uploads (deadline) WHERE state = 'accepted'",
    // Claimed uploads are not in this index, and expired ones are under another state. Otherwise
    // the sweeper would read all of them every few seconds. The state is a column of the index and
    // no condition, because SQLite cannot see that a bound parameter meets a condition.
    "CREATE INDEX ix_uploads_unclaimed ON uploads (state, expires_at) WHERE claimed_at IS NULL",
    "CREATE INDEX ix_uploads_staged_key ON uploads (staged_key) WHERE state IN ('accepted', 'failed')",
    "CREATE INDEX ix_uploads_owner ON uploads (owner, kind, state, created_at, id)",
    "CREATE INDEX ix_uploads_state ON uploads (kind, state, created_at, id)",
    "CREATE INDEX ix_jobs_upload_id ON jobs (upload_id)",
    // The state is a column and no condition for the same reason.
    "CREATE INDEX ix_jobs_republish_at ON jobs (state, republish_at)",
    "CREATE INDEX ix_jobs_expires_at ON jobs (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX ix_events_upload_id ON events (upload_id, id)",
    "CREATE INDEX ix_deletions_due_at ON deletions (due_at)",
    "CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys (expires_at)",
];

/// The statement that makes 1001 the first PictureID (`docs/contracts/dropbox.md`, 1.2).
pub(super) fn first_upload_id(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "INSERT INTO sqlite_sequence (name, seq) VALUES ('uploads', 1000)",
        _ => "ALTER SEQUENCE uploads_id_seq RESTART WITH 1001",
    }
}

fn uploads() -> TableCreateStatement {
    table("uploads")
        .col(pk_auto("id").big_integer())
        .col(string("kind"))
        .col(string("owner"))
        .col(string("state"))
        .col(string("filename"))
        .col(string("media"))
        .col(big_integer("bytes"))
        .col(string("sha256"))
        .col(string("staged_key"))
        .col(string_null("original_key"))
        .col(string_null("default_media"))
        .col(integer_null("width"))
        .col(integer_null("height"))
        // How long rendering takes, as estimated from the header.
        .col(big_integer("render_estimate_ms").default(0))
        // The number of crops: each begins a new generation of variants. `crop` is the latest one, as JSON;
        // NULL if the picture is shown as it was uploaded.
        .col(integer("generation").default(0))
        .col(string_null("crop"))
        // Why the upload was rejected, failed or expired.
        .col(string_null("reason_code"))
        .col(text_null("reason_message"))
        .col(string_null("claimed_service"))
        .col(string_null("claimed_resource_id"))
        .col(string_null("claimed_by"))
        .col(big_integer_null("claimed_at"))
        .col(big_integer("created_at"))
        .col(big_integer_null("settled_at"))
        .col(big_integer("deadline"))
        .col(big_integer_null("expires_at"))
        .to_owned()
}

/// The outbox, and the fence of attempts. A job that is done has no row.
fn jobs() -> TableCreateStatement {
    table("jobs")
        .col(uuid("id").primary_key())
        // NULL if the job is not about an upload.
        .col(big_integer_null("upload_id"))
        .col(string("kind"))
        .col(text("payload"))
        .col(string("state"))
        .col(string("queue"))
        // Whether the job settles its upload. The upload's deadline ends such a job.
        .col(boolean("settles_upload"))
        // The principal whose counters include the job while it is queued. Empty if the job is not counted.
        .col(string("principal"))
        .col(integer("attempts").default(0))
        // How many of the attempts do not count against the limit, because a backend failed and not the picture.
        .col(integer("uncounted_attempts").default(0))
        // The number of the last attempt that does not count, so that none is subtracted twice.
        .col(integer("last_uncounted_attempt").default(0))
        // How often in a row a backend postponed the job, because the pause grows with it, and which backend did last.
        .col(integer("postponements").default(0))
        .col(string_null("waiting_for"))
        // The blob prefixes of its attempts, each followed by a blank, so that an attempt needs no row of its own.
        .col(text("blob_prefixes").default(""))
        .col(text_null("traceparent"))
        .col(text_null("last_error"))
        .col(big_integer("created_at"))
        .col(big_integer("run_at"))
        // The number of publishes. A confirmation names the publish that it belongs to.
        .col(integer("publishes").default(0))
        .col(big_integer_null("published_at"))
        // When the sweeper publishes the job again unless something happens to the job before that.
        .col(big_integer("republish_at"))
        // How long a confirmed message may wait in the queue before it is published again. The sweeper doubles it.
        .col(big_integer("republish_after_ms"))
        .col(big_integer_null("leased_until"))
        // When a job that no upload's deadline ends is given up.
        .col(big_integer_null("expires_at"))
        .to_owned()
}

/// Variants that exist, were requested or were refused. A variant without a `blob_key` does not
/// exist.
fn variants() -> TableCreateStatement {
    table("variants")
        .col(big_integer("upload_id"))
        .col(integer("generation"))
        .col(string("name"))
        .col(string_null("blob_key"))
        .col(string_null("media"))
        .col(integer_null("width"))
        .col(integer_null("height"))
        .col(big_integer_null("bytes"))
        .col(string_null("sha256"))
        // The job that is to make it.
        .col(uuid_null("job_id"))
        // Why the variant cannot be made, or why its job is dead.
        .col(string_null("reason_code"))
        .col(text_null("reason_message"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("upload_id").col("generation").col("name"))
        .to_owned()
}

/// What happened to uploads.
fn events() -> TableCreateStatement {
    table("events")
        .col(pk_auto("id").big_integer())
        .col(big_integer("upload_id"))
        .col(string("kind"))
        .col(text("detail"))
        .col(big_integer("occurred_at"))
        .to_owned()
}

/// The deletion queue: blobs to delete, and why. Every deletion of blobs begins here.
fn deletions() -> TableCreateStatement {
    table("deletions")
        .col(uuid("id").primary_key())
        .col(big_integer_null("upload_id"))
        .col(string("blob_prefix"))
        .col(string("reason"))
        .col(big_integer("due_at"))
        .col(big_integer_null("leased_until"))
        .to_owned()
}

/// A key is in flight until `locked_until`. After that it has a response, or an upload from which the response can be
/// given, or it is free again.
fn idempotency_keys() -> TableCreateStatement {
    table("idempotency_keys")
        .col(string("caller"))
        .col(string("key"))
        .col(string_null("fingerprint"))
        .col(big_integer_null("upload_id"))
        .col(text_null("response"))
        // When the lock began, which distinguishes its holder from the next one.
        .col(big_integer("locked_at"))
        .col(big_integer("locked_until"))
        .col(big_integer("expires_at"))
        .primary_key(Index::create().col("caller").col("key"))
        .to_owned()
}

/// What each principal has in flight and stored.
fn usage_counters() -> TableCreateStatement {
    table("usage_counters")
        .col(string("principal").primary_key())
        // Uploads that a queued job is to settle, and variants that a queued job is to make.
        .col(big_integer("uploads_in_flight").default(0))
        .col(big_integer("variants_in_flight").default(0))
        // Bytes of uploads that wait or are ready, and of their variants.
        .col(big_integer("stored_bytes").default(0))
        .to_owned()
}
