//! Where pictures are decoded: a fixed number of threads, so that a burst of uploads does not become a burst of
//! decoders, and a budget of bytes in front of them, so that many large pictures do not become too many at once.
//!
//! Called by the handlers of jobs. Promises: no more than `threads` pictures at a time; together no more memory than
//! `budget` by the engine's own estimates, a large picture waiting until it has the room for itself; an answer by the
//! deadline, and the work really ended soon after it; a decoder that panics takes its picture with it and nothing else.
//! What waits, what is under work and how much of the budget that holds are gauges at all times.

mod gauges;
mod room;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::picture::{Excess, Limits, Picture, Plan, Probe, Rejection, Stop, Workbench};

use self::gauges::Counted;
pub use self::room::default_budget;

/// What one permit of the semaphore stands for, in bytes: a budget of terabytes still fits into 32 bits of them.
const UNIT: u64 = 64 << 10;

/// The decode threads and their memory budget. Cheap to share behind an `Arc`; dropping it lets the threads finish what
/// they have and go.
#[derive(Debug)]
pub struct Pool {
    jobs: Sender<Job>,
    room: Arc<Semaphore>,
    budget: u64,
}

struct Job {
    bytes: Bytes,
    probe: Probe,
    plan: Plan,
    limits: Limits,
    stop: Stop,
    answer: oneshot::Sender<Result<Picture, Rejection>>,
    waiting: Counted,
    /// Given back when the work has ended, however it did.
    _room: (OwnedSemaphorePermit, Counted),
}

/// Stops the work when nobody waits for it any more.
struct Brake(Stop);

impl Drop for Brake {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Pool {
    /// A pool of `threads` (at least one) that together hold no more than `budget` bytes; see [`default_budget`].
    pub fn new(threads: usize, budget: u64) -> Self {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for i in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let started = std::thread::Builder::new().name(format!("picture-{i}")).spawn(move || work(&queue));
            if let Err(error) = started {
                tracing::error!(%error, thread = i, "a decode thread could not be started; the others do its work");
            }
        }
        let units = (budget / UNIT).clamp(1, u64::from(u32::MAX >> 1));
        let room = Arc::new(Semaphore::new(units as usize));
        gauges::budget(units * UNIT);
        Self { jobs, room, budget: units * UNIT }
    }

    /// Renders `bytes`, of which `probe` tells, as `plan` says, within `deadline` from now, waiting included. Dropping the
    /// future stops the work.
    ///
    /// # Errors
    ///
    /// As [`Workbench::render`]; [`Rejection::Stopped`], the only transient one, when the deadline has passed. A picture
    /// that needs more than the whole budget is refused, whatever `limits` say.
    pub async fn render(
        &self,
        bytes: Bytes,
        probe: Probe,
        plan: Plan,
        mut limits: Limits,
        deadline: Duration,
    ) -> Result<Picture, Rejection> {
        limits.max_memory = limits.max_memory.min(self.budget);
        let need = probe.memory(&plan);
        Rejection::check(Excess::Memory, need, limits.max_memory)?;
        let brake = Brake(Stop::new());
        let stop = brake.0.clone();
        let work = async {
            let waiting = Counted::waiting();
            let units = u32::try_from(need.div_ceil(UNIT)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| Rejection::Stopped)?;
            let room = (room, Counted::memory(u64::from(units) * UNIT));
            let (answer, answered) = oneshot::channel();
            let job = Job { bytes, probe, plan, limits, stop, answer, waiting, _room: room };
            self.jobs.send(job).map_err(|_| Rejection::Stopped)?;
            answered.await.map_err(|_| Rejection::Stopped)?
        };
        tokio::time::timeout(deadline, work).await.unwrap_or(Err(Rejection::Stopped))
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    let mut bench = Workbench::default();
    loop {
        // The lock is held while waiting: whoever has it is next.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { bytes, probe, plan, limits, stop, answer, waiting, _room }) = next else { return };
        drop(waiting);
        let (rendering, begun) = (Counted::rendering(), Instant::now());
        let rendered = catch_unwind(AssertUnwindSafe(|| bench.render(&bytes, &probe, &plan, &limits, &stop)));
        let result = rendered.unwrap_or_else(|_| {
            // What was on the bench may be half done.
            bench = Workbench::default();
            Err(Rejection::gave_up(&bytes))
        });
        drop((bytes, rendering));
        gauges::rendered(probe.media, result.as_ref().map_or_else(Rejection::code, |_| "taken"), begun.elapsed());
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
        pool.render(bytes, probe, plan(), Limits::default(), deadline).await
    }

    #[tokio::test]
    async fn pictures_share_the_room_and_give_it_back() {
        let pool = Pool::new(2, 6 << 20);
        let jobs = (0..8).map(|_| rendered(&pool, bitmap(64), Duration::from_secs(60)));
        for picture in futures::future::join_all(jobs).await {
            assert_eq!(picture.unwrap().variants[0].width, 8);
        }
        // The last answer may overtake the return of its permit, by as much as it takes to drop a job.
        let all = pool.room.acquire_many((6 << 20) / UNIT as u32).await.unwrap();
        drop(all);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_and_what_is_late_is_stopped() {
        let pool = Pool::new(1, 1 << 20);
        let refused = rendered(&pool, bitmap(1024), Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(refused.code(), "too_much_memory");
        let pool = Pool::new(1, 64 << 20);
        let held = pool.room.acquire_many((64 << 20) / UNIT as u32).await.unwrap();
        let late = rendered(&pool, bitmap(64), Duration::ZERO).await.unwrap_err();
        assert!(late.is_transient());
        drop(held);
    }
}
