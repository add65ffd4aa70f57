//! Errors of the queue.

use domain::{InvalidSetting, chain};
use instrument::InjectedFault;

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The address has an unknown form.
    #[error("queue.url = \"{0}\": write memory: or amqp://user:password@host:5672/vhost")]
    Address(String),
    /// The address has an invalid parameter.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The broker cannot be reached, or the connection to it was lost.
    #[error("the queue cannot be reached: {0}")]
    Unreachable(String),
    /// The broker is short of memory or disk and accepts no messages.
    #[error("the queue accepts no messages, because its broker is short of memory or disk space")]
    Blocked,
    /// The broker did not confirm in time; it may or may not have the message.
    #[error("the queue did not confirm the message in time")]
    Unconfirmed,
    /// The broker rejected the message, most likely because of a limit on the queue.
    #[error("the queue refused the message; look for a limit on the queue in the broker")]
    Refused,
    /// There is no queue for the message.
    #[error("the broker has no queue for \"{0}\"")]
    Unroutable(String),
    /// A job message or an outcome could not be serialized.
    #[error("the queue: {0}")]
    Codec(String),
    /// The broker or the connection to it failed.
    #[error("the queue: {}", chain(.0))]
    Engine(#[from] lapin::Error),
    /// The queue is being shut down.
    #[error("the queue is closed")]
    Closed,
    /// A fault injected by a test.
    #[error(transparent)]
    InjectedFault(#[from] InjectedFault),
}

impl QueueError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Address(_) | Self::Setting(_))
    }
}
