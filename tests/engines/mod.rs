//! Tests of the whole system on its real engines: RabbitMQ, PostgreSQL and S3, with api and workers in separate
//! processes.
//!
//! The addresses of the engines come from `CLOAKROOM_TEST_AMQP`, `CLOAKROOM_TEST_POSTGRES` and
//! `CLOAKROOM_TEST_S3`. `tests/run` starts the engines whose address is not given. Without the
//! addresses these tests say that they are skipped, and pass.

mod backend_outages;
mod dead_letters;
mod engine_restarts;
mod fairness;
mod faults;
mod full_disk;
mod idempotency_keys;
mod kill_at_every_step;
mod kill_during_deletion;
mod late_deliveries;
mod leftovers;
mod load_with_failures;
mod long_outages;
mod picture_end_to_end;
mod purged_queue;
mod read_only_database;
mod refused_bodies;
mod renditions;
mod shutdown;
