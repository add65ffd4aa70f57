//! The quotas of each user: unclaimed pictures and their bytes, uploads in flight, and stored
//! bytes. They keep one user from using up the capacity for all users.

use std::sync::Arc;

use records::Records;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::dropbox::settings::UploadSettings;
use crate::error::ApiError;
use crate::in_flight::{InFlightGuard, InFlightUploads};

/// The `Retry-After` in seconds after which some of a user's uploads are likely to be done.
const IN_FLIGHT_RETRY_SECONDS: u64 = 5;
/// The `Retry-After` in seconds after which stored bytes may have been deleted. It is so long that
/// retries cost little.
const STORAGE_RETRY_SECONDS: u64 = 3600;

/// Checks uploads against the quotas of their user.
pub(crate) struct UploadQuotas {
    records: Records,
    settings: Arc<UploadSettings>,
    /// The pictures in flight, which count as unclaimed.
    in_flight_pictures: InFlightUploads,
    /// The uploads in flight: the pictures of the dropbox and the files together.
    in_flight_uploads: InFlightUploads,
    /// The free slots for upload requests. All users share them.
    slots: Semaphore,
}

impl UploadQuotas {
    pub(crate) fn new(records: Records, settings: Arc<UploadSettings>) -> Self {
        let slots = Semaphore::new(settings.max_concurrent);
        let (in_flight_pictures, in_flight_uploads) = Default::default();
        Self { records, settings, in_flight_pictures, in_flight_uploads, slots }
    }

    /// Takes one of the slots for upload requests. `what` is the message of the error if all slots are taken.
    pub(crate) fn take_slot(&self, what: &'static str) -> Result<SemaphorePermit<'_>, ApiError> {
        self.slots.try_acquire().map_err(|_| ApiError::Overloaded(what))
    }

    /// Checks whether a user may have one more unclaimed picture. `incoming_bytes` is its size, as far as it is known.
    /// The picture counts as unclaimed until the guard is dropped. The caller drops the guard when the picture is in
    /// the records or the upload has failed.
    pub(crate) async fn check_unclaimed(&self, user: &str, incoming_bytes: u64) -> Result<InFlightGuard, ApiError> {
        // The picture is counted in memory before the records are asked. So if two uploads of a user run at the same
        // time, the later upload never misses the earlier upload. It counts the earlier upload twice only if that is
        // admitted at this very moment, because then it is both in memory and in the records.
        let (guard, before) = self.in_flight_pictures.begin(user, incoming_bytes);
        let unclaimed = self.records.unclaimed(user).await?;
        let (max, max_bytes) = (self.settings.max_unclaimed, self.settings.max_unclaimed_bytes.as_u64());
        let now = self.records.clock().now();
        let soonest = unclaimed.next_expiry.map_or(60, |soonest| soonest.duration_since(now).as_secs());
        let retry_after = u64::try_from(soonest).unwrap_or_default().max(1);
        let refuse = |code, limit: String| {
            let why = format!("{limit} are the limit for one user; claim some, or wait until they expire");
            Err(ApiError::TooManyRequests { code, message: why, retry_after })
        };
        if unclaimed.pictures + before.uploads >= max {
            return refuse("too_many_unclaimed", format!("{max} unclaimed pictures"));
        }
        if unclaimed.bytes + before.bytes + incoming_bytes > max_bytes {
            return refuse("too_many_unclaimed_bytes", format!("{max_bytes} bytes of unclaimed pictures"));
        }
        Ok(guard)
    }

    /// Checks whether a user may send one more upload, of `incoming_bytes` at most, against the quotas that count
    /// pictures and files together. The upload counts as in flight until the guard is dropped. Administrators are
    /// exempt.
    ///
    /// The counters in the records are exact, but uploads in flight are known to this process alone. So several API
    /// processes together can exceed a quota. Each process does not count what is in flight at the others.
    pub(crate) async fn check_upload(
        &self,
        user: &str,
        admin: bool,
        incoming_bytes: u64,
    ) -> Result<InFlightGuard, ApiError> {
        let (guard, before) = self.in_flight_uploads.begin(user, incoming_bytes);
        if admin {
            return Ok(guard);
        }
        let usage = self.records.usage(user).await?;
        let (max, max_bytes) = (self.settings.max_in_flight, self.settings.max_stored_bytes.as_u64());
        let refuse = |code, why, retry_after| Err(ApiError::TooManyRequests { code, message: why, retry_after });
        let in_flight = usage.uploads + before.uploads;
        if in_flight >= max {
            let why = format!(
                "{in_flight} uploads of this user are being processed, and {max} at a time are the limit; try again when \
                 some of them are done"
            );
            return refuse("too_many_in_flight", why, IN_FLIGHT_RETRY_SECONDS);
        }
        let stored = usage.bytes + before.bytes;
        if stored.saturating_add(incoming_bytes) > max_bytes {
            let why = format!(
                "{stored} bytes are stored for this user and {incoming_bytes} more were announced, which is over the quota of \
                 {max_bytes} bytes; delete some, or ask the operator for a larger quota"
            );
            return refuse("too_many_stored_bytes", why, STORAGE_RETRY_SECONDS);
        }
        Ok(guard)
    }
}
