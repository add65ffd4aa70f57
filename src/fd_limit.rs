//! File descriptors: how many this process may have open, and how many client connections that allows.

use api::ApiSettings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::Settings;

/// Descriptors reserved for the runtime, the log, listeners, probes, the broker, and services called over HTTP.
const RESERVED_DESCRIPTORS: u64 = 128;
/// Descriptors of one connection to the records. A connection of SQLite has three files open: the database, its
/// write-ahead log and the index of that log. A connection of PostgreSQL has a socket.
const PER_RECORDS_CONNECTION: u64 = 3;
/// Descriptors of one job, which reads a staged file and writes a blob.
const PER_JOB: u64 = 2;
/// Descriptors of one client connection: a socket, and a file or a connection to the store while a request is in
/// progress.
const PER_CONNECTION: u64 = 2;
/// The smallest useful number of client connections.
const MIN_CONNECTIONS: u64 = 16;

/// Raises the limit of this process to the system's maximum. The usual limit of 1024 descriptors is for programs that
/// use select(2), which this program does not.
///
/// # Errors
/// If the system refuses.
pub(crate) fn raise() -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Returns the settings of an api, with no more connections than the limit of descriptors allows. `jobs` is the number
/// of jobs that run at once in the same process.
pub(crate) fn fit_connections(settings: &Settings, jobs: usize) -> ApiSettings {
    let mut fitted = settings.api();
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let records = u64::from(settings.records.max_connections) * PER_RECORDS_CONNECTION;
    let jobs = u64::try_from(jobs).unwrap_or(u64::MAX).saturating_mul(PER_JOB);
    let reserved = jobs.saturating_add(records + RESERVED_DESCRIPTORS);
    let allowed = (descriptors.saturating_sub(reserved) / PER_CONNECTION).max(MIN_CONNECTIONS);
    let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
    let wanted = settings.http.max_connections;
    let connections = wanted.min(allowed);
    tracing::info!(
        descriptors,
        connections,
        "the limit of {descriptors} file descriptors allows {connections} client connections"
    );
    if connections < wanted {
        tracing::warn!(
            "http.max_connections = {wanted} would take more than {descriptors} file descriptors; raise the hard limit \
             (ulimit -Hn, or LimitNOFILE= of systemd), or lower the setting"
        );
        // One address keeps its share of all connections.
        let share = fitted.http.max_connections_per_address.saturating_mul(connections) / wanted;
        fitted.http.max_connections_per_address = share.max(1);
    }
    fitted.http.max_connections = connections;
    fitted
}
