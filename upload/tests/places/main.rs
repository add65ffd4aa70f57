//! The four places on their real engines, each test in a namespace of its own.
//!
//! An engine is used where its address is given; `tests/run` starts them all and gives them:
//!
//! | variable | example |
//! |---|---|
//! | `CLOAKROOM_TEST_AMQP` | `amqp://guest:guest@127.0.0.1:5672/%2f` |
//! | `CLOAKROOM_TEST_POSTGRES` | `postgres://postgres@127.0.0.1:5432/postgres` |
//! | `CLOAKROOM_TEST_S3` | `http://KEY:SECRET@127.0.0.1:7480/bucket` |
//!
//! The same with `_TLS` behind the name is an engine's address by TLS, whose certificate is from the authority in the file
//! that `CLOAKROOM_TEST_CA` names.
//!
//! Without an address the tests of that engine say so and do nothing.

// A test that fails says so by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admissible;
mod broker;
mod bucket;
mod claims;
mod counter;
mod database_outages;
mod failing_disk;
mod files;
mod folder;
mod full_disk;
mod home;
mod hung_disk;
mod letters;
mod lost_commit;
mod migrate;
mod outages;
mod outbox;
mod people;
mod plans;
mod pooler;
mod principals;
mod proxy;
mod queue;
mod records;
mod server;
mod sessions;
mod stores;
mod tls;
