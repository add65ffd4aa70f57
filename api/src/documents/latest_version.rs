//! The conditions of a write that are about the latest version of a file.

use axum::http::HeaderMap;
use domain::{ExpectedVersion, FileId};
use records::Records;

use super::error::DocumentError;
use crate::http::conditional::{CurrentVersion, etag, expected_version, has_write_condition, write_condition_error};

/// Evaluates the conditions of a request for the latest version of a file, and returns the number that the version must
/// have when the records carry out the write.
pub(super) async fn expected_latest_version(
    records: &Records,
    headers: &HeaderMap,
    file: &FileId,
) -> Result<ExpectedVersion<u32>, DocumentError> {
    if !has_write_condition(headers) {
        return Ok(ExpectedVersion::Any);
    }
    let file = records.file(file).await?.ok_or_else(DocumentError::file_not_found)?;
    let latest = records.file_version(&file.id, file.latest_version).await?;
    let latest = latest.ok_or_else(DocumentError::version_not_found)?;
    // Content that is kept in another system has no ETag here.
    let tags = latest.upload.iter().map(|upload| etag(&upload.sha256)).collect();
    let current = CurrentVersion { version: latest.number, tags, modified_at: Some(latest.modified_at()) };
    match expected_version(headers, current) {
        ExpectedVersion::Outdated => Err(write_condition_error(headers).into()),
        expected => Ok(expected),
    }
}
