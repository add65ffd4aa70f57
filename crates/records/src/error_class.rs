//! Decides whether the database or the request caused a failure.

use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::error::RecordsError;

impl RecordsError {
    /// Whether the database failed and not the statement. A value or a key that the database refuses is refused again
    /// every time, and an upload may have brought it. Every other failure is independent of the upload.
    pub fn is_outage(&self) -> bool {
        let Self::Database(error) = self else { return self.is_transient() };
        let (DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error))) = error else {
            return true;
        };
        let sqlx::Error::Database(error) = &**error else { return true };
        !error.code().is_some_and(|code| is_data_error(&code))
    }
}

/// Whether this error code says that the database refused a value or a key.
///
/// PostgreSQL's codes have five characters, of which the first two are the class; SQLite's are numbers, of which the
/// lowest byte is the class.
fn is_data_error(code: &str) -> bool {
    if code.len() == 5 {
        // Data exceptions and violated constraints.
        return ["22", "23"].iter().any(|class| code.starts_with(class));
    }
    // SQLITE_TOOBIG, SQLITE_CONSTRAINT and SQLITE_MISMATCH.
    code.parse().is_ok_and(|code: u32| matches!(code & 0xff, 18..=20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_value_is_no_outage() {
        // In PostgreSQL an invalid byte and an existing key; in SQLite an existing key and a value that is too long.
        for code in ["22021", "23505", "2067", "18"] {
            assert!(is_data_error(code), "{code}");
        }
        // Shut down, too many connections, read-only, locked, full, I/O.
        for code in ["57P01", "53300", "25006", "5", "13", "778"] {
            assert!(!is_data_error(code), "{code}");
        }
    }
}
