//! Users, their sessions, and the keys that sign sessions. Also resources, their avatars, and the
//! users that may act for resources.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::table::table;

pub(super) fn tables() -> [TableCreateStatement; 6] {
    [users(), signing_keys(), sessions(), resources(), resource_grants(), avatars()]
}

pub(super) const INDEXES: [&str; 2] = [
    "CREATE INDEX ix_sessions_ends_at ON sessions (ends_at)",
    "CREATE INDEX ix_avatars_resource ON avatars (service, resource_id, version)",
];

fn users() -> TableCreateStatement {
    table("users")
        .col(string("id").primary_key())
        .col(string_uniq("email"))
        .col(string("name"))
        .col(string("password_hash"))
        .col(string("role"))
        .col(big_integer_null("disabled_at"))
        .col(big_integer("created_at"))
        // Raised to end all sessions of the user with one statement.
        .col(big_integer("session_epoch").default(0))
        .to_owned()
}

/// The keys that sign sessions. The newest key signs; every key can verify. A key is kept at least until
/// `needed_until`, when the last bearer token that it signed expires.
fn signing_keys() -> TableCreateStatement {
    table("signing_keys")
        .col(string("id").primary_key())
        .col(string("secret"))
        .col(big_integer("created_at"))
        .col(big_integer("needed_until").default(0))
        .to_owned()
}

/// One row for each login and each issued bearer token. A session is valid only while the epoch of its
/// row equals the epoch of its user.
fn sessions() -> TableCreateStatement {
    table("sessions")
        .col(uuid("id").primary_key())
        .col(string("user_id"))
        .col(big_integer("epoch"))
        .col(big_integer("created_at"))
        .col(big_integer("ends_at"))
        .to_owned()
}

/// Names of resources. A resource needs no row to have an avatar.
fn resources() -> TableCreateStatement {
    table("resources")
        .col(string("service"))
        .col(string("resource_id"))
        .col(text("name"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("service").col("resource_id"))
        .to_owned()
}

/// Which users may act for which resources.
fn resource_grants() -> TableCreateStatement {
    table("resource_grants")
        .col(string("service"))
        .col(string("resource_id"))
        .col(string("user_id"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("service").col("resource_id").col("user_id"))
        .to_owned()
}

/// Every avatar that a resource ever had. A row without an upload means that the avatar was removed.
fn avatars() -> TableCreateStatement {
    table("avatars")
        .col(pk_auto("version").big_integer())
        .col(string("service"))
        .col(string("resource_id"))
        .col(big_integer_null("upload_id"))
        .col(string("set_by"))
        .col(big_integer("created_at"))
        .to_owned()
}
