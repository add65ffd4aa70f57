//! The contract, line by line, over real HTTP: an api on real places (SQLite, folders, the in-process queue) with a real
//! worker, each test with its own. Time is moved by hand; nothing sleeps.

mod admission;
mod avatars;
mod bad_bodies;
mod claims;
mod crops;
mod health;
mod logins;
mod pictures;
mod sessions;
mod stand;
mod status;
mod wrapped;
