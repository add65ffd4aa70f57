//! Chooses which prefetched job begins next, so that no user delays the others: job classes and principals share slots.
//!
//! - While normal jobs wait, `bulk` and `heavy` jobs may use a quarter of the slots each, at least one. While no normal
//!   job waits, they may together use all slots but one. The last slot stays free, so that a normal job begins at once.
//! - Within a class the principal with the fewest running jobs goes first. Principals with equally many take turns. A
//!   principal never has all slots, even if no other principal has jobs.
//! - With a single slot there is nothing to share: classes and principals take turns.
//!
//! Called by `dispatcher` alone. It only holds jobs and does no I/O.

use std::collections::{HashMap, VecDeque};

use crate::job_class::{JobClass, WeightedTurns};

/// The prefetched jobs, and the slots in use.
#[derive(Debug)]
pub(crate) struct FairScheduler<T> {
    slots: usize,
    waiting: [ClassQueue<T>; 3],
    running: [usize; 3],
    /// Numbers of running jobs, by principal.
    running_by_principal: HashMap<String, usize>,
    turns: WeightedTurns,
}

/// A slot taken by a job; pass it to [`FairScheduler::release`] when the job ends.
#[derive(Debug)]
pub(crate) struct JobSlot {
    class: JobClass,
    principal: String,
}

/// The waiting jobs of one class.
#[derive(Debug)]
struct ClassQueue<T> {
    /// The jobs of each principal, in order of arrival.
    jobs: HashMap<String, VecDeque<T>>,
    /// The principals with waiting jobs, in the order of their turns.
    principal_order: VecDeque<String>,
}

impl<T> Default for ClassQueue<T> {
    fn default() -> Self {
        Self { jobs: HashMap::new(), principal_order: VecDeque::new() }
    }
}

impl<T> ClassQueue<T> {
    fn push(&mut self, principal: &str, job: T) {
        if !self.jobs.contains_key(principal) {
            self.principal_order.push_back(principal.to_owned());
        }
        self.jobs.entry(principal.to_owned()).or_default().push_back(job);
    }

    /// Removes a job of the principal with the fewest running jobs, if that number is below `max_running`.
    fn pop_fairest(&mut self, running: &HashMap<String, usize>, max_running: usize) -> Option<(String, T)> {
        let running_of = |principal: &String| running.get(principal).copied().unwrap_or_default();
        let (at, _) = self
            .principal_order
            .iter()
            .map(running_of)
            .enumerate()
            .filter(|(_, count)| *count < max_running)
            .min_by_key(|(_, count)| *count)?;
        let principal = self.principal_order.remove(at)?;
        let jobs = self.jobs.get_mut(&principal)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.jobs.remove(&principal);
        } else {
            self.principal_order.push_back(principal.clone());
        }
        Some((principal, job))
    }
}

impl<T> FairScheduler<T> {
    /// A scheduler with this many slots, at least one.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            slots: slots.max(1),
            waiting: JobClass::ALL.map(|_| ClassQueue::default()),
            running: [0; 3],
            running_by_principal: HashMap::new(),
            turns: WeightedTurns::default(),
        }
    }

    /// Adds a prefetched job.
    pub(crate) fn enqueue(&mut self, class: JobClass, principal: &str, job: T) {
        self.waiting[class.index()].push(principal, job);
    }

    /// Whether a job waits for a slot.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting.iter().any(|queue| !queue.principal_order.is_empty())
    }

    /// Drops all waiting jobs.
    pub(crate) fn clear(&mut self) {
        self.waiting = JobClass::ALL.map(|_| ClassQueue::default());
    }

    /// Whether a slot is free.
    pub(crate) fn has_free_slot(&self) -> bool {
        self.running.iter().sum::<usize>() < self.slots
    }

    /// Removes and returns the job to begin now, with its slot. None while every prefetched job has to wait for a slot.
    pub(crate) fn next_job(&mut self) -> Option<(JobSlot, T)> {
        if !self.has_free_slot() {
            return None;
        }
        let share = (self.slots / 4).max(1);
        let order = self.turns.order();
        let has_share = |class: &&JobClass| {
            **class == JobClass::Normal || (self.running[class.index()] < share && self.may_exceed_share())
        };
        let fair: Vec<JobClass> = order.iter().filter(has_share).copied().collect();
        let found = fair.into_iter().find_map(|class| self.start_job(class));
        if found.is_some()
            || !self.waiting[JobClass::Normal.index()].principal_order.is_empty()
            || !self.may_exceed_share()
        {
            return found;
        }
        order.into_iter().find_map(|class| self.start_job(class))
    }

    /// Whether jobs that are not normal may take one more slot.
    fn may_exceed_share(&self) -> bool {
        let others = self.running[JobClass::Bulk.index()] + self.running[JobClass::Heavy.index()];
        others < (self.slots - 1).max(1)
    }

    fn start_job(&mut self, class: JobClass) -> Option<(JobSlot, T)> {
        let max_running = (self.slots - 1).max(1);
        let (principal, job) = self.waiting[class.index()].pop_fairest(&self.running_by_principal, max_running)?;
        self.turns.advance(class);
        self.running[class.index()] += 1;
        *self.running_by_principal.entry(principal.clone()).or_default() += 1;
        Some((JobSlot { class, principal }, job))
    }

    /// Releases a slot.
    pub(crate) fn release(&mut self, slot: JobSlot) {
        let running = &mut self.running[slot.class.index()];
        *running = running.saturating_sub(1);
        if let Some(count) = self.running_by_principal.get_mut(&slot.principal) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.running_by_principal.remove(&slot.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scheduler under test, with the slots of its running jobs. A job is represented by the name of its principal.
    struct SchedulerRun {
        schedule: FairScheduler<&'static str>,
        slots: VecDeque<(JobSlot, &'static str)>,
    }

    impl SchedulerRun {
        fn new(slots: usize) -> Self {
            Self { schedule: FairScheduler::new(slots), slots: VecDeque::new() }
        }

        fn enqueue(&mut self, class: JobClass, principal: &'static str, jobs: usize) {
            (0..jobs).for_each(|_| self.schedule.enqueue(class, principal, principal));
        }

        /// Begins all jobs that may begin and returns their principals.
        fn start_all(&mut self) -> Vec<&'static str> {
            let mut started = Vec::new();
            while let Some((slot, name)) = self.schedule.next_job() {
                started.push(name);
                self.slots.push_back((slot, name));
            }
            started
        }

        /// Ends the running job of this principal that began first.
        fn finish_first_of(&mut self, name: &str) {
            let at = self.slots.iter().position(|(_, running)| *running == name).unwrap();
            let (slot, _) = self.slots.remove(at).unwrap();
            self.schedule.release(slot);
        }

        fn running_of(&self, name: &str) -> usize {
            self.slots.iter().filter(|(_, running)| *running == name).count()
        }
    }

    #[test]
    fn a_principal_never_has_all_slots() {
        let mut run = SchedulerRun::new(4);
        run.enqueue(JobClass::Normal, "flood", 100);
        assert_eq!(run.start_all(), ["flood"; 3]);
        run.enqueue(JobClass::Normal, "jane", 1);
        assert_eq!(run.start_all(), ["jane"]);
        run.finish_first_of("flood");
        assert_eq!(run.start_all(), ["flood"]);
        run.finish_first_of("jane");
        run.enqueue(JobClass::Normal, "joe", 100);
        run.enqueue(JobClass::Normal, "ann", 100);
        for step in 0..50 {
            run.start_all();
            assert!(step < 2 || ["flood", "joe", "ann"].iter().all(|name| run.running_of(name) > 0));
            let first = run.slots.front().unwrap().1;
            run.finish_first_of(first);
        }
    }

    #[test]
    fn bulk_and_heavy_jobs_have_a_quarter_of_the_slots_while_normal_jobs_wait() {
        let mut run = SchedulerRun::new(8);
        run.enqueue(JobClass::Heavy, "flood", 100);
        run.enqueue(JobClass::Bulk, "other", 100);
        run.start_all();
        assert_eq!(run.running_of("flood") + run.running_of("other"), 7);
        run.enqueue(JobClass::Normal, "jane", 100);
        run.enqueue(JobClass::Normal, "joe", 100);
        assert_eq!(run.start_all().len(), 1, "a normal job begins in the last slot at once");
        for _ in 0..7 {
            let name = if run.running_of("flood") > run.running_of("other") { "flood" } else { "other" };
            run.finish_first_of(name);
            run.start_all();
        }
        let mut turns = HashMap::new();
        for _ in 0..210 {
            assert!(run.running_of("flood") <= 2 && run.running_of("other") <= 2, "{run:?}", run = run.slots);
            let first = run.slots.front().unwrap().1;
            run.finish_first_of(first);
            run.start_all().into_iter().for_each(|name| *turns.entry(name).or_insert(0) += 1);
        }
        assert!(turns["flood"] >= 25 && turns["other"] >= 50, "{turns:?}");
    }

    #[test]
    fn with_few_slots_every_class_and_every_principal_gets_its_turn() {
        for slots in [1, 2, 3] {
            let mut run = SchedulerRun::new(slots);
            for (class, name) in [
                (JobClass::Heavy, "heavy"),
                (JobClass::Bulk, "bulk"),
                (JobClass::Normal, "jane"),
                (JobClass::Normal, "joe"),
            ] {
                run.enqueue(class, name, 1000);
            }
            let mut started: Vec<&str> = run.start_all();
            while started.len() < 280 {
                let first = run.slots.front().unwrap().1;
                run.finish_first_of(first);
                started.extend(run.start_all());
            }
            for (name, least) in [("heavy", 20), ("bulk", 20), ("jane", 60), ("joe", 60)] {
                let turns = started.iter().filter(|started| **started == name).count();
                assert!(turns >= least, "{slots} slots: {name} had {turns} of {} turns", started.len());
            }
        }
    }

    #[test]
    fn a_principal_that_comes_late_does_not_wait_for_the_backlog_of_another() {
        let mut run = SchedulerRun::new(2);
        run.enqueue(JobClass::Heavy, "flood", 500);
        run.enqueue(JobClass::Bulk, "flood", 500);
        run.start_all();
        run.enqueue(JobClass::Heavy, "jane", 1);
        let first = run.slots.front().unwrap().1;
        run.finish_first_of(first);
        let mut started = run.start_all();
        while !started.contains(&"jane") {
            assert!(started.len() < 6, "{started:?}");
            let first = run.slots.front().unwrap().1;
            run.finish_first_of(first);
            started.extend(run.start_all());
        }
    }
}
