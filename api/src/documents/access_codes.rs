//! Access codes of public links. Attempts are limited, because a code is a password.
//!
//! A correct code is cached for 5 minutes, because verifying a password hash takes 19 MiB and tens of milliseconds. The
//! key of the cache is a digest of the link's id, the password hash and the code. The cache is in memory and per
//! process. Every request first reads the link from the records, so a deleted or changed link takes effect at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use domain::{Clock, PublicLink};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::error::{DocumentError, LinkRefusal};
use crate::auth::attempt_limiter::{AttemptLimiter, AttemptLimits};
use crate::auth::password::Passwords;
use crate::auth::realm_names::cookie_value;
use crate::error::ApiError;
use crate::http::client_network::ClientNetwork;

/// The most characters of an access code. A longer code is refused without hashing it.
pub(super) const MAX_CODE_CHARS: usize = 50;
/// How long a correct code is cached.
const TTL: SignedDuration = SignedDuration::from_mins(5);
/// If there are this many entries, the next correct code removes all of them first.
const MAX_ENTRIES: usize = 10_000;

/// Checks access codes.
pub(crate) struct AccessCodes {
    passwords: Passwords,
    attempts: AttemptLimiter,
    cache: AccessCodeCache,
    clock: Clock,
}

impl AccessCodes {
    pub(crate) fn new(passwords: Passwords, limits: AttemptLimits, clock: Clock) -> Self {
        Self { passwords, attempts: AttemptLimiter::new(limits), cache: AccessCodeCache::default(), clock }
    }

    /// Checks the access code in the cookie `dAccessCode-{link id}` against the hash of the link's password.
    pub(super) async fn verify(
        &self,
        headers: &HeaderMap,
        client_ip: IpAddr,
        link: &PublicLink,
        hash: String,
    ) -> Result<(), LinkRefusal> {
        let code = cookie_value(headers, &format!("dAccessCode-{}", link.id))
            .ok_or_else(DocumentError::access_code_required)?;
        let code =
            percent_decode_str(code).decode_utf8().map_err(|_| DocumentError::access_code_required())?.into_owned();
        if code.chars().count() > MAX_CODE_CHARS {
            return Err(DocumentError::access_code_required().into());
        }
        let now = self.clock.now();
        let cache_key: [u8; 32] = Sha256::digest(format!("{}\0{hash}\0{code}", link.id)).into();
        if self.cache.contains(&cache_key, now) {
            return Ok(());
        }
        let too_many_attempts = |retry_after| ApiError::TooManyRequests {
            code: "too_many_access_codes",
            message: format!("too many access codes were tried; try again in {retry_after} seconds"),
            retry_after,
        };
        let network = ClientNetwork::from(client_ip);
        self.attempts.count_network(network, now).map_err(too_many_attempts)?;
        let attempt = self.attempts.count_account(network, &link.id, now).map_err(too_many_attempts)?;
        if !self.passwords.verify(code, Some(hash)).await? {
            return Err(DocumentError::access_code_required().into());
        }
        self.attempts.record_success(attempt, now);
        self.cache.insert(cache_key, now);
        Ok(())
    }
}

/// The keys of the codes that were correct, and when each was verified.
#[derive(Debug, Default)]
struct AccessCodeCache(Mutex<HashMap<[u8; 32], Timestamp>>);

impl AccessCodeCache {
    /// Returns whether the code with this key was correct recently.
    fn contains(&self, cache_key: &[u8; 32], now: Timestamp) -> bool {
        let verified_at = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(cache_key).copied();
        verified_at.is_some_and(|at| now.duration_since(at) < TTL)
    }

    /// Records that the code with this key is correct.
    fn insert(&self, cache_key: [u8; 32], now: Timestamp) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(cache_key, now);
    }
}
