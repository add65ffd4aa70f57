//! Which faults happen, and when. Each kind of fault happens once, in random order, before any happens again, with
//! random pauses and durations. Everything follows from the seed.

use std::fmt;
use std::time::Duration;

use test_support::proxy::ProxyState;

use crate::node::NodeRole;
use crate::random::SeededRandom;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Broker,
    Database,
    Store,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// SIGKILL, and a new start after a while.
    Kill(NodeRole),
    /// SIGTERM, and a new start after a while.
    Stop(NodeRole),
    /// SIGSTOP, and SIGCONT after a while.
    Pause(NodeRole),
    /// The connections of one process, or of all processes, to a backend do not work, or are slow, for a while.
    Outage(EngineKind, ProxyState),
    /// All connections to a backend are reset once.
    Cut(EngineKind),
    /// The messages of all queues are removed while no worker takes any.
    PurgeQueues,
    /// A queue is deleted.
    DeleteQueue,
    /// The database closes all its sessions.
    CloseSessions,
    /// The file system of the data directory is full for a while.
    FullDisk,
    /// The folder of the blobs is not reachable for a while.
    BlobsAway,
}

/// A fault with its times.
#[derive(Clone, Copy, Debug)]
pub struct FaultStep {
    pub fault: FaultKind,
    /// A random number that selects the process or all processes.
    pub target: u64,
    /// The duration of the fault.
    pub duration: Duration,
    /// The pause before the fault.
    pub pause: Duration,
}

impl fmt::Display for FaultStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:.1} s", self.fault, self.duration.as_secs_f64())
    }
}

/// The kinds of faults of one track. Tracks run concurrently; the faults of one track run one after another.
pub struct FaultMix {
    /// These faults come first, in this order, because even a short run must have them.
    pub required_first: Vec<FaultKind>,
    pub all: Vec<FaultKind>,
    /// The shortest and the longest pause.
    pub pause: (Duration, Duration),
}

/// An endless sequence of steps.
pub struct FaultSchedule {
    mix: FaultMix,
    random: SeededRandom,
    upcoming: Vec<FaultKind>,
}

impl FaultSchedule {
    pub fn new(mix: FaultMix, seed: u64) -> Self {
        let mut chosen = mix.required_first.clone();
        chosen.reverse();
        Self { mix, random: SeededRandom::new(seed), upcoming: chosen }
    }

    pub fn next_step(&mut self) -> FaultStep {
        let fault = self.upcoming.pop().unwrap_or_else(|| {
            self.upcoming = self.mix.all.clone();
            self.random.shuffle(&mut self.upcoming);
            self.upcoming.pop().unwrap()
        });
        let seconds = |least, most| (Duration::from_secs(least), Duration::from_secs(most));
        let (least, most) = match fault {
            // Longer than all attempts of a job would take if they were counted.
            FaultKind::Outage(EngineKind::Store, ProxyState::Broken) | FaultKind::BlobsAway => seconds(10, 14),
            FaultKind::Outage(_, ProxyState::Slow(_)) => seconds(2, 6),
            FaultKind::Outage(..) => seconds(5, 14),
            FaultKind::FullDisk => seconds(4, 8),
            // Some of these pauses are longer than a lease.
            FaultKind::Pause(_) => seconds(1, 8),
            FaultKind::Kill(_) | FaultKind::Stop(_) => seconds(0, 3),
            FaultKind::Cut(_) | FaultKind::PurgeQueues | FaultKind::DeleteQueue | FaultKind::CloseSessions => {
                seconds(0, 0)
            }
        };
        let duration = self.random.between(least, most);
        let pause = self.random.between(self.mix.pause.0, self.mix.pause.1);
        FaultStep { fault, target: self.random.next(), duration, pause }
    }
}
