//! Each user's share: how many requests, unclaimed pictures and bytes of them, uploads in flight and stored bytes, so that
//! one user cannot use up the place for all.

use crate::coming::Coming;
use crate::desk::Desk;
use crate::problem::ApiError;
use crate::who::Caller;

/// Seconds after which some of a user's uploads are likely to be done.
const SOON: u64 = 5;
/// Seconds after which a look whether there is room again costs nobody anything.
const LATER: u64 = 3600;

impl Desk {
    /// Counts a request of the caller's.
    pub(crate) fn count_request(&self, caller: &Caller) -> Result<(), ApiError> {
        self.count_for(&caller.user)
    }

    /// Counts a request of whoever goes by this key.
    pub(crate) fn count_for(&self, key: &str) -> Result<(), ApiError> {
        let now = self.places.records.clock().now();
        self.requests.count(key, now).map_err(|retry_after| ApiError::TooMany {
            code: "too_many_requests",
            why: format!(
                "{} requests a minute are the limit for one user; try again in {retry_after} seconds",
                self.uploads.requests_per_minute
            ),
            retry_after,
        })
    }

    /// Whether the caller may have one more picture waiting, of `coming` bytes as far as is known. It counts as one until
    /// the place for it is dropped, which is when it is in the records or comes to nothing.
    pub(crate) async fn has_share(&self, caller: &Caller, coming: u64) -> Result<Coming, ApiError> {
        // Counted before the records are asked: of two at once the second sees the first in one of them at least, and
        // in both only where it comes in at this very moment.
        let (place, before) = self.coming.begin(&caller.user, coming);
        let held = self.places.records.unclaimed(&caller.user).await?;
        let (most, most_bytes) = (self.uploads.most_unclaimed, self.uploads.most_unclaimed_bytes.as_u64());
        let now = self.places.records.clock().now();
        let soonest = held.soonest.map_or(60, |soonest| soonest.duration_since(now).as_secs());
        let retry_after = u64::try_from(soonest).unwrap_or_default().max(1);
        let refuse = |code, limit: String| {
            let why = format!("{limit} are the limit for one user; claim some, or wait until they expire");
            Err(ApiError::TooMany { code, why, retry_after })
        };
        if held.pictures + before.pictures >= most {
            return refuse("too_many_unclaimed", format!("{most} unclaimed pictures"));
        }
        if held.bytes + before.bytes + coming > most_bytes {
            return refuse("too_many_unclaimed_bytes", format!("{most_bytes} bytes of unclaimed pictures"));
        }
        Ok(place)
    }

    /// Whether a user may send one more upload, of `coming` bytes at most, by the quotas that count over all contracts. It
    /// counts as arriving until what is returned is dropped. Administrators are exempt.
    ///
    /// The counters in the records are exact; what arrives is known to this process alone. So several apis together can
    /// go over a quota by what arrives at the others.
    pub(crate) async fn check_quota(&self, user: &str, admin: bool, coming: u64) -> Result<Coming, ApiError> {
        let (arriving, before) = self.arriving.begin(user, coming);
        if admin {
            return Ok(arriving);
        }
        let held = self.places.records.usage(user).await?;
        let (max, max_bytes) = (self.uploads.max_in_flight, self.uploads.max_stored_bytes.as_u64());
        let refuse = |code, why, retry_after| Err(ApiError::TooMany { code, why, retry_after });
        let waiting = held.uploads + before.pictures;
        if waiting >= max {
            let why = format!(
                "{waiting} uploads of this user are being processed, and {max} at a time are the limit; try again when \
                 some of them are done"
            );
            return refuse("too_many_in_flight", why, SOON);
        }
        let stored = held.bytes + before.bytes;
        if stored.saturating_add(coming) > max_bytes {
            let why = format!(
                "{stored} bytes are stored for this user and {coming} more were announced, which is over the quota of \
                 {max_bytes} bytes; delete some, or ask the operator for a larger quota"
            );
            return refuse("too_many_stored_bytes", why, LATER);
        }
        Ok(arriving)
    }
}
