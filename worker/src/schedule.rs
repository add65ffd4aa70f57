//! Which of the jobs in hand is begun next, so that no user delays the others: slots shared among classes and principals.
//!
//! - `bulk` and `heavy` jobs have a quarter of the slots each, one at least, while other jobs wait, and all but one while
//!   none does. The last slot stays free for a normal job, which so begins at once.
//! - Within a class the principal with the fewest jobs running goes first; among those that have equally many, they take
//!   turns. A principal never has all slots, whoever else waits.
//! - With a single slot there is nothing to share: classes and principals take turns.
//!
//! Called by `consume` alone. It holds what it is given and does no I/O.

use std::collections::{HashMap, VecDeque};

use crate::class::{Class, Turns};

/// The jobs in hand, and what of the slots is taken.
#[derive(Debug)]
pub(crate) struct Schedule<T> {
    slots: usize,
    waiting: [Line<T>; 3],
    running: [usize; 3],
    /// Jobs running, by principal.
    principals: HashMap<String, usize>,
    turns: Turns,
}

/// A slot that a job has taken, to be given back to [`Schedule::free`].
#[derive(Debug)]
pub(crate) struct Slot {
    class: Class,
    principal: String,
}

/// The jobs of one class that wait.
#[derive(Debug)]
struct Line<T> {
    /// Those of each principal, in the order in which they came.
    jobs: HashMap<String, VecDeque<T>>,
    /// The principals that have some, in the order of their turns.
    turns: VecDeque<String>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { jobs: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<T> Line<T> {
    fn add(&mut self, principal: &str, job: T) {
        if !self.jobs.contains_key(principal) {
            self.turns.push_back(principal.to_owned());
        }
        self.jobs.entry(principal.to_owned()).or_default().push_back(job);
    }

    /// A job of the principal with the fewest running, if that is fewer than `most`.
    fn take(&mut self, running: &HashMap<String, usize>, most: usize) -> Option<(String, T)> {
        let has = |principal: &String| running.get(principal).copied().unwrap_or_default();
        let (at, _) =
            self.turns.iter().map(has).enumerate().filter(|(_, has)| *has < most).min_by_key(|(_, has)| *has)?;
        let principal = self.turns.remove(at)?;
        let jobs = self.jobs.get_mut(&principal)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.jobs.remove(&principal);
        } else {
            self.turns.push_back(principal.clone());
        }
        Some((principal, job))
    }
}

impl<T> Schedule<T> {
    /// A schedule of so many slots, at least one.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            slots: slots.max(1),
            waiting: Class::ALL.map(|_| Line::default()),
            running: [0; 3],
            principals: HashMap::new(),
            turns: Turns::default(),
        }
    }

    /// Takes a job in hand.
    pub(crate) fn add(&mut self, class: Class, principal: &str, job: T) {
        self.waiting[class.index()].add(principal, job);
    }

    /// Whether a job waits for a slot.
    pub(crate) fn waits(&self) -> bool {
        self.waiting.iter().any(|line| !line.turns.is_empty())
    }

    /// Lets go of all jobs that wait.
    pub(crate) fn clear(&mut self) {
        self.waiting = Class::ALL.map(|_| Line::default());
    }

    /// Whether a slot is free.
    pub(crate) fn has_room(&self) -> bool {
        self.running.iter().sum::<usize>() < self.slots
    }

    /// The job to begin now, with its slot. None while every job in hand has to wait for a slot.
    pub(crate) fn next(&mut self) -> Option<(Slot, T)> {
        if !self.has_room() {
            return None;
        }
        let share = (self.slots / 4).max(1);
        let order = self.turns.order();
        let within =
            |class: &&Class| **class == Class::Normal || (self.running[class.index()] < share && self.is_spare());
        let fair: Vec<Class> = order.iter().filter(within).copied().collect();
        let found = fair.into_iter().find_map(|class| self.take(class));
        if found.is_some() || !self.waiting[Class::Normal.index()].turns.is_empty() || !self.is_spare() {
            return found;
        }
        order.into_iter().find_map(|class| self.take(class))
    }

    /// Whether jobs that are not normal may have one more slot.
    fn is_spare(&self) -> bool {
        let others = self.running[Class::Bulk.index()] + self.running[Class::Heavy.index()];
        others < (self.slots - 1).max(1)
    }

    fn take(&mut self, class: Class) -> Option<(Slot, T)> {
        let most = (self.slots - 1).max(1);
        let (principal, job) = self.waiting[class.index()].take(&self.principals, most)?;
        self.turns.took(class);
        self.running[class.index()] += 1;
        *self.principals.entry(principal.clone()).or_default() += 1;
        Some((Slot { class, principal }, job))
    }

    /// Gives a slot back.
    pub(crate) fn free(&mut self, slot: Slot) {
        let running = &mut self.running[slot.class.index()];
        *running = running.saturating_sub(1);
        if let Some(has) = self.principals.get_mut(&slot.principal) {
            *has = has.saturating_sub(1);
            if *has == 0 {
                self.principals.remove(&slot.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schedule in which everything waits from the beginning and each job takes one turn.
    struct Run {
        schedule: Schedule<&'static str>,
        slots: VecDeque<(Slot, &'static str)>,
    }

    impl Run {
        fn new(slots: usize) -> Self {
            Self { schedule: Schedule::new(slots), slots: VecDeque::new() }
        }

        fn add(&mut self, class: Class, principal: &'static str, jobs: usize) {
            (0..jobs).for_each(|_| self.schedule.add(class, principal, principal));
        }

        /// Begins all that may begin, and says of whom they are.
        fn begin(&mut self) -> Vec<&'static str> {
            let mut begun = Vec::new();
            while let Some((slot, of)) = self.schedule.next() {
                begun.push(of);
                self.slots.push_back((slot, of));
            }
            begun
        }

        /// Ends the first job of this principal.
        fn end(&mut self, of: &str) {
            let at = self.slots.iter().position(|(_, running)| *running == of).unwrap();
            let (slot, _) = self.slots.remove(at).unwrap();
            self.schedule.free(slot);
        }

        fn running(&self, of: &str) -> usize {
            self.slots.iter().filter(|(_, running)| *running == of).count()
        }
    }

    #[test]
    fn a_principal_never_has_all_slots() {
        let mut run = Run::new(4);
        run.add(Class::Normal, "flood", 100);
        assert_eq!(run.begin(), ["flood"; 3]);
        run.add(Class::Normal, "jane", 1);
        assert_eq!(run.begin(), ["jane"]);
        run.end("flood");
        assert_eq!(run.begin(), ["flood"]);
        run.end("jane");
        run.add(Class::Normal, "joe", 100);
        run.add(Class::Normal, "ann", 100);
        for step in 0..50 {
            run.begin();
            assert!(step < 2 || ["flood", "joe", "ann"].iter().all(|of| run.running(of) > 0));
            let first = run.slots.front().unwrap().1;
            run.end(first);
        }
    }

    #[test]
    fn a_flood_has_a_share_while_others_wait_and_all_slots_but_one_while_none_does() {
        let mut run = Run::new(8);
        run.add(Class::Heavy, "flood", 100);
        run.add(Class::Bulk, "other", 100);
        run.begin();
        assert_eq!(run.running("flood") + run.running("other"), 7);
        run.add(Class::Normal, "jane", 100);
        run.add(Class::Normal, "joe", 100);
        assert_eq!(run.begin().len(), 1, "the last slot is theirs at once");
        for _ in 0..7 {
            let of = if run.running("flood") > run.running("other") { "flood" } else { "other" };
            run.end(of);
            run.begin();
        }
        let mut turns = HashMap::new();
        for _ in 0..210 {
            assert!(run.running("flood") <= 2 && run.running("other") <= 2, "{run:?}", run = run.slots);
            let first = run.slots.front().unwrap().1;
            run.end(first);
            run.begin().into_iter().for_each(|of| *turns.entry(of).or_insert(0) += 1);
        }
        assert!(turns["flood"] >= 25 && turns["other"] >= 50, "{turns:?}");
    }

    #[test]
    fn with_few_slots_every_class_and_every_principal_gets_its_turn() {
        for slots in [1, 2, 3] {
            let mut run = Run::new(slots);
            for (class, of) in
                [(Class::Heavy, "heavy"), (Class::Bulk, "bulk"), (Class::Normal, "jane"), (Class::Normal, "joe")]
            {
                run.add(class, of, 1000);
            }
            let mut begun: Vec<&str> = run.begin();
            while begun.len() < 280 {
                let first = run.slots.front().unwrap().1;
                run.end(first);
                begun.extend(run.begin());
            }
            for (of, least) in [("heavy", 20), ("bulk", 20), ("jane", 60), ("joe", 60)] {
                let turns = begun.iter().filter(|begun| **begun == of).count();
                assert!(turns >= least, "{slots} slots: {of} had {turns} of {}", begun.len());
            }
        }
    }

    #[test]
    fn a_principal_that_comes_late_does_not_wait_for_the_backlog_of_another() {
        let mut run = Run::new(2);
        run.add(Class::Heavy, "flood", 500);
        run.add(Class::Bulk, "flood", 500);
        run.begin();
        run.add(Class::Heavy, "jane", 1);
        let first = run.slots.front().unwrap().1;
        run.end(first);
        let mut begun = run.begin();
        while !begun.contains(&"jane") {
            assert!(begun.len() < 6, "{begun:?}");
            let first = run.slots.front().unwrap().1;
            run.end(first);
            begun.extend(run.begin());
        }
    }
}
