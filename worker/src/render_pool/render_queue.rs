//! Chooses which waiting picture is rendered next, depending on classes, threads and memory. While a large picture
//! waits for memory, smaller pictures may begin. But they leave enough memory for the large picture to begin as soon as
//! the pictures that were running when its wait began have ended.
//!
//! The queue only holds pictures and does no I/O; the pool locks it.

use std::collections::VecDeque;

use crate::job_class::{JobClass, WeightedTurns};

#[derive(Debug)]
pub(super) struct RenderQueue<J> {
    waiting: [VecDeque<WaitingRender<J>>; 3],
    running: [usize; 3],
    turns: WeightedTurns,
    threads: usize,
    /// The number of threads that heavy pictures may use while normal or bulk pictures wait.
    heavy_share: usize,
    budget: u64,
    free_memory: u64,
    /// The number of pictures that have begun.
    started_count: u64,
    /// The memory reservation of the class that had the turn when there was not enough memory for its first picture.
    reservation: Option<MemoryReservation>,
}

#[derive(Debug)]
struct WaitingRender<J> {
    /// The memory that the picture needs, in the units of the budget.
    memory: u64,
    job: J,
}

#[derive(Clone, Copy, Debug)]
struct MemoryReservation {
    class: JobClass,
    /// The number of pictures that had begun when the reservation was made.
    started_before: u64,
    /// The memory of the pictures that have begun since then and still run.
    memory_started_since: u64,
}

/// A picture that has begun; pass it to [`RenderQueue::finish`] when it ends.
#[derive(Debug)]
pub(super) struct RunningRender {
    class: JobClass,
    memory: u64,
    /// The number of pictures that had begun, this one included.
    sequence: u64,
}

impl<J> RenderQueue<J> {
    pub(super) fn new(threads: usize, budget: u64) -> Self {
        Self {
            waiting: JobClass::ALL.map(|_| VecDeque::new()),
            running: [0; 3],
            turns: WeightedTurns::default(),
            threads,
            heavy_share: (threads / 4).max(1),
            budget,
            free_memory: budget,
            started_count: 0,
            reservation: None,
        }
    }

    /// Adds a picture that needs this much memory. More than the budget counts as the budget.
    pub(super) fn push(&mut self, class: JobClass, need: u64, job: J) {
        self.waiting[class.index()].push_back(WaitingRender { memory: need.min(self.budget), job });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// Removes and returns the picture that a free thread begins now; None while all have to wait. Drops pictures
    /// that are `over`, because no caller waits for them any more. If `spare` is set, the caller is the spare thread,
    /// which takes only a normal picture that would otherwise wait for a heavy one.
    pub(super) fn next_render(&mut self, spare: bool, over: impl Fn(&J) -> bool) -> Option<(RunningRender, J)> {
        for waiting in &mut self.waiting {
            waiting.retain(|waiting| !over(&waiting.job));
        }
        self.reservation = self.reservation.filter(|reservation| !self.waiting[reservation.class.index()].is_empty());
        let others_wait =
            [JobClass::Normal, JobClass::Bulk].iter().any(|class| !self.waiting[class.index()].is_empty());
        if spare && (self.running[JobClass::Heavy.index()] == 0 || self.running.iter().sum::<usize>() < self.threads) {
            return None;
        }
        for class in self.turns.order() {
            if spare && class != JobClass::Normal {
                continue;
            }
            if class == JobClass::Heavy && others_wait && self.running[class.index()] >= self.heavy_share {
                continue;
            }
            let Some(need) = self.waiting[class.index()].front().map(|first| first.memory) else { continue };
            if need > self.free_memory {
                self.reservation.get_or_insert(MemoryReservation {
                    class,
                    started_before: self.started_count,
                    memory_started_since: 0,
                });
            } else if self.fits_beside_reservation(class, need) {
                let first = self.waiting[class.index()].pop_front()?;
                return Some((self.start(class, need), first.job));
            }
        }
        None
    }

    /// Whether a picture of this class with this need of memory may begin before the picture that has the reservation.
    /// It may if the reserved memory will be free as soon as all pictures that began before the reservation have ended.
    fn fits_beside_reservation(&self, class: JobClass, need: u64) -> bool {
        let Some(reservation) = self.reservation.filter(|reservation| reservation.class != class) else { return true };
        let reserved = self.waiting[reservation.class.index()].front().map_or(0, |waiting| waiting.memory);
        reservation.memory_started_since + need <= self.budget - reserved
    }

    fn start(&mut self, class: JobClass, need: u64) -> RunningRender {
        self.turns.advance(class);
        match &mut self.reservation {
            Some(reservation) if reservation.class == class => self.reservation = None,
            Some(reservation) => reservation.memory_started_since += need,
            None => {}
        }
        self.free_memory -= need;
        self.running[class.index()] += 1;
        self.started_count += 1;
        RunningRender { class, memory: need, sequence: self.started_count }
    }

    pub(super) fn finish(&mut self, running: RunningRender) {
        self.free_memory += running.memory;
        self.running[running.class.index()] -= 1;
        if let Some(reservation) =
            self.reservation.as_mut().filter(|reservation| running.sequence > reservation.started_before)
        {
            reservation.memory_started_since -= running.memory;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(queue: &mut RenderQueue<&'static str>) -> Option<(RunningRender, &'static str)> {
        queue.next_render(false, |_| false)
    }

    #[test]
    fn a_spare_thread_takes_only_a_normal_picture_that_would_wait_for_a_heavy_one() {
        let mut queue = RenderQueue::new(2, 100);
        let spare = |queue: &mut RenderQueue<&'static str>| queue.next_render(true, |_| false).map(|(_, name)| name);
        queue.push(JobClass::Normal, 1, "small");
        assert_eq!(spare(&mut queue), None, "a thread is free");
        next(&mut queue).unwrap();
        (0..3).for_each(|_| queue.push(JobClass::Heavy, 1, "heavy"));
        next(&mut queue).unwrap();
        assert_eq!(spare(&mut queue), None, "only heavy pictures wait");
        queue.push(JobClass::Bulk, 1, "bulk");
        assert_eq!(spare(&mut queue), None);
        queue.push(JobClass::Normal, 1, "small");
        assert_eq!(spare(&mut queue), Some("small"));
    }

    #[test]
    fn heavy_pictures_leave_a_thread_to_others_that_wait() {
        let mut queue = RenderQueue::new(2, 100);
        (0..3).for_each(|_| queue.push(JobClass::Heavy, 1, "heavy"));
        let (first, second) = (next(&mut queue).unwrap(), next(&mut queue).unwrap());
        assert_eq!((first.1, second.1), ("heavy", "heavy"), "heavy pictures use both threads while nothing else waits");
        (0..9).for_each(|_| queue.push(JobClass::Normal, 1, "small"));
        queue.finish(first.0);
        for _ in 0..9 {
            let (running, name) = next(&mut queue).unwrap();
            assert_eq!(name, "small");
            queue.finish(running);
        }
        assert_eq!(next(&mut queue).unwrap().1, "heavy");
    }

    #[test]
    fn on_one_thread_the_classes_take_turns() {
        let mut queue = RenderQueue::new(1, 100);
        for (class, name) in [(JobClass::Heavy, "heavy"), (JobClass::Bulk, "bulk"), (JobClass::Normal, "small")] {
            (0..100).for_each(|_| queue.push(class, 1, name));
        }
        let mut taken = Vec::new();
        for _ in 0..70 {
            let (running, name) = next(&mut queue).unwrap();
            queue.finish(running);
            taken.push(name);
        }
        let count = |name| taken.iter().filter(|taken| **taken == name).count();
        assert_eq!((count("small"), count("bulk"), count("heavy")), (40, 20, 10));
    }

    #[test]
    fn small_pictures_pass_a_large_one_that_waits_for_memory_and_do_not_starve_it() {
        let mut queue = RenderQueue::new(8, 100);
        queue.push(JobClass::Heavy, 70, "first");
        let (first, _) = next(&mut queue).unwrap();
        queue.push(JobClass::Heavy, 70, "second");
        (0..500).for_each(|_| queue.push(JobClass::Normal, 10, "small"));
        let mut running = VecDeque::new();
        while let Some((render, name)) = next(&mut queue) {
            assert_eq!(name, "small");
            running.push_back(render);
        }
        assert_eq!(running.len(), 3, "30 of 100 units of memory are free");
        queue.finish(first);
        // As many pictures run as there is memory for. The oldest one ends at each step.
        for step in 0.. {
            while let Some((render, name)) = next(&mut queue) {
                if name == "second" {
                    assert!(step > 0, "small pictures pass the large one first");
                    return;
                }
                running.push_back(render);
            }
            assert!(step < 20, "small pictures pass the large one for ever");
            queue.finish(running.pop_front().unwrap());
        }
    }

    #[test]
    fn a_picture_for_which_no_caller_waits_is_dropped() {
        let mut queue = RenderQueue::new(1, 100);
        queue.push(JobClass::Normal, 60, "first");
        let (first, _) = next(&mut queue).unwrap();
        queue.push(JobClass::Bulk, 60, "late");
        assert!(next(&mut queue).is_none());
        queue.push(JobClass::Bulk, 10, "other");
        assert_eq!(queue.next_render(false, |name| *name == "late").unwrap().1, "other");
        queue.finish(first);
        assert!(queue.is_empty());
    }
}
