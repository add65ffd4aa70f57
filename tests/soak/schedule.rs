//! Which faults happen, and when: each kind of fault happens once, in random order, before any happens again, with
//! random pauses and lengths. All of it follows from the seed.

use std::fmt;
use std::time::Duration;

use crate::engines::proxy::Way;
use crate::node::Role;
use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Broker,
    Database,
    Store,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a new start after a while.
    Kill(Role),
    /// SIGTERM, and a new start after a while.
    Stop(Role),
    /// SIGSTOP, and SIGCONT after a while.
    Pause(Role),
    /// The connections of one process, or of all of them, to a backend are broken for a while.
    Outage(Backend, Way),
    /// All connections to a backend are reset once.
    Cut(Backend),
    /// The messages of all queues are removed while no worker takes any.
    PurgeQueues,
    /// A queue is deleted.
    DeleteQueue,
    /// The database closes all its sessions.
    CloseSessions,
    /// The file system of the data directory is full for a while.
    FullDisk,
    /// The folder of the blobs cannot be reached for a while.
    BlobsAway,
}

/// One fault with its times.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub fault: Fault,
    /// Decides which process it is, or whether it is all of them.
    pub target: u64,
    /// How long it lasts.
    pub duration: Duration,
    /// How long nothing happens before it.
    pub pause: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:.1} s", self.fault, self.duration.as_secs_f64())
    }
}

/// The kinds of faults of one track. Tracks run at the same time, the faults of one track one after the other.
pub struct FaultMix {
    /// Happen first, in this order, because a short run must have them.
    pub first: Vec<Fault>,
    pub all: Vec<Fault>,
    /// The limits of a pause.
    pub pause: (Duration, Duration),
}

/// An endless sequence of steps.
pub struct Schedule {
    mix: FaultMix,
    random: Random,
    chosen: Vec<Fault>,
}

impl Schedule {
    pub fn new(mix: FaultMix, seed: u64) -> Self {
        let mut chosen = mix.first.clone();
        chosen.reverse();
        Self { mix, random: Random::new(seed), chosen }
    }

    pub fn next(&mut self) -> Step {
        let fault = self.chosen.pop().unwrap_or_else(|| {
            self.chosen = self.mix.all.clone();
            self.random.shuffle(&mut self.chosen);
            self.chosen.pop().unwrap()
        });
        let seconds = |least, most| (Duration::from_secs(least), Duration::from_secs(most));
        let (least, most) = match fault {
            // Longer than all attempts together would take, were they counted.
            Fault::Outage(Backend::Store, Way::Broken) | Fault::BlobsAway => seconds(10, 14),
            Fault::Outage(_, Way::Slow(_)) => seconds(2, 6),
            Fault::Outage(..) => seconds(5, 14),
            Fault::FullDisk => seconds(4, 8),
            // Longer than a lease.
            Fault::Pause(_) => seconds(1, 8),
            Fault::Kill(_) | Fault::Stop(_) => seconds(0, 3),
            Fault::Cut(_) | Fault::PurgeQueues | Fault::DeleteQueue | Fault::CloseSessions => seconds(0, 0),
        };
        let duration = self.random.between(least, most);
        let pause = self.random.between(self.mix.pause.0, self.mix.pause.1);
        Step { fault, target: self.random.next(), duration, pause }
    }
}
