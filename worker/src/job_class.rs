//! The classes of jobs, and which class has the next turn. The slots and the decode threads of a worker are
//! shared by class.

use std::time::Duration;

use domain::{QueueName, Routing};

/// The class of a job, which decides how soon the job begins while jobs of other classes wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobClass {
    /// Quick, and one of few jobs of its principal.
    Normal,
    /// One of many jobs of its principal.
    Bulk,
    /// Occupies a thread for a long time.
    Heavy,
}

impl JobClass {
    /// All classes. If the next turns of two classes have the same virtual start time, the class that is earlier in
    /// this list goes first.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Bulk, Self::Heavy];

    /// The class of a job that waits for a slot. The queue decides it.
    pub(crate) fn for_queue(queue: QueueName) -> Self {
        match queue {
            QueueName::Pictures | QueueName::Variants | QueueName::Renditions => Self::Normal,
            QueueName::Bulk => Self::Bulk,
            QueueName::Heavy => Self::Heavy,
        }
    }

    /// The class of a picture that waits for a thread. A picture that takes long is heavy, also in a `bulk` job. For
    /// any other picture the queue decides.
    pub(crate) fn for_render(queue: QueueName, estimate: Duration, routing: Routing) -> Self {
        if routing.is_heavy(estimate) { Self::Heavy } else { Self::for_queue(queue) }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The virtual time from one turn of the class to its next. While all three classes wait, four of seven turns are
    /// normal, two are bulk and one is heavy.
    fn stride(self) -> u64 {
        match self {
            Self::Normal => 1,
            Self::Bulk => 2,
            Self::Heavy => 4,
        }
    }
}

/// Weighted turns of the classes by start-time fair queuing. A waiting class always gets its share in the end. A
/// class that did not wait gets no extra turns for that time.
#[derive(Debug, Default)]
pub(crate) struct WeightedTurns {
    /// The virtual start time of the turn that was taken last.
    virtual_time: u64,
    /// The earliest virtual start time of each class's next turn.
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

    /// Records a turn taken by this class.
    pub(crate) fn advance(&mut self, class: JobClass) {
        self.virtual_time = self.start(class);
        self.next_start[class.index()] = self.virtual_time + class.stride();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_picture_of_a_bulk_job_waits_for_a_thread_as_heavy() {
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
    fn a_class_that_did_not_wait_accumulates_no_credit() {
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
