//! The job queue between api and worker: RabbitMQ, or memory for one process. It is the only crate that uses lapin.

mod broker_address;
mod delivery;
mod error;
mod memory;
mod operations;
mod outcome_waiters;
mod queue;
mod rabbitmq;
mod settings;
mod stats;

pub use delivery::{Deliveries, Delivery};
pub use error::QueueError;
pub use operations::WRITING_OPERATIONS;
pub use outcome_waiters::OutcomeWaiter;
pub use queue::Queue;
pub use settings::QueueSettings;
pub use stats::QueueStats;
