//! Files and their versions, custom renditions, grants, links, and idempotency keys.
//!
//! A version or a rendition is a row from the moment its bytes are admitted. `ready_at` is set when it becomes
//! visible, `released_at` when it failed or was deleted. The name of a rendition is reserved while it is not
//! released; a partial unique index enforces that on SQLite and PostgreSQL.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in
            [files(), file_versions(), renditions(), file_grants(), applinks(), public_links(), idempotency_keys()]
        {
            manager.create_table(table).await?;
        }
        let db = manager.get_connection();
        for index in INDEXES {
            db.execute_unprepared(index).await?;
        }
        Ok(())
    }
}

const INDEXES: [&str; 7] = [
    "CREATE UNIQUE INDEX ux_file_versions_number ON file_versions (file_id, number)",
    "CREATE INDEX ix_file_versions_upload ON file_versions (upload_id)",
    "CREATE UNIQUE INDEX ux_renditions_name ON renditions (version_id, folded) WHERE released_at IS NULL",
    "CREATE INDEX ix_renditions_upload ON renditions (upload_id)",
    "CREATE INDEX ix_applinks_file ON applinks (file_id)",
    "CREATE INDEX ix_public_links_file ON public_links (file_id)",
    "CREATE INDEX ix_idempotency_keys_expires ON idempotency_keys (expires_at)",
];

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

/// `latest` is the highest number of a visible version; 0 while there is none.
fn files() -> TableCreateStatement {
    table("files")
        .col(string("id").primary_key())
        .col(string("owner"))
        .col(text("name"))
        .col(integer("latest").default(0))
        .col(big_integer("created_at"))
        .col(big_integer("changed_at"))
        .to_owned()
}

/// A version without an upload has its bytes in another system.
fn file_versions() -> TableCreateStatement {
    table("file_versions")
        .col(pk_auto("id").big_integer())
        .col(string("file_id"))
        .col(integer("number"))
        .col(big_integer_null("upload_id"))
        .col(text("name"))
        .col(string("created_by"))
        .col(string_null("link"))
        .col(big_integer("created_at"))
        .col(big_integer_null("ready_at"))
        .col(big_integer_null("released_at"))
        .to_owned()
}

/// `folded` is the name as it is compared. `link` is the source of the right to upload, if that was not a session.
fn renditions() -> TableCreateStatement {
    table("renditions")
        .col(pk_auto("id").big_integer())
        .col(big_integer("version_id"))
        .col(text("name"))
        .col(text("folded"))
        .col(text("description"))
        .col(string("extension"))
        .col(big_integer("upload_id"))
        .col(string("created_by"))
        .col(string_null("link"))
        .col(big_integer("created_at"))
        .col(big_integer_null("ready_at"))
        .col(big_integer_null("released_at"))
        .to_owned()
}

fn file_grants() -> TableCreateStatement {
    table("file_grants")
        .col(string("file_id"))
        .col(string("user_id"))
        .col(string("role"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("file_id").col("user_id"))
        .to_owned()
}

fn applinks() -> TableCreateStatement {
    table("applinks")
        .col(string("id").primary_key())
        .col(string("file_id"))
        .col(string("assigned"))
        .col(string("role"))
        .col(string("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"))
        .to_owned()
}

/// `assigned` is a JSON list of users, or of the one word that stands for many.
fn public_links() -> TableCreateStatement {
    table("public_links")
        .col(string("id").primary_key())
        .col(string("file_id"))
        .col(text("name"))
        .col(string("role"))
        .col(text("assigned"))
        .col(string_null("password_hash"))
        .col(big_integer_null("expires_at"))
        .col(string("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"))
        .to_owned()
}

/// A key is in flight until `held_until`. After that it has an answer, or an upload from which the answer can be
/// given, or it is free again.
fn idempotency_keys() -> TableCreateStatement {
    table("idempotency_keys")
        .col(string("caller"))
        .col(string("key"))
        .col(string_null("fingerprint"))
        .col(big_integer_null("upload_id"))
        .col(text_null("answer"))
        .col(big_integer("created_at"))
        .col(big_integer("held_until"))
        .col(big_integer("expires_at"))
        .primary_key(Index::create().col("caller").col("key"))
        .to_owned()
}
