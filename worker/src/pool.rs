//! Where pictures are decoded: a fixed number of threads, so that a burst of uploads does not become a burst of
//! decoders, and a budget of bytes in front of them, so that many large pictures do not become too many at once.
//!
//! Called by the handlers of jobs. Promises: no more than `threads` pictures at a time, and one more while heavy ones have
//! threads and a normal one would wait for them; together no more memory than
//! `budget` by the engine's own estimates, a large picture waiting until it has the room for itself; no class of pictures
//! keeps another from its share of the threads ([`line`]); an answer by the deadline, and the work really ended soon after
//! it; a decoder that panics takes its picture with it and nothing else. What waits, what is under work and how much of the
//! budget that holds are gauges at all times.

mod gauges;
mod line;
mod room;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::class::Class;
use crate::picture::{Excess, Limits, Picture, Plan, Probe, Rejection, Stop, Workbench};

use self::gauges::Counted;
use self::line::{Begun, Line};
pub use self::room::default_budget;

/// The decode threads and their memory budget. Cheap to share behind an `Arc`; dropping it lets the threads finish what
/// they have and go.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    budget: u64,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Queued>,
    /// Something has come, has ended, or is to end.
    changed: Condvar,
}

#[derive(Debug)]
struct Queued {
    line: Line<Job>,
    closed: bool,
}

/// A picture to render.
#[derive(Debug)]
pub struct Task {
    /// The file.
    pub bytes: Bytes,
    /// What its headers say.
    pub probe: Probe,
    /// What is to be made of it.
    pub plan: Plan,
    /// What it may need.
    pub limits: Limits,
    /// What it is to others that wait.
    pub class: Class,
}

#[derive(Debug)]
struct Job {
    task: Task,
    /// In bytes.
    need: u64,
    stop: Stop,
    answer: oneshot::Sender<Result<Picture, Rejection>>,
    waiting: Counted,
}

/// Stops the work when nobody waits for it any more.
struct Brake(Stop);

impl Drop for Brake {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The picture that the calling thread renders next, once there is one; None when it is to end.
    fn next(&self, spare: bool) -> Option<(Begun, Job)> {
        let mut queued = self.lock();
        loop {
            if let Some(next) = queued.line.next(spare, |job| job.stop.is_set()) {
                return Some(next);
            }
            if queued.closed && (spare || queued.line.is_empty()) {
                return None;
            }
            queued = self.changed.wait(queued).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Pool {
    /// A pool of `threads` (at least one) that together hold no more than `budget` bytes; see [`default_budget`].
    pub fn new(threads: usize, budget: u64) -> Self {
        let threads = threads.max(1);
        let queued = Queued { line: Line::new(threads, budget), closed: false };
        let shared = Arc::new(Shared { line: Mutex::new(queued), changed: Condvar::new() });
        // The last one is the spare thread.
        for i in 0..=threads {
            let (shared, spare) = (Arc::clone(&shared), i == threads);
            let started = std::thread::Builder::new().name(format!("picture-{i}")).spawn(move || work(&shared, spare));
            if let Err(error) = started {
                tracing::error!(%error, thread = i, "a decode thread could not be started; the others do its work");
            }
        }
        gauges::budget(budget);
        Self { shared, budget }
    }

    /// Renders a picture within `deadline` from now, waiting included. Dropping the future stops the work.
    ///
    /// # Errors
    ///
    /// As [`Workbench::render`]; [`Rejection::Stopped`], the only transient one, when the deadline has passed. A picture
    /// that needs more than the whole budget is refused, whatever its limits say.
    pub async fn render(&self, mut task: Task, deadline: Duration) -> Result<Picture, Rejection> {
        task.limits.max_memory = task.limits.max_memory.min(self.budget);
        let need = task.probe.memory(&task.plan);
        Rejection::check(Excess::Memory, need, task.limits.max_memory)?;
        if deadline.is_zero() {
            // A thread could be done with a small picture before this task waits for it.
            return Err(Rejection::Stopped);
        }
        let brake = Brake(Stop::new());
        let (answer, answered) = oneshot::channel();
        let class = task.class;
        let job = Job { task, need, stop: brake.0.clone(), answer, waiting: Counted::waiting() };
        self.shared.lock().line.add(class, need, job);
        // All of them, because the spare thread may not take it.
        self.shared.changed.notify_all();
        match tokio::time::timeout(deadline, answered).await {
            Ok(Ok(rendered)) => rendered,
            _ => Err(Rejection::Stopped),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

fn work(shared: &Shared, spare: bool) {
    let mut bench = Workbench::default();
    while let Some((begun, Job { task, need, stop, answer, waiting })) = shared.next(spare) {
        let Task { bytes, probe, plan, limits, class: _ } = task;
        drop(waiting);
        let (held, rendering, started) = (Counted::memory(need), Counted::rendering(), Instant::now());
        let rendered = catch_unwind(AssertUnwindSafe(|| bench.render(&bytes, &probe, &plan, &limits, &stop)));
        let result = rendered.unwrap_or_else(|_| {
            // What was on the bench may be half done.
            bench = Workbench::default();
            Err(Rejection::gave_up(&bytes))
        });
        drop((bytes, rendering, held));
        gauges::rendered(probe.media, result.as_ref().map_or_else(Rejection::code, |_| "taken"), started.elapsed());
        shared.lock().line.ended(begun);
        // What it held may be what several others waited for.
        shared.changed.notify_all();
        // Nobody may be waiting any more.
        let _ = answer.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Format, Output, Shape, probe};

    fn plan() -> Plan {
        Plan { crop: None, outputs: vec![Output { shape: Shape::Inside(8), format: Format::Auto }] }
    }

    /// 24 bits per pixel, all black.
    fn bitmap(side: u32) -> Bytes {
        let mut file = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        file.extend(side.to_le_bytes());
        file.extend(side.to_le_bytes());
        file.extend(b"\x01\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        file.resize(54 + (side * side * 3) as usize, 0);
        file.into()
    }

    async fn rendered(pool: &Pool, bytes: Bytes, deadline: Duration) -> Result<Picture, Rejection> {
        let probe = probe(&bytes, &Limits::default())?;
        let task = Task { bytes, probe, plan: plan(), limits: Limits::default(), class: Class::Normal };
        pool.render(task, deadline).await
    }

    #[tokio::test]
    async fn pictures_share_the_room_and_give_it_back() {
        let pool = Pool::new(2, 6 << 20);
        let jobs = (0..8).map(|_| rendered(&pool, bitmap(64), Duration::from_secs(60)));
        for picture in futures::future::join_all(jobs).await {
            assert_eq!(picture.unwrap().variants[0].width, 8);
        }
        assert!(pool.shared.lock().line.is_empty());
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_and_what_is_late_is_stopped() {
        let pool = Pool::new(1, 1 << 20);
        let refused = rendered(&pool, bitmap(1024), Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(refused.code(), "too_much_memory");
        let pool = Pool::new(1, 64 << 20);
        let late = rendered(&pool, bitmap(64), Duration::ZERO).await.unwrap_err();
        assert!(late.is_transient());
        assert_eq!(rendered(&pool, bitmap(64), Duration::from_secs(60)).await.unwrap().variants[0].width, 8);
    }
}
