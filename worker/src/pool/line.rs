//! Which of the pictures that wait is rendered next, by class, by threads and by memory. A large picture that waits for
//! memory keeps nobody waiting for longer than it must: smaller ones go past it, as long as they leave the memory that it
//! will need once those that were running before have ended.
//!
//! It holds what it is given and does no I/O; the pool locks it.

use std::collections::VecDeque;

use crate::class::{Class, Turns};

#[derive(Debug)]
pub(super) struct Line<J> {
    waiting: [VecDeque<Waiting<J>>; 3],
    running: [usize; 3],
    turns: Turns,
    threads: usize,
    /// Of how many threads heavy pictures may have while others wait.
    share: usize,
    budget: u64,
    free: u64,
    /// How many have begun.
    begun: u64,
    /// The class whose turn it was when there was not enough memory for its first picture.
    owed: Option<Owed>,
}

#[derive(Debug)]
struct Waiting<J> {
    /// Memory, in the units of the budget.
    need: u64,
    job: J,
}

#[derive(Clone, Copy, Debug)]
struct Owed {
    class: Class,
    /// How many had begun by then.
    since: u64,
    /// Memory of those that have begun since and still run.
    later: u64,
}

/// A picture that was begun, to be given back to [`Line::ended`].
#[derive(Debug)]
pub(super) struct Begun {
    class: Class,
    need: u64,
    number: u64,
}

impl<J> Line<J> {
    pub(super) fn new(threads: usize, budget: u64) -> Self {
        Self {
            waiting: Class::ALL.map(|_| VecDeque::new()),
            running: [0; 3],
            turns: Turns::default(),
            threads,
            share: (threads / 4).max(1),
            budget,
            free: budget,
            begun: 0,
            owed: None,
        }
    }

    /// A picture that needs this much memory, which is no more than the budget.
    pub(super) fn add(&mut self, class: Class, need: u64, job: J) {
        self.waiting[class.index()].push_back(Waiting { need: need.min(self.budget), job });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// The picture that a free thread begins now; None while all have to wait. Those that are `over`, because nobody waits
    /// for them any more, are left out. The `spare` thread helps out: it takes a normal picture that would wait for a heavy
    /// one, and nothing else.
    pub(super) fn next(&mut self, spare: bool, over: impl Fn(&J) -> bool) -> Option<(Begun, J)> {
        for line in &mut self.waiting {
            line.retain(|waiting| !over(&waiting.job));
        }
        self.owed = self.owed.filter(|owed| !self.waiting[owed.class.index()].is_empty());
        let others = [Class::Normal, Class::Bulk].iter().any(|class| !self.waiting[class.index()].is_empty());
        if spare && (self.running[Class::Heavy.index()] == 0 || self.running.iter().sum::<usize>() < self.threads) {
            return None;
        }
        for class in self.turns.order() {
            if spare && class != Class::Normal {
                continue;
            }
            if class == Class::Heavy && others && self.running[class.index()] >= self.share {
                continue;
            }
            let Some(need) = self.waiting[class.index()].front().map(|first| first.need) else { continue };
            if need > self.free {
                self.owed.get_or_insert(Owed { class, since: self.begun, later: 0 });
            } else if self.leaves_room(class, need) {
                let first = self.waiting[class.index()].pop_front()?;
                return Some((self.begin(class, need), first.job));
            }
        }
        None
    }

    /// Whether the picture that is owed memory can still have it in the end if this one begins before.
    fn leaves_room(&self, class: Class, need: u64) -> bool {
        let Some(owed) = self.owed.filter(|owed| owed.class != class) else { return true };
        let first = self.waiting[owed.class.index()].front().map_or(0, |first| first.need);
        owed.later + need <= self.budget - first
    }

    fn begin(&mut self, class: Class, need: u64) -> Begun {
        self.turns.took(class);
        match &mut self.owed {
            Some(owed) if owed.class == class => self.owed = None,
            Some(owed) => owed.later += need,
            None => {}
        }
        self.free -= need;
        self.running[class.index()] += 1;
        self.begun += 1;
        Begun { class, need, number: self.begun }
    }

    pub(super) fn ended(&mut self, begun: Begun) {
        self.free += begun.need;
        self.running[begun.class.index()] -= 1;
        if let Some(owed) = self.owed.as_mut().filter(|owed| begun.number > owed.since) {
            owed.later -= begun.need;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(line: &mut Line<&'static str>) -> Option<(Begun, &'static str)> {
        line.next(false, |_| false)
    }

    #[test]
    fn a_spare_thread_takes_a_normal_picture_that_would_wait_for_a_heavy_one_and_nothing_else() {
        let mut line = Line::new(2, 100);
        let spare = |line: &mut Line<&'static str>| line.next(true, |_| false).map(|(_, of)| of);
        line.add(Class::Normal, 1, "small");
        assert_eq!(spare(&mut line), None, "a thread is free");
        next(&mut line).unwrap();
        (0..3).for_each(|_| line.add(Class::Heavy, 1, "heavy"));
        next(&mut line).unwrap();
        assert_eq!(spare(&mut line), None, "only heavy ones wait");
        line.add(Class::Bulk, 1, "bulk");
        assert_eq!(spare(&mut line), None);
        line.add(Class::Normal, 1, "small");
        assert_eq!(spare(&mut line), Some("small"));
    }

    #[test]
    fn heavy_pictures_leave_a_thread_to_others_that_wait() {
        let mut line = Line::new(2, 100);
        (0..3).for_each(|_| line.add(Class::Heavy, 1, "heavy"));
        let (first, second) = (next(&mut line).unwrap(), next(&mut line).unwrap());
        assert_eq!((first.1, second.1), ("heavy", "heavy"), "both threads while nothing else waits");
        (0..9).for_each(|_| line.add(Class::Normal, 1, "small"));
        line.ended(first.0);
        for _ in 0..9 {
            let (begun, of) = next(&mut line).unwrap();
            assert_eq!(of, "small");
            line.ended(begun);
        }
        assert_eq!(next(&mut line).unwrap().1, "heavy");
    }

    #[test]
    fn on_one_thread_they_take_turns() {
        let mut line = Line::new(1, 100);
        for (class, of) in [(Class::Heavy, "heavy"), (Class::Bulk, "bulk"), (Class::Normal, "small")] {
            (0..100).for_each(|_| line.add(class, 1, of));
        }
        let mut taken = Vec::new();
        for _ in 0..70 {
            let (begun, of) = next(&mut line).unwrap();
            line.ended(begun);
            taken.push(of);
        }
        let count = |of| taken.iter().filter(|taken| **taken == of).count();
        assert_eq!((count("small"), count("bulk"), count("heavy")), (40, 20, 10));
    }

    #[test]
    fn small_pictures_go_past_a_large_one_that_waits_for_memory_and_it_is_not_starved() {
        let mut line = Line::new(8, 100);
        line.add(Class::Heavy, 70, "first");
        let (first, _) = next(&mut line).unwrap();
        line.add(Class::Heavy, 70, "second");
        (0..500).for_each(|_| line.add(Class::Normal, 10, "small"));
        let mut running = VecDeque::new();
        while let Some((begun, of)) = next(&mut line) {
            assert_eq!(of, "small");
            running.push_back(begun);
        }
        assert_eq!(running.len(), 3, "30 of 100 are free");
        line.ended(first);
        // As many as there is memory for, the oldest of which ends at each step.
        for step in 0.. {
            while let Some((begun, of)) = next(&mut line) {
                if of == "second" {
                    assert!(step > 0, "it was passed by");
                    return;
                }
                running.push_back(begun);
            }
            assert!(step < 20, "it is passed by for ever");
            line.ended(running.pop_front().unwrap());
        }
    }

    #[test]
    fn what_nobody_waits_for_is_left_out() {
        let mut line = Line::new(1, 100);
        line.add(Class::Normal, 60, "first");
        let (first, _) = next(&mut line).unwrap();
        line.add(Class::Bulk, 60, "late");
        assert!(next(&mut line).is_none());
        line.add(Class::Bulk, 10, "other");
        assert_eq!(line.next(false, |of| *of == "late").unwrap().1, "other");
        line.ended(first);
        assert!(line.is_empty());
    }
}
