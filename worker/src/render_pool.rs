//! The pool of decode threads. The number of threads is fixed, so that a burst of uploads does not become a burst of
//! decoders. A memory budget keeps many large pictures from being decoded at once.
//!
//! Called by the handlers of jobs. It guarantees:
//!
//! - At most `threads` pictures are rendered at a time. The spare thread renders one more, which must be a normal
//!   picture that would otherwise wait for a heavy one.
//! - Together they use no more memory than `budget` by the engine's own estimates. A large picture waits until there is
//!   enough memory for it.
//! - No class of pictures keeps another from its share of the threads (`render_queue`).
//! - A render is answered by its deadline, and its work ends soon after that.
//! - A codec that panics fails the attempt at its own picture and nothing else.
//! - Waiting pictures, pictures in progress and the memory these hold are gauges at all times.

mod gauges;
mod memory_budget;
mod render_queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use picture::{CancelFlag, LimitKind, Limits, Probe, Rejection, RenderBuffers, RenderPlan, RenderedPicture};
use tokio::sync::oneshot;

use self::gauges::GaugeGuard;
pub use self::memory_budget::default_budget;
use self::render_queue::{RenderQueue, RunningRender};
use crate::job_class::JobClass;

/// The decode threads and their memory budget. Cheap to share behind an `Arc`. After it is dropped, the threads finish
/// their current pictures and exit.
#[derive(Debug)]
pub struct RenderPool {
    shared: Arc<PoolShared>,
    budget: u64,
}

#[derive(Debug)]
struct PoolShared {
    state: Mutex<PoolState>,
    /// Signals that a picture was added, that one has ended, or that the pool shuts down.
    changed: Condvar,
    render: RenderFn,
}

/// Renders one picture on a thread of the pool. Tests replace it with a function that fails.
type RenderFn = fn(&mut RenderBuffers, &RenderTask, &CancelFlag) -> Result<RenderedPicture, Rejection>;

#[derive(Debug)]
struct PoolState {
    queue: RenderQueue<QueuedRender>,
    closed: bool,
}

/// A picture to render.
#[derive(Debug)]
pub struct RenderTask {
    /// The file.
    pub bytes: Bytes,
    /// Its parsed headers.
    pub probe: Probe,
    /// The outputs to make of it.
    pub plan: RenderPlan,
    /// The limits for it.
    pub limits: Limits,
    /// Its class relative to other waiting pictures.
    pub class: JobClass,
}

#[derive(Debug)]
struct QueuedRender {
    task: RenderTask,
    /// The estimated memory in bytes.
    memory: u64,
    cancel: CancelFlag,
    result_sender: oneshot::Sender<Result<RenderedPicture, Rejection>>,
    waiting_gauge: GaugeGuard,
}

/// Cancels the render when its caller no longer waits for it.
struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl PoolShared {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the picture that the calling thread renders next; None when the thread has to exit.
    fn next_job(&self, spare: bool) -> Option<(RunningRender, QueuedRender)> {
        let mut queued = self.lock();
        loop {
            if let Some(next) = queued.queue.next_render(spare, |job| job.cancel.is_cancelled()) {
                return Some(next);
            }
            if queued.closed && (spare || queued.queue.is_empty()) {
                return None;
            }
            queued = self.changed.wait(queued).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl RenderPool {
    /// A pool of `threads` threads (at least one) that together use at most `budget` bytes; see [`default_budget`].
    pub fn new(threads: usize, budget: u64) -> Self {
        Self::with_render_fn(threads, budget, |buffers, task, cancel| {
            buffers.render(&task.bytes, &task.probe, &task.plan, &task.limits, cancel)
        })
    }

    pub(crate) fn with_render_fn(threads: usize, budget: u64, render: RenderFn) -> Self {
        let threads = threads.max(1);
        let queued = PoolState { queue: RenderQueue::new(threads, budget), closed: false };
        let shared = Arc::new(PoolShared { state: Mutex::new(queued), changed: Condvar::new(), render });
        // The last one is the spare thread.
        for i in 0..=threads {
            let (shared, spare) = (Arc::clone(&shared), i == threads);
            let started =
                std::thread::Builder::new().name(format!("picture-{i}")).spawn(move || run_thread(&shared, spare));
            if let Err(error) = started {
                tracing::error!(%error, thread = i, "a render thread could not be started; the other threads do its work");
            }
        }
        gauges::set_memory_budget(budget);
        Self { shared, budget }
    }

    /// Renders a picture within `deadline` from now, including the time it waits. Dropping the future stops the work.
    ///
    /// # Errors
    ///
    /// As [`RenderBuffers::render`]; [`Rejection::Cancelled`] when the deadline has passed, and
    /// [`Rejection::EngineFailed`] if the engine panicked. A picture that needs more than the whole budget is refused,
    /// whatever its limits say.
    pub async fn render(&self, mut task: RenderTask, deadline: Duration) -> Result<RenderedPicture, Rejection> {
        task.limits.max_memory = task.limits.max_memory.min(self.budget);
        let need = task.probe.memory_estimate(&task.plan);
        Rejection::check_limit(LimitKind::Memory, need, task.limits.max_memory)?;
        if deadline.is_zero() {
            // Without this check, a thread could finish a small picture before this task waits for it.
            return Err(Rejection::Cancelled);
        }
        let cancel_on_drop = CancelOnDrop(CancelFlag::new());
        let (result_sender, result) = oneshot::channel();
        let class = task.class;
        let job = QueuedRender {
            task,
            memory: need,
            cancel: cancel_on_drop.0.clone(),
            result_sender,
            waiting_gauge: GaugeGuard::waiting(),
        };
        self.shared.lock().queue.push(class, need, job);
        // Wakes all threads, because the spare one may not be allowed to take this picture.
        self.shared.changed.notify_all();
        match tokio::time::timeout(deadline, result).await {
            Ok(Ok(rendered)) => rendered,
            _ => Err(Rejection::Cancelled),
        }
    }
}

impl Drop for RenderPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

fn run_thread(shared: &PoolShared, spare: bool) {
    let mut buffers = RenderBuffers::default();
    while let Some((running, QueuedRender { task, memory, cancel, result_sender, waiting_gauge })) =
        shared.next_job(spare)
    {
        drop(waiting_gauge);
        let media = task.probe.media;
        let (memory_gauge, rendering_gauge, started) =
            (GaugeGuard::memory(memory), GaugeGuard::rendering(), Instant::now());
        let rendered = catch_unwind(AssertUnwindSafe(|| (shared.render)(&mut buffers, &task, &cancel)));
        let result = rendered.unwrap_or_else(|payload| {
            // The buffers may be left in the middle of a write.
            buffers = RenderBuffers::default();
            Err(Rejection::from_panic(payload.as_ref()))
        });
        drop((task, rendering_gauge, memory_gauge));
        let outcome = result.as_ref().map_or_else(|rejection| rejection.code().to_string(), |_| "taken".to_owned());
        gauges::record_render(media, outcome, started.elapsed());
        shared.lock().queue.finish(running);
        // Several pictures may have waited for the memory that is free now.
        shared.changed.notify_all();
        // The caller may have stopped waiting.
        let _ = result_sender.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picture::{OutputFormat, OutputSpec, Shape, probe};

    fn thumbnail_plan() -> RenderPlan {
        RenderPlan {
            outputs: vec![OutputSpec { shape: Shape::Inside(8), format: OutputFormat::Auto }],
            ..RenderPlan::default()
        }
    }

    /// 24 bits per pixel, all black.
    fn black_bmp(side: u32) -> Bytes {
        let mut file = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        file.extend(side.to_le_bytes());
        file.extend(side.to_le_bytes());
        file.extend(b"\x01\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        file.resize(54 + (side * side * 3) as usize, 0);
        file.into()
    }

    async fn render_bmp(pool: &RenderPool, bytes: Bytes, deadline: Duration) -> Result<RenderedPicture, Rejection> {
        let probe = probe(&bytes, &Limits::default())?;
        let task =
            RenderTask { bytes, probe, plan: thumbnail_plan(), limits: Limits::default(), class: JobClass::Normal };
        pool.render(task, deadline).await
    }

    #[tokio::test]
    async fn pictures_share_the_memory_budget_and_give_it_back() {
        let pool = RenderPool::new(2, 6 << 20);
        let jobs = (0..8).map(|_| render_bmp(&pool, black_bmp(64), Duration::from_secs(60)));
        for picture in futures::future::join_all(jobs).await {
            assert_eq!(picture.unwrap().variants[0].width, 8);
        }
        assert!(pool.shared.lock().queue.is_empty());
    }

    #[tokio::test]
    async fn a_picture_over_the_budget_is_refused_and_a_late_one_is_stopped() {
        let pool = RenderPool::new(1, 1 << 20);
        let refused = render_bmp(&pool, black_bmp(1024), Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(refused.code().as_str(), "too_much_memory");
        let pool = RenderPool::new(1, 64 << 20);
        let late = render_bmp(&pool, black_bmp(64), Duration::ZERO).await.unwrap_err();
        assert!(late.is_transient());
        assert_eq!(render_bmp(&pool, black_bmp(64), Duration::from_secs(60)).await.unwrap().variants[0].width, 8);
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_picture_and_the_thread_goes_on() {
        let pool = RenderPool::with_render_fn(1, 64 << 20, |buffers, task, cancel| {
            assert!(task.bytes.len() > 1000, "a bug in a codec");
            buffers.render(&task.bytes, &task.probe, &task.plan, &task.limits, cancel)
        });
        let failed = render_bmp(&pool, black_bmp(8), Duration::from_secs(60)).await.unwrap_err();
        assert!(
            matches!(&failed, Rejection::EngineFailed { detail } if detail.contains("a bug in a codec")),
            "{failed:?}"
        );
        assert_eq!(render_bmp(&pool, black_bmp(64), Duration::from_secs(60)).await.unwrap().variants[0].width, 8);
    }
}
