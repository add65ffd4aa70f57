//! The job queue between api and worker: RabbitMQ, or memory for one process. Only this crate uses lapin.

mod broker_address;
mod delivery;
mod engine;
mod error;
mod memory;
mod outcome_waiters;
mod queue;
mod rabbitmq;
mod settings;
mod stats;
mod writing_operations;

pub use delivery::{Deliveries, Delivery};
pub use error::QueueError;
pub use outcome_waiters::OutcomeWaiter;
pub use queue::Queue;
pub use settings::QueueSettings;
pub use stats::QueueStats;
pub use writing_operations::WRITING_OPERATIONS;
