//! Limits attempts to guess a secret: the password of an account, or the access code of a link.
//!
//! Three limits hold at once:
//!
//! - the attempts of one network at all accounts,
//! - the attempts of one network at one account,
//! - the attempts of all networks at one account. This limit has a longer window. It bounds a guess that is spread over
//!   many networks. A network that succeeded before is exempt from this limit, so wrong passwords from other networks
//!   do not lock the owner out.
//!
//! The counts are in memory and per process, so with several API processes each one allows the full number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::auth::rate_limiter::RateLimiter;
use crate::http::client_network::ClientNetwork;

/// How long a network is remembered for an account after it succeeded.
const SUCCESS_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);
/// If there are this many entries, the next success removes all of them first.
const MAX_SUCCESSES: usize = 100_000;

/// The numbers of attempts allowed. For access codes, an "account" is a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptLimits {
    /// Attempts of one network at one account, per `window`.
    pub(crate) per_address_and_account: u32,
    /// Attempts of one network at all accounts, per `window`.
    pub(crate) per_address: u32,
    /// Attempts of all networks at one account, per `account_window`.
    pub(crate) per_account: u32,
    pub(crate) window: Duration,
    pub(crate) account_window: Duration,
}

/// The counts of attempts. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct AttemptLimiter {
    by_network: RateLimiter,
    by_network_and_account: RateLimiter,
    by_account: RateLimiter,
    successes: Arc<Mutex<HashMap<String, Timestamp>>>,
}

/// An attempt that was counted.
#[derive(Debug)]
pub(crate) struct CountedAttempt {
    account: String,
    network_and_account: String,
    /// Whether the attempt counts against the limit of all networks together.
    counted_for_account: bool,
}

impl AttemptLimiter {
    pub(crate) fn new(limits: AttemptLimits) -> Self {
        let AttemptLimits { per_address_and_account: tries, per_address, per_account, window, account_window } = limits;
        Self {
            by_network: RateLimiter::new(per_address, window),
            by_network_and_account: RateLimiter::new(tries, window),
            by_account: RateLimiter::new(per_account, account_window),
            successes: Arc::default(),
        }
    }

    /// Counts an attempt of this network, at any account. Fails with the seconds to wait if the limit is reached.
    pub(crate) fn count_network(&self, network: ClientNetwork, now: Timestamp) -> Result<(), u64> {
        self.by_network.count(&network.to_string(), now)
    }

    /// Counts an attempt at this account, after [`AttemptLimiter::count_network`]. Fails with the seconds to wait if a
    /// limit is reached.
    pub(crate) fn count_account(
        &self,
        network: ClientNetwork,
        account: &str,
        now: Timestamp,
    ) -> Result<CountedAttempt, u64> {
        let both = format!("{network} {account}");
        // An attempt that is refused here does not count against all networks, so one network alone cannot use up their
        // limit.
        self.by_network_and_account.count(&both, now)?;
        let succeeded_at = self.successes.lock().unwrap_or_else(PoisonError::into_inner).get(&both).copied();
        let counted_for_account = succeeded_at.is_none_or(|at| now.duration_since(at) >= SUCCESS_TTL);
        if counted_for_account {
            self.by_account.count(account, now)?;
        }
        Ok(CountedAttempt { account: account.to_owned(), network_and_account: both, counted_for_account })
    }

    /// Records that this attempt succeeded, so that it does not count against the account. It still
    /// counts against the total of its network.
    pub(crate) fn record_success(&self, attempt: CountedAttempt, now: Timestamp) {
        self.by_network_and_account.reset(&attempt.network_and_account);
        if attempt.counted_for_account {
            self.by_account.refund(&attempt.account);
        }
        let mut successes = self.successes.lock().unwrap_or_else(PoisonError::into_inner);
        if successes.len() >= MAX_SUCCESSES {
            successes.clear();
        }
        successes.insert(attempt.network_and_account, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn attempts() -> AttemptLimiter {
        AttemptLimiter::new(AttemptLimits {
            per_address_and_account: 3,
            per_address: 100,
            per_account: 5,
            window: Duration::from_secs(60),
            account_window: Duration::from_secs(3600),
        })
    }

    fn network(n: u8) -> ClientNetwork {
        ClientNetwork::from(std::net::IpAddr::from([203, 0, 113, n]))
    }

    #[test]
    fn one_network_does_not_use_up_the_limit_of_all_networks() {
        let attempts = attempts();
        for _ in 0..3 {
            attempts.count_account(network(1), "ada", NOW).unwrap();
        }
        for _ in 0..10 {
            assert_eq!(attempts.count_account(network(1), "ada", NOW).unwrap_err(), 61);
        }
        let owner = attempts.count_account(network(2), "ada", NOW).unwrap();
        attempts.record_success(owner, NOW);
        attempts.count_account(network(1), "joe", NOW).unwrap();
    }

    #[test]
    fn guesses_from_many_networks_are_limited_and_the_network_of_the_owner_is_exempt() {
        let attempts = attempts();
        let owner = attempts.count_account(network(0), "ada", NOW).unwrap();
        attempts.record_success(owner, NOW);
        for n in 1..=5 {
            attempts.count_account(network(n), "ada", NOW).unwrap();
        }
        assert_eq!(attempts.count_account(network(6), "ada", NOW).unwrap_err(), 3601);
        let owner = attempts.count_account(network(0), "ada", NOW).unwrap();
        attempts.record_success(owner, NOW);
        assert_eq!(
            attempts.count_account(network(6), "ada", NOW).unwrap_err(),
            3601,
            "a success of the owner does not reset the count"
        );
        let later = NOW + SignedDuration::from_hours(1);
        attempts.count_account(network(6), "ada", later).unwrap();
    }

    #[test]
    fn a_success_does_not_count_against_the_account() {
        let attempts = attempts();
        for n in 1..=20 {
            let attempt = attempts.count_account(network(n), "ada", NOW).unwrap();
            attempts.record_success(attempt, NOW);
        }
    }
}
