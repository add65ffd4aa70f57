//! Rows into nouns: what the tables hold, parsed once into the types the rest of the program speaks.

use std::time::Duration;

use jiff::Timestamp;

use super::RecordsError;
use super::entity::{jobs, uploads, variants};
use crate::Media;
use crate::job::{Lane, Ticket};
use crate::upload::{Claim, Reason, Resource, Upload, UploadId, Variant};

pub(super) fn id(raw: i64) -> Result<UploadId, RecordsError> {
    UploadId::try_from(raw).map_err(|error| RecordsError::Row(format!("upload {raw}: {error}")))
}

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// The word under which a kind of file is kept.
pub(super) fn media_word(media: Media) -> String {
    media.extension().to_owned()
}

pub(super) fn media(word: &str) -> Result<Media, RecordsError> {
    Media::from_extension(word).ok_or_else(|| RecordsError::Row(format!("no kind of file is called \"{word}\"")))
}

/// Sizes are stored signed, as both databases have them, and were unsigned when they were written.
pub(super) fn pixels(stored: Option<i32>) -> Option<u32> {
    stored.and_then(|side| u32::try_from(side).ok())
}

pub(super) fn stored_pixels(side: u32) -> i32 {
    i32::try_from(side).unwrap_or(i32::MAX)
}

pub(super) fn upload(row: uploads::Model) -> Result<Upload, RecordsError> {
    let estimate = estimate(&row);
    let claim = match (row.claimed_service, row.claimed_resource, row.claimed_by, row.claimed_at) {
        (Some(service), Some(resource), Some(by), Some(when)) => {
            Some(Claim { resource: Resource { service: service.parse()?, id: resource }, by, at: at(when) })
        }
        _ => None,
    };
    let crop = row.crop.as_deref().map(serde_json::from_str).transpose();
    Ok(Upload {
        id: id(row.id)?,
        kind: row.kind.parse()?,
        owner: row.owner,
        state: row.state.parse()?,
        label: row.label,
        media: media(&row.media)?,
        bytes: u64::try_from(row.bytes).unwrap_or_default(),
        sha256: row.sha256,
        staged_key: row.staged_key,
        original_key: row.original_key,
        served: row.served.as_deref().map(media).transpose()?,
        width: pixels(row.width),
        height: pixels(row.height),
        generation: u32::try_from(row.generation).unwrap_or_default(),
        crop: crop.map_err(|error| RecordsError::Row(format!("upload {}: crop: {error}", row.id)))?,
        reason: row.code.map(|code| Reason { code, why: row.why.unwrap_or_default() }),
        claim,
        created_at: at(row.created_at),
        settled_at: row.settled_at.map(at),
        deadline: at(row.deadline),
        expires_at: row.expires_at.map(at),
        estimate,
    })
}

/// About how long an upload takes to render.
pub(super) fn estimate(row: &uploads::Model) -> Duration {
    Duration::from_millis(u64::try_from(row.estimate).unwrap_or_default())
}

/// The queue of a job.
pub(super) fn lane(row: &jobs::Model) -> Lane {
    Lane::named(&row.queue).unwrap_or_else(|| Lane::of(&row.kind))
}

/// A promise as it is to be published.
pub(super) fn ticket(row: &jobs::Model) -> Result<Ticket, RecordsError> {
    let ticket: Ticket =
        serde_json::from_str(&row.payload).map_err(|error| RecordsError::Row(format!("job {}: {error}", row.id)))?;
    Ok(Ticket { lane: lane(row), principal: row.principal.clone(), trace: row.trace.clone(), ..ticket })
}

/// None while the variant is wanted and not made.
pub(super) fn variant(row: &variants::Model) -> Result<Option<Variant>, RecordsError> {
    let name = row.name.parse().map_err(|error| RecordsError::Row(format!("upload {}: {error}", row.upload_id)))?;
    let (Some(key), Some(width), Some(height), Some(bytes), Some(sha256)) =
        (&row.key, pixels(row.width), pixels(row.height), row.bytes, &row.sha256)
    else {
        return Ok(None);
    };
    let bytes = u64::try_from(bytes).unwrap_or_default();
    Ok(Some(Variant { name, key: key.clone(), width, height, bytes, sha256: sha256.clone() }))
}
