//! Tests of the four backends on their real engines. Each test has a namespace of its own.
//!
//! An engine is used if its address is given. `tests/run` starts all engines and sets these variables:
//!
//! | variable | example |
//! |---|---|
//! | `CLOAKROOM_TEST_AMQP` | `amqp://guest:guest@127.0.0.1:5672/%2f` |
//! | `CLOAKROOM_TEST_POSTGRES` | `postgres://postgres@127.0.0.1:5432/postgres` |
//! | `CLOAKROOM_TEST_S3` | `http://KEY:SECRET@127.0.0.1:7480/bucket` |
//! | `CLOAKROOM_TEST_AZURE` | `http://ACCOUNT:KEY@127.0.0.1:10000/container` |
//!
//! The same names with `_TLS` at the end give the addresses for TLS. The certificates come from the authority in the
//! file that `CLOAKROOM_TEST_CA` names.
//!
//! Without an address, the tests of that engine print this and do nothing.

// A failed test panics.
#![allow(clippy::disallowed_methods, reason = "tests make names and times of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bucket_storage;
mod claims_and_avatars;
mod crops_quotas_and_resources;
mod database_outages;
mod dead_letters;
mod deleted_files;
mod deleted_uploads;
mod files;
mod folder_storage;
mod full_database_disk;
mod hung_sqlite_statement;
mod lost_commit;
mod migrate;
mod outbox;
mod pgbouncer;
mod postgres_server;
mod postgres_socket;
mod private_ca;
mod query_plans;
mod rabbitmq;
mod sessions;
mod storage_outages;
mod upload_admissibility;
mod upload_list;
mod uploads_jobs_and_deletions;
mod usage_counters;
mod users_and_grants;
mod write_conditions;
