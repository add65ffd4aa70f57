//! The tables as sea-orm sees them. Private to the records: nobody else knows that there are tables.

// The derive asks for `pub` and gives it to everything it makes; this module keeps it all in.
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
