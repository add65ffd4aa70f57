//! Each user's share: how many requests, unclaimed pictures and bytes of them, so that one user cannot use up the place
//! for all.

use crate::coming::Coming;
use crate::desk::Desk;
use crate::problem::ApiError;
use crate::who::Caller;

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
}
