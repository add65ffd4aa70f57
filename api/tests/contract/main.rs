//! The contract, line by line, over real HTTP: an api on real places (SQLite, folders, the in-process queue) with a real
//! worker, each test with its own. Time is moved by hand; nothing sleeps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod admission;
mod avatars;
mod bad_bodies;
mod browser;
mod claims;
mod connections;
mod crops;
mod decisions;
mod documents;
mod full_disk;
mod guesses;
mod health;
mod identity;
mod logins;
mod logouts;
mod page;
mod permissions;
mod pictures;
mod services;
mod sessions;
mod shares;
mod stalls;
mod stand;
mod status;
mod texts;
mod wrapped;
