//! Limits the requests of each client per minute.

use std::time::Duration;

use domain::Clock;

use crate::auth::auth_user::AuthUser;
use crate::auth::rate_limiter::RateLimiter;
use crate::error::ApiError;

/// Counts requests by client.
pub(crate) struct RequestLimits {
    limiter: RateLimiter,
    max_per_minute: u32,
    clock: Clock,
}

impl RequestLimits {
    pub(crate) fn new(max_per_minute: u32, clock: Clock) -> Self {
        Self { limiter: RateLimiter::new(max_per_minute, Duration::from_secs(60)), max_per_minute, clock }
    }

    /// Counts a request of a user.
    pub(crate) fn count_user(&self, caller: &AuthUser) -> Result<(), ApiError> {
        self.count(&caller.user_id)
    }

    /// Counts a request of the client with this key.
    pub(crate) fn count(&self, key: &str) -> Result<(), ApiError> {
        self.limiter.count(key, self.clock.now()).map_err(|retry_after| ApiError::TooManyRequests {
            code: "too_many_requests",
            message: format!(
                "{} requests a minute are the limit for one user; try again in {retry_after} seconds",
                self.max_per_minute
            ),
            retry_after,
        })
    }
}
