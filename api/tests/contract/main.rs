//! Tests of the two contracts, the page, logins, quotas and limits over real HTTP. Each test has its own api with real
//! backends (SQLite, folders, the in-process queue) and its own real worker. Tests move the clock by hand, so that no
//! test waits for a deadline or an expiry. Only limits on connections and bodies use real time.

#![allow(clippy::disallowed_methods, reason = "tests make names and times of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod accept;
mod admission;
mod applink_page;
mod avatars;
mod backend_stalls;
mod browser;
mod claims;
mod connections;
mod credentials;
mod crops;
mod cross_origin;
mod csrf_tokens;
mod docs_page;
mod document_domain;
mod documents;
mod error_codes;
mod file_names;
mod full_disk;
mod guessing;
mod health;
mod html_wrapper;
mod http_messages;
mod key_rotation;
mod last_modified;
mod logins;
mod logouts;
mod malformed_bodies;
mod nul_characters;
mod oidc;
mod openapi;
mod part_encodings;
mod path_prefix;
mod permissions;
mod picture_crops;
mod picture_parts;
mod pictures;
mod pictures_page;
mod policy;
mod quotas;
mod service_api;
mod sessions;
mod test_server;
mod ui;
mod upload_deletion;
mod upload_list;
mod upload_status;
mod users;
mod write_conditions;
