//! The classes of jobs, and whose turn is next among them. Used twice: for a worker's slots and for its decode threads.

use std::time::Duration;

use upload::{QueueName, Routing};

/// What a job is to others that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobClass {
    /// One of few of its principal, and quick.
    Normal,
    /// One of many of its principal.
    Bulk,
    /// Long on a thread.
    Heavy,
}

impl JobClass {
    /// All of them. Of two whose turn it is, the first goes first.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Bulk, Self::Heavy];

    /// The class of a job among those that wait for a slot: that of its queue.
    pub(crate) fn for_queue(lane: QueueName) -> Self {
        match lane {
            QueueName::Pictures | QueueName::Variants | QueueName::Renditions => Self::Normal,
            QueueName::Bulk => Self::Bulk,
            QueueName::Heavy => Self::Heavy,
        }
    }

    /// The class of a picture among those that wait for a thread: heavy ones are in `bulk` as well.
    pub(crate) fn for_render(lane: QueueName, estimate: Duration, routing: Routing) -> Self {
        if routing.is_heavy(estimate) { Self::Heavy } else { Self::for_queue(lane) }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// What one turn costs: of seven turns, four are normal, two bulk and one heavy, while all three wait.
    fn stride(self) -> u64 {
        match self {
            Self::Normal => 1,
            Self::Bulk => 2,
            Self::Heavy => 4,
        }
    }
}

/// Weighted turns of the classes: start-time fair queuing. A class that waits always gets its share in the end, and one
/// that did not wait saves nothing up.
#[derive(Debug, Default)]
pub(crate) struct WeightedTurns {
    /// The start of the turn that was taken last.
    virtual_time: u64,
    /// Where each class may begin its next turn at the earliest.
    next_start: [u64; 3],
}

impl WeightedTurns {
    fn start(&self, class: JobClass) -> u64 {
        self.next_start[class.index()].max(self.virtual_time)
    }

    /// The classes in the order of their turns.
    pub(crate) fn order(&self) -> [JobClass; 3] {
        let mut order = JobClass::ALL;
        order.sort_by_key(|class| self.start(*class));
        order
    }

    /// This class has taken a turn.
    pub(crate) fn advance(&mut self, class: JobClass) {
        self.virtual_time = self.start(class);
        self.next_start[class.index()] = self.virtual_time + class.stride();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_picture_in_bulk_is_heavy_on_a_thread() {
        let routing = Routing::default();
        let class = |estimate| JobClass::for_render(QueueName::Bulk, estimate, routing);
        assert_eq!(class(routing.heavy_threshold), JobClass::Bulk);
        assert_eq!(class(routing.heavy_threshold + Duration::from_millis(1)), JobClass::Heavy);
    }

    #[test]
    fn of_seven_turns_four_are_normal_two_bulk_and_one_heavy() {
        let mut turns = WeightedTurns::default();
        let mut taken = [0; 3];
        for _ in 0..700 {
            let [class, ..] = turns.order();
            turns.advance(class);
            taken[class.index()] += 1;
        }
        assert_eq!(taken, [400, 200, 100]);
    }

    #[test]
    fn a_class_that_did_not_wait_saves_nothing_up() {
        let mut turns = WeightedTurns::default();
        (0..1000).for_each(|_| turns.advance(JobClass::Normal));
        let mut heavy = 0;
        for _ in 0..70 {
            let [class, ..] = turns.order();
            turns.advance(class);
            heavy += usize::from(class == JobClass::Heavy);
        }
        assert!((9..=11).contains(&heavy), "{heavy} of 70");
    }
}
