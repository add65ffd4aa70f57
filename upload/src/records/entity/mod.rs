//! The tables as sea-orm entities. Private to the records, so that no other module depends on tables.

// The derive requires `pub` and gives it to everything it generates; this module keeps all of it private.
#![expect(unreachable_pub, reason = "sea-orm's derive")]

pub(super) mod applinks;
pub(super) mod avatars;
pub(super) mod deletions;
pub(super) mod events;
pub(super) mod file_grants;
pub(super) mod file_versions;
pub(super) mod files;
pub(super) mod grants;
pub(super) mod idempotency_keys;
pub(super) mod jobs;
pub(super) mod principals;
pub(super) mod public_links;
pub(super) mod renditions;
pub(super) mod resources;
pub(super) mod sessions;
pub(super) mod signing_keys;
pub(super) mod uploads;
pub(super) mod users;
pub(super) mod variants;
