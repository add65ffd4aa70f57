//! What connections to SQLite need.

use std::time::Duration;

use sea_orm::ConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

pub(super) fn configure(options: &mut ConnectOptions) {
    // Full synchronous: in WAL mode "normal" may lose the last commits when the power goes, and we acknowledged them.
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .pragma("journal_size_limit", "67108864")
    });
}
