//! Whether the server takes writes, and which connections must not be used again.
//!
//! After a failover a pool is full of connections to a read-only standby, or to a machine that is gone. One error or
//! one timeout is enough to retire all of them, so that not every call has to fail first.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{DbErr, RuntimeErr, sqlx};

const READ_ONLY: &str = "the database takes no writes: it is a standby or set to read-only";

/// What is known about the server behind a pool. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Availability(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Connections opened before this moment must be closed.
    retired_before: Mutex<Option<Instant>>,
    /// How often a connection was opened to a server that took no writes.
    read_only_count: AtomicU64,
    read_only: AtomicBool,
}

impl Availability {
    /// Records that a connection has been opened, and whether its server is read-only.
    pub(super) fn connection_opened(&self, read_only: bool) {
        if !read_only {
            if self.0.read_only.swap(false, Ordering::SeqCst) {
                tracing::info!("the database takes writes again");
            }
            return;
        }
        self.0.read_only_count.fetch_add(1, Ordering::SeqCst);
        self.found_read_only();
    }

    /// Records that a server behind one of the connections takes no writes.
    pub(super) fn found_read_only(&self) {
        self.retire_connections();
        if !self.0.read_only.swap(true, Ordering::SeqCst) {
            tracing::warn!("{READ_ONLY}; its connections are closed, and writes fail until a writable server answers");
        }
    }

    /// How often a connection was opened to a server that takes no writes.
    pub(super) fn read_only_count(&self) -> u64 {
        self.0.read_only_count.load(Ordering::SeqCst)
    }

    /// Requires every connection that is open now to be closed instead of used again.
    pub(super) fn retire_connections(&self) {
        *self.0.retired_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age must not be used again.
    pub(super) fn is_retired(&self, age: Duration) -> bool {
        let retired = *self.0.retired_before.lock().unwrap_or_else(PoisonError::into_inner);
        retired.is_some_and(|at| at.elapsed() <= age)
    }

    /// Whether the connection must be closed after this error. Also retires all other connections if the error
    /// requires that.
    pub(super) fn ends_connection(&self, error: &sqlx::Error) -> bool {
        let sqlx::Error::Database(error) = error else {
            let timed_out = matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut);
            if timed_out {
                self.retire_connections();
            }
            return timed_out || matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_));
        };
        match error.code().as_deref().unwrap_or_default() {
            // read_only_sql_transaction
            "25006" => self.found_read_only(),
            // admin_shutdown, crash_shutdown, cannot_connect_now
            "57P01" | "57P02" | "57P03" => self.retire_connections(),
            // These errors end this connection only: idle for too long in a transaction or a session; an unknown
            // prepared statement, if the pooler is another than the settings say; all connection exceptions.
            "25P03" | "57P05" | "26000" => {}
            code if code.starts_with("08") => {}
            _ => return false,
        }
        true
    }
}

/// The error of a call for which only connections to a read-only server were available.
pub(super) fn read_only_error() -> DbErr {
    DbErr::Custom(READ_ONLY.to_owned())
}

/// Whether a call failed because the database takes no writes.
pub(crate) fn is_read_only(error: &DbErr) -> bool {
    match error {
        DbErr::Custom(why) => why == READ_ONLY,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(&**error, sqlx::Error::Database(error) if error.code().as_deref() == Some("25006"))
        }
        _ => false,
    }
}
