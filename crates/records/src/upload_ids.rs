//! Upload numbers. The database gives them in order and never twice. A database that was restored from a backup does
//! not know the numbers that were given after the backup, and would give them again. The keys of blobs contain the
//! numbers, so the keys show which numbers to skip.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::database::Database;
use crate::error::RecordsError;
use crate::records::Records;

/// How many numbers one statement skips. Such a statement takes less than a second.
const SKIP_BATCH: i64 = 500_000;

impl Records {
    /// The highest number that the database has given to an upload, as far as it knows.
    ///
    /// # Errors
    /// Any database error.
    pub async fn last_upload_id(&self) -> Result<i64, RecordsError> {
        let backend = self.db.get_database_backend();
        let sql = match backend {
            DbBackend::Sqlite => "SELECT seq FROM sqlite_sequence WHERE name = 'uploads'",
            _ => "SELECT last_value FROM uploads_id_seq",
        };
        let row = self.db.query_one_raw(Statement::from_string(backend, sql)).await?;
        let row =
            row.ok_or_else(|| RecordsError::CorruptRow("the database has no counter of upload numbers".to_owned()))?;
        Ok(row.try_get_by_index(0)?)
    }

    /// Skips all numbers up to `last`.
    ///
    /// # Errors
    /// Any database error.
    pub async fn skip_upload_ids(&self, last: i64) -> Result<(), RecordsError> {
        self.write_statement("skip_upload_ids", async |db| {
            match db.get_database_backend() {
                DbBackend::Sqlite => {
                    let skip = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'uploads' AND seq < ?";
                    execute(db, skip, [last, last]).await
                }
                // Numbers are drawn and discarded, because setting the sequence could set it back
                // while another process draws from it. Each statement draws a limited number of
                // them, because one statement for millions could exceed the limit of a call.
                _ => {
                    let skip = "SELECT count(nextval('uploads_id_seq')) FROM generate_series(1, $1)";
                    loop {
                        let ahead = last - self.last_upload_id().await?;
                        if ahead <= 0 {
                            return Ok(());
                        }
                        execute(db, skip, [ahead.min(SKIP_BATCH)]).await?;
                    }
                }
            }
        })
        .await
    }
}

async fn execute<const N: usize>(db: &Database, sql: &str, with: [i64; N]) -> Result<(), RecordsError> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, with.map(Into::into));
    db.execute_raw(statement).await?;
    Ok(())
}
