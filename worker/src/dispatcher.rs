//! Runs jobs: one consumer for each queue prefetches deliveries, and one scheduler chooses which of them begin.
//!
//! The worker prefetches more deliveries than it has slots, so that the scheduler can choose in a fair order. A
//! prefetched delivery has no lease, and no attempt is counted for it. When the worker stops, the delivery goes back
//! into its queue.

use std::sync::Arc;

use domain::QueueName;
use queue::{Deliveries, Delivery};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::circuit_breaker::JobPermit;
use crate::fair_scheduler::{FairScheduler, JobSlot};
use crate::job_class::JobClass;
use crate::unsettled_attempt::RETRY_PAUSE;
use crate::worker::Worker;

/// A prefetched delivery that waits for a slot or has one.
struct PrefetchedDelivery {
    delivery: Delivery,
    /// Released when the job has ended.
    _prefetch_permit: OwnedSemaphorePermit,
}

/// The slot of a running job. Dropping it releases the slot, however the job ends.
struct SlotGuard(Option<JobSlot>, mpsc::UnboundedSender<JobSlot>);

impl Drop for SlotGuard {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            self.1.send(slot).ok();
        }
    }
}

impl Worker {
    /// Consumes the queues in the settings until `stop`, then waits for the running jobs and returns.
    pub async fn run(&self, stop: CancellationToken) {
        self.breakers.publish_gauges();
        let (arrival_sender, mut arrivals) = mpsc::channel(1);
        let consumers = TaskTracker::new();
        let (breakers, backends, stopped) = (self.breakers.clone(), self.backends.clone(), stop.clone());
        consumers.spawn(async move { stopped.run_until_cancelled(breakers.ping_failing(&backends)).await });
        for queue in &self.settings.worker.queues {
            let deliveries = self.backends.queue.consume(*queue, self.prefetch_count(*queue));
            consumers.spawn(self.clone().prefetch_deliveries(*queue, deliveries, arrival_sender.clone(), stop.clone()));
        }
        drop(arrival_sender);
        consumers.close();
        let (free_sender, mut free_slots) = mpsc::unbounded_channel();
        let mut schedule: FairScheduler<PrefetchedDelivery> = FairScheduler::new(self.settings.worker.concurrency);
        let running = TaskTracker::new();
        loop {
            if self.breakers.any_open() {
                // The waiting deliveries go back into their queues, because another worker may still reach the backend.
                schedule.clear();
            }
            while let Some((slot, prefetched)) = schedule.next_job() {
                running.spawn(self.clone().run_in_slot(
                    prefetched,
                    SlotGuard(Some(slot), free_sender.clone()),
                    stop.clone(),
                ));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some((queue, prefetched)) = arrivals.recv() => {
                    schedule.enqueue(JobClass::for_queue(queue), &prefetched.principal(), prefetched);
                    self.liveness.record_activity();
                }
                Some(slot) = free_slots.recv() => {
                    schedule.release(slot);
                    self.liveness.record_activity();
                }
                () = self.breakers.wait_until_any_open(), if schedule.has_waiting() => {}
                // A worker with a free slot is alive. If all slots are taken, the running jobs record the activity
                // (`run_while_leased`).
                () = tokio::time::sleep(self.liveness.heartbeat_interval()) => {
                    if schedule.has_free_slot() {
                        self.liveness.record_activity();
                    }
                }
            }
        }
        // Jobs that have not begun go back at once, so that other workers can take them while jobs still run here. The
        // consumers stop before that, because the broker would otherwise deliver the returned jobs to them again.
        drop(arrivals);
        consumers.wait().await;
        drop(schedule);
        running.close();
        tracing::debug!(running = running.len(), "stopping: no more jobs are begun");
        running.wait().await;
    }

    /// The largest number of deliveries of a queue that this worker holds, running ones included. It is enough to
    /// choose from, and not so large that other workers have no jobs. Heavy jobs take long, so fewer of them may wait
    /// here.
    fn prefetch_count(&self, queue: QueueName) -> u16 {
        let slots = self.settings.worker.concurrency;
        let window = if queue == QueueName::Heavy { 2 * slots } else { 4 * slots };
        u16::try_from(window).unwrap_or(u16::MAX)
    }

    /// Runs a job once the breakers permit it. If they do not, the job goes back into its queue. If the records are
    /// unavailable, frees the slot after a pause and writes the pending update later.
    async fn run_in_slot(self, prefetched: PrefetchedDelivery, slot: SlotGuard, stop: CancellationToken) {
        let PrefetchedDelivery { delivery, _prefetch_permit } = prefetched;
        let Some(permit) = self.wait_for_permit().await else { return };
        let recorded = self.run_delivery(delivery).await;
        drop(permit);
        if let Err(unrecorded) = recorded {
            tokio::time::sleep(RETRY_PAUSE).await;
            drop((slot, _prefetch_permit));
            self.record_when_available(unrecorded, stop).await;
        }
    }

    /// Waits for a permit, and meanwhile shows that the worker is alive.
    async fn wait_for_permit(&self) -> Option<JobPermit> {
        let mut permit = std::pin::pin!(self.breakers.acquire_permit());
        loop {
            self.liveness.record_activity();
            if let Ok(permit) = tokio::time::timeout(self.liveness.heartbeat_interval(), &mut permit).await {
                return permit;
            }
        }
    }

    /// Prefetches the deliveries of one queue, as many as its prefetch window allows.
    async fn prefetch_deliveries(
        self,
        queue: QueueName,
        deliveries: Deliveries,
        arrivals: mpsc::Sender<(QueueName, PrefetchedDelivery)>,
        stop: CancellationToken,
    ) {
        let permits = Arc::new(Semaphore::new(self.prefetch_count(queue).into()));
        let mut deliveries = Some(deliveries);
        while let Some(Some(prefetched)) =
            stop.run_until_cancelled(self.next_delivery(queue, &mut deliveries, &permits)).await
        {
            if arrivals.send((queue, prefetched)).await.is_err() {
                break;
            }
        }
        tracing::debug!(queue = queue.as_str(), "stopping: no more deliveries are accepted");
    }

    /// Waits for the next delivery; None when the queue is closed. While a breaker is open, nothing is consumed, and
    /// the deliveries that this consumer holds go back into the queue. They go back once for each outage and not in a
    /// loop, because the broker counts redeliveries.
    async fn next_delivery(
        &self,
        queue: QueueName,
        deliveries: &mut Option<Deliveries>,
        permits: &Arc<Semaphore>,
    ) -> Option<PrefetchedDelivery> {
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        loop {
            if self.breakers.any_open() {
                *deliveries = None;
                self.breakers.wait_until_none_open().await;
                continue;
            }
            let source =
                deliveries.get_or_insert_with(|| self.backends.queue.consume(queue, self.prefetch_count(queue)));
            tokio::select! {
                next = source.next() => return Some(PrefetchedDelivery { delivery: next?, _prefetch_permit: permit }),
                () = self.breakers.wait_until_any_open() => {}
            }
        }
    }
}

impl PrefetchedDelivery {
    fn principal(&self) -> String {
        self.delivery.message().principal.clone()
    }
}
