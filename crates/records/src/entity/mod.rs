//! The tables as sea-orm entities. Private to the records, so that no other module depends on tables.

// The derive requires `pub` and gives it to everything it generates; this module keeps all of it private.
#![expect(unreachable_pub, reason = "sea-orm's derive")]

pub(crate) mod applinks;
pub(crate) mod avatars;
pub(crate) mod deletions;
pub(crate) mod events;
pub(crate) mod file_grants;
pub(crate) mod file_versions;
pub(crate) mod files;
pub(crate) mod idempotency_keys;
pub(crate) mod jobs;
pub(crate) mod public_links;
pub(crate) mod renditions;
pub(crate) mod resource_grants;
pub(crate) mod resources;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod uploads;
pub(crate) mod usage_counters;
pub(crate) mod users;
pub(crate) mod variants;
