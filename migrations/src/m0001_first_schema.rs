//! Uploads, their jobs, variants, events and bytes to delete; users, keys, grants and avatars.
//!
//! Times are milliseconds since 1970 in a BIGINT, which gives the same order and precision on SQLite and PostgreSQL.
//! Partial indexes serve the sweeper's queries, so that a table of millions of settled uploads costs it nothing.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [users(), signing_keys(), uploads(), jobs(), variants(), events(), ledger(), grants(), avatars()] {
            manager.create_table(table).await?;
        }
        let db = manager.get_connection();
        for index in INDEXES {
            db.execute_unprepared(index).await?;
        }
        // The first PictureID is 1001 (contract/dropbox.md, "Answer").
        db.execute_unprepared(match manager.get_database_backend() {
            DbBackend::Sqlite => "INSERT INTO sqlite_sequence (name, seq) VALUES ('uploads', 1000)",
            _ => "ALTER SEQUENCE uploads_id_seq RESTART WITH 1001",
        })
        .await?;
        Ok(())
    }
}

const INDEXES: [&str; 11] = [
    "CREATE INDEX ix_uploads_deadline ON uploads (deadline) WHERE state = 'accepted'",
    "CREATE INDEX ix_uploads_expires ON uploads (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX ix_uploads_staged ON uploads (staged_key) WHERE state IN ('accepted', 'failed')",
    "CREATE INDEX ix_uploads_owner ON uploads (owner, state)",
    "CREATE INDEX ix_jobs_unpublished ON jobs (run_at) WHERE state = 'queued' AND published_at IS NULL",
    "CREATE INDEX ix_jobs_leased ON jobs (leased_until) WHERE state = 'queued' AND leased_until IS NOT NULL",
    "CREATE INDEX ix_jobs_published ON jobs (published_at) WHERE state = 'queued' AND leased_until IS NULL",
    "CREATE INDEX ix_jobs_upload ON jobs (upload_id)",
    "CREATE INDEX ix_events_upload ON events (upload_id, id)",
    "CREATE INDEX ix_ledger_due ON ledger (due)",
    "CREATE INDEX ix_avatars_resource ON avatars (service, resource, version)",
];

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

fn users() -> TableCreateStatement {
    table("users")
        .col(string("id").primary_key())
        .col(string_uniq("email"))
        .col(string("name"))
        .col(string("password_hash"))
        .col(string("role"))
        .col(big_integer_null("disabled_at"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// The keys that sign sessions: the newest signs, and all that are not retired verify.
fn signing_keys() -> TableCreateStatement {
    table("signing_keys")
        .col(string("id").primary_key())
        .col(string("secret"))
        .col(big_integer("created_at"))
        .col(big_integer_null("retired_at"))
        .to_owned()
}

fn uploads() -> TableCreateStatement {
    table("uploads")
        .col(pk_auto("id").big_integer())
        .col(string("kind"))
        .col(string("owner"))
        .col(string("state"))
        .col(string("label"))
        .col(string("media"))
        .col(big_integer("bytes"))
        .col(string("sha256"))
        .col(string("staged_key"))
        .col(string_null("original_key"))
        .col(string_null("served"))
        .col(integer_null("width"))
        .col(integer_null("height"))
        .col(integer("generation").default(0))
        .col(string_null("crop"))
        .col(string_null("code"))
        .col(text_null("why"))
        .col(string_null("claimed_service"))
        .col(string_null("claimed_resource"))
        .col(string_null("claimed_by"))
        .col(big_integer_null("claimed_at"))
        .col(big_integer("created_at"))
        .col(big_integer_null("settled_at"))
        .col(big_integer("deadline"))
        .col(big_integer_null("expires_at"))
        .to_owned()
}

/// The outbox, and the fence of attempts: a row exists from the upload's transaction to the settling one.
fn jobs() -> TableCreateStatement {
    table("jobs")
        .col(uuid("id").primary_key())
        .col(big_integer("upload_id"))
        .col(string("kind"))
        .col(text("payload"))
        .col(string("state"))
        .col(integer("attempts").default(0))
        .col(text_null("trace"))
        .col(text_null("last_error"))
        .col(big_integer("created_at"))
        .col(big_integer("run_at"))
        .col(big_integer_null("published_at"))
        .col(big_integer_null("leased_until"))
        .to_owned()
}

fn variants() -> TableCreateStatement {
    table("variants")
        .col(big_integer("upload_id"))
        .col(integer("generation"))
        .col(string("name"))
        .col(string_null("key"))
        .col(string_null("media"))
        .col(integer_null("width"))
        .col(integer_null("height"))
        .col(big_integer_null("bytes"))
        .col(string_null("sha256"))
        .col(uuid_null("job"))
        .col(text_null("why"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("upload_id").col("generation").col("name"))
        .to_owned()
}

fn events() -> TableCreateStatement {
    table("events")
        .col(pk_auto("id").big_integer())
        .col(big_integer("upload_id"))
        .col(big_integer("at"))
        .col(string("what"))
        .col(text("detail"))
        .to_owned()
}

/// The deletion queue: blobs to be deleted, and why. Every deletion of blobs begins here.
fn ledger() -> TableCreateStatement {
    table("ledger")
        .col(uuid("id").primary_key())
        .col(big_integer("upload_id"))
        .col(string("prefix"))
        .col(string("why"))
        .col(big_integer("due"))
        .col(big_integer_null("taken_at"))
        .to_owned()
}

fn grants() -> TableCreateStatement {
    table("grants")
        .col(string("service"))
        .col(string("resource"))
        .col(string("user_id"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("service").col("resource").col("user_id"))
        .to_owned()
}

/// Every avatar a resource ever had; an entry without an upload means that the avatar was removed.
fn avatars() -> TableCreateStatement {
    table("avatars")
        .col(pk_auto("version").big_integer())
        .col(string("service"))
        .col(string("resource"))
        .col(big_integer_null("upload_id"))
        .col(string("set_by"))
        .col(big_integer("created_at"))
        .to_owned()
}
