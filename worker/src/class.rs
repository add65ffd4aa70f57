//! The classes of jobs, and whose turn is next among them. Used twice: for a worker's slots and for its decode threads.

use std::time::Duration;

use upload::{Lane, Routing};

/// What a job is to others that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// One of few of its principal, and quick.
    Normal,
    /// One of many of its principal.
    Bulk,
    /// Long on a thread.
    Heavy,
}

impl Class {
    /// All of them. Of two whose turn it is, the first goes first.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Bulk, Self::Heavy];

    /// The class of a job among those that wait for a slot: that of its queue.
    pub(crate) fn of(lane: Lane) -> Self {
        match lane {
            Lane::Pictures | Lane::Variants | Lane::Renditions => Self::Normal,
            Lane::Bulk => Self::Bulk,
            Lane::Heavy => Self::Heavy,
        }
    }

    /// The class of a picture among those that wait for a thread: heavy ones are in `bulk` as well.
    pub(crate) fn on_a_thread(lane: Lane, estimate: Duration, routing: Routing) -> Self {
        if routing.is_heavy(estimate) { Self::Heavy } else { Self::of(lane) }
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
pub(crate) struct Turns {
    /// The start of the turn that was taken last.
    now: u64,
    /// Where each class may begin its next turn at the earliest.
    next: [u64; 3],
}

impl Turns {
    fn start(&self, class: Class) -> u64 {
        self.next[class.index()].max(self.now)
    }

    /// The classes in the order of their turns.
    pub(crate) fn order(&self) -> [Class; 3] {
        let mut order = Class::ALL;
        order.sort_by_key(|class| self.start(*class));
        order
    }

    /// This class has taken a turn.
    pub(crate) fn took(&mut self, class: Class) {
        self.now = self.start(class);
        self.next[class.index()] = self.now + class.stride();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_picture_in_bulk_is_heavy_on_a_thread() {
        let routing = Routing::default();
        let class = |estimate| Class::on_a_thread(Lane::Bulk, estimate, routing);
        assert_eq!(class(routing.heavy_after), Class::Bulk);
        assert_eq!(class(routing.heavy_after + Duration::from_millis(1)), Class::Heavy);
    }

    #[test]
    fn of_seven_turns_four_are_normal_two_bulk_and_one_heavy() {
        let mut turns = Turns::default();
        let mut taken = [0; 3];
        for _ in 0..700 {
            let [class, ..] = turns.order();
            turns.took(class);
            taken[class.index()] += 1;
        }
        assert_eq!(taken, [400, 200, 100]);
    }

    #[test]
    fn a_class_that_did_not_wait_saves_nothing_up() {
        let mut turns = Turns::default();
        (0..1000).for_each(|_| turns.took(Class::Normal));
        let mut heavy = 0;
        for _ in 0..70 {
            let [class, ..] = turns.order();
            turns.took(class);
            heavy += usize::from(class == Class::Heavy);
        }
        assert!((9..=11).contains(&heavy), "{heavy} of 70");
    }
}
