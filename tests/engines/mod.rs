//! The whole system on its real engines: RabbitMQ, PostgreSQL and S3, with api and workers in processes of their own.
//!
//! An engine's address comes from `CLOAKROOM_TEST_AMQP`, `CLOAKROOM_TEST_POSTGRES` and `CLOAKROOM_TEST_S3`; `tests/run`
//! starts what is not given. Without them these tests say so and do nothing.

mod backends;
#[path = "../soak/disk.rs"]
mod disk;
mod fairness;
mod faults;
mod full_disk;
mod journey;
mod keys;
mod late;
mod letters;
mod load;
mod oracle;
mod outages;
#[path = "../../upload/tests/places/proxy.rs"]
mod proxy;
mod purged;
mod read_only;
mod renditions;
mod restarts;
mod stack;
mod steps;
mod stopping;
