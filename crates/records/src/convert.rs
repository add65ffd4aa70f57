//! Converts rows into domain types. What the tables hold is parsed here once.

use std::time::Duration;

use domain::{Claim, Crop, JobMessage, Media, QueueName, Reason, Resource, Upload, UploadId, Variant};
use jiff::Timestamp;

use crate::entity::{jobs, uploads, variants};
use crate::error::RecordsError;

pub(crate) fn upload_id(raw: i64) -> Result<UploadId, RecordsError> {
    UploadId::try_from(raw).map_err(|error| RecordsError::CorruptRow(format!("upload {raw}: {error}")))
}

pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// The name under which a media type is stored.
pub(crate) fn media_name(media: Media) -> String {
    media.extension().to_owned()
}

pub(crate) fn media(word: &str) -> Result<Media, RecordsError> {
    Media::from_extension(word).ok_or_else(|| RecordsError::CorruptRow(format!("no kind of file is called \"{word}\"")))
}

/// Converts a size. Both databases store it signed; it was unsigned when it was written.
pub(crate) fn from_stored(stored: Option<i32>) -> Option<u32> {
    stored.and_then(|side| u32::try_from(side).ok())
}

pub(crate) fn to_stored(side: u32) -> i32 {
    i32::try_from(side).unwrap_or(i32::MAX)
}

pub(crate) fn upload(row: uploads::Model) -> Result<Upload, RecordsError> {
    let render_estimate = render_estimate(&row);
    let claim = match (row.claimed_service, row.claimed_resource_id, row.claimed_by, row.claimed_at) {
        (Some(service), Some(resource), Some(by), Some(when)) => {
            Some(Claim { resource: Resource { service: service.parse()?, id: resource }, by, at: timestamp(when) })
        }
        _ => None,
    };
    let crop: Result<Option<Crop>, _> = row.crop.as_deref().map(serde_json::from_str).transpose();
    Ok(Upload {
        id: upload_id(row.id)?,
        kind: row.kind.parse()?,
        owner: row.owner,
        state: row.state.parse()?,
        filename: row.filename,
        media: media(&row.media)?,
        bytes: u64::try_from(row.bytes).unwrap_or_default(),
        sha256: row.sha256,
        staged_key: row.staged_key,
        original_key: row.original_key,
        default_media: row.default_media.as_deref().map(media).transpose()?,
        width: from_stored(row.width),
        height: from_stored(row.height),
        generation: u32::try_from(row.generation).unwrap_or_default(),
        crop: crop
            .map_err(|error| RecordsError::CorruptRow(format!("upload {}: crop: {error}", row.id)))?
            .unwrap_or_default(),
        reason: reason(row.reason_code, row.reason_message),
        claim,
        created_at: timestamp(row.created_at),
        settled_at: row.settled_at.map(timestamp),
        deadline: timestamp(row.deadline),
        expires_at: row.expires_at.map(timestamp),
        render_estimate,
    })
}

/// The estimated time to render an upload.
fn render_estimate(row: &uploads::Model) -> Duration {
    Duration::from_millis(u64::try_from(row.render_estimate_ms).unwrap_or_default())
}

/// Why an upload or a variant ended as it did, from its two columns.
pub(crate) fn reason(code: Option<String>, message: Option<String>) -> Option<Reason> {
    code.map(|code| Reason::new(code, message.unwrap_or_default()))
}

/// The queue of a job.
pub(crate) fn queue_name(row: &jobs::Model) -> Result<QueueName, RecordsError> {
    Ok(row.queue.parse()?)
}

/// The upload that a job is about, if it is about one.
pub(crate) fn job_upload(row: &jobs::Model) -> Result<Option<UploadId>, RecordsError> {
    row.upload_id.map(upload_id).transpose()
}

/// The message of a job, to be published.
pub(crate) fn job_message(row: &jobs::Model) -> Result<JobMessage, RecordsError> {
    let message: JobMessage = serde_json::from_str(&row.payload)
        .map_err(|error| RecordsError::CorruptRow(format!("job {}: {error}", row.id)))?;
    Ok(JobMessage {
        queue: queue_name(row)?,
        principal: row.principal.clone(),
        traceparent: row.traceparent.clone(),
        ..message
    })
}

/// Converts a variant; None while it is requested and not yet made.
pub(crate) fn variant(row: &variants::Model) -> Result<Option<Variant>, RecordsError> {
    let name =
        row.name.parse().map_err(|error| RecordsError::CorruptRow(format!("upload {}: {error}", row.upload_id)))?;
    let (Some(key), Some(width), Some(height), Some(bytes), Some(sha256)) =
        (&row.blob_key, from_stored(row.width), from_stored(row.height), row.bytes, &row.sha256)
    else {
        return Ok(None);
    };
    let bytes = u64::try_from(bytes).unwrap_or_default();
    Ok(Some(Variant { name, key: key.clone(), width, height, bytes, sha256: sha256.clone() }))
}

/// A duration in milliseconds, as the tables store it.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
