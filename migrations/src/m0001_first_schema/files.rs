//! Files and their versions, custom renditions, roles at files, and links to files.
//!
//! A version or a rendition is a row from the moment its bytes are admitted. `ready_at` is set when it becomes
//! visible, `released_at` when it failed or was deleted. The name of a rendition is reserved while it is not
//! released; a partial unique index enforces that on SQLite and PostgreSQL.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::table::table;

pub(super) fn tables() -> [TableCreateStatement; 6] {
    [files(), file_versions(), renditions(), file_grants(), applinks(), public_links()]
}

pub(super) const INDEXES: [&str; 8] = [
    "CREATE INDEX ix_files_purge_at ON files (purge_at) WHERE purge_at IS NOT NULL",
    "CREATE UNIQUE INDEX ux_file_versions_number ON file_versions (file_id, number)",
    "CREATE INDEX ix_file_versions_upload_id ON file_versions (upload_id)",
    "CREATE UNIQUE INDEX ux_renditions_name ON renditions (version_id, case_folded_name) WHERE released_at IS NULL",
    // The unique index has no released renditions, and the purge of a file deletes those too.
    "CREATE INDEX ix_renditions_version_id ON renditions (version_id)",
    "CREATE INDEX ix_renditions_upload_id ON renditions (upload_id)",
    "CREATE INDEX ix_applinks_file_id ON applinks (file_id)",
    "CREATE INDEX ix_public_links_file_id ON public_links (file_id)",
];

/// `latest_version` is the highest number of a visible version; 0 while there is none.
fn files() -> TableCreateStatement {
    table("files")
        .col(string("id").primary_key())
        .col(string("owner"))
        .col(text("name"))
        .col(integer("latest_version").default(0))
        .col(big_integer("created_at"))
        .col(big_integer("changed_at"))
        // When and by whom the file was deleted, until it is restored.
        .col(big_integer_null("deleted_at"))
        .col(string_null("deleted_by"))
        // When the sweeper purges the deleted file.
        .col(big_integer_null("purge_at"))
        // The lease of the sweeper that purges the file. A file with a lease cannot be restored any more.
        .col(big_integer_null("purge_leased_until"))
        .to_owned()
}

/// A version without an upload has its bytes in another system, and no access grant.
fn file_versions() -> TableCreateStatement {
    table("file_versions")
        .col(pk_auto("id").big_integer())
        .col(string("file_id"))
        .col(integer("number"))
        .col(big_integer_null("upload_id"))
        .col(text("name"))
        .col(string("created_by"))
        // What permitted the upload: `user:…`, `applink:…` or `publiclink:…`.
        .col(string_null("access_grant"))
        .col(big_integer("created_at"))
        .col(big_integer_null("ready_at"))
        .col(big_integer_null("released_at"))
        .to_owned()
}

/// `case_folded_name` is the name as it is compared.
fn renditions() -> TableCreateStatement {
    table("renditions")
        .col(pk_auto("id").big_integer())
        .col(big_integer("version_id"))
        .col(text("name"))
        .col(text("case_folded_name"))
        .col(text("description"))
        .col(string("extension"))
        .col(big_integer("upload_id"))
        .col(string("created_by"))
        .col(string("access_grant"))
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

/// `audience` is one user, or the word for general access, such as `@everybody`.
fn applinks() -> TableCreateStatement {
    table("applinks")
        .col(string("id").primary_key())
        .col(string("file_id"))
        .col(string("audience"))
        .col(string("role"))
        .col(string("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"))
        .to_owned()
}

/// `audience` is a JSON list of users, or a list of the one word for general access, such as
/// `@everybody`.
fn public_links() -> TableCreateStatement {
    table("public_links")
        .col(string("id").primary_key())
        .col(string("file_id"))
        .col(text("name"))
        .col(string("role"))
        .col(text("audience"))
        .col(string_null("password_hash"))
        .col(big_integer_null("expires_at"))
        .col(string_null("expiration_time"))
        .col(string("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"))
        .to_owned()
}
