//! Running jobs: one consumer for each queue takes deliveries in hand, one schedule chooses which of them are begun.
//!
//! More deliveries are in hand than slots, because fair order needs a choice. What is only in hand is not leased and its
//! attempt is not counted; when the worker stops it goes back into its queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upload::{Deliveries, Delivery, Lane, QueueError};

use crate::breaker::Permit;
use crate::class::Class;
use crate::consume::{BREATH, Worker};
use crate::schedule::{Schedule, Slot};

/// How long a worker waits for something to happen before it shows that it is still there.
const LULL: Duration = Duration::from_secs(30);

/// A delivery that waits for a slot or has one.
struct InHand {
    delivery: Delivery,
    /// Given back when the job has ended.
    _place: OwnedSemaphorePermit,
}

/// A slot that a running job has; given back when it is dropped, however the job ends.
struct Held(Option<Slot>, mpsc::UnboundedSender<Slot>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            self.1.send(slot).ok();
        }
    }
}

impl Worker {
    /// Consumes the queues in the settings until `stop`; then lets what is under way end, and returns.
    ///
    /// # Errors
    /// Where a queue cannot be consumed at all.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), QueueError> {
        self.breakers.show();
        let (taken, mut arrivals) = mpsc::channel(1);
        let consumers = TaskTracker::new();
        let (breakers, places, stopped) = (self.breakers.clone(), self.places.clone(), stop.clone());
        consumers.spawn(async move { stopped.run_until_cancelled(breakers.ping_failing(&places)).await });
        for lane in &self.settings.worker.queues {
            let deliveries = self.places.queue.consume(*lane, self.window(*lane)).await?;
            consumers.spawn(self.clone().take_in_hand(*lane, deliveries, taken.clone(), stop.clone()));
        }
        drop(taken);
        consumers.close();
        let (freed, mut given_back) = mpsc::unbounded_channel();
        let mut schedule: Schedule<InHand> = Schedule::new(self.settings.worker.concurrency);
        let running = TaskTracker::new();
        loop {
            if self.breakers.is_open() {
                // Another worker may still reach the backend.
                schedule.clear();
            }
            while let Some((slot, in_hand)) = schedule.next() {
                running.spawn(self.clone().begin(in_hand, Held(Some(slot), freed.clone()), stop.clone()));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some((lane, in_hand)) = arrivals.recv() => {
                    schedule.add(Class::of(lane), &in_hand.principal(), in_hand);
                    self.pulse.beat();
                }
                Some(slot) = given_back.recv() => {
                    schedule.free(slot);
                    self.pulse.beat();
                }
                () = self.breakers.opened(), if schedule.waits() => {}
                // Nothing to do is no reason to look dead; that no job ends while all slots are taken is one.
                () = tokio::time::sleep(LULL) => if schedule.has_room() { self.pulse.beat() },
            }
        }
        // What was not begun goes back at once; other workers need not wait for what is running here. The consumers go
        // first, or it would be delivered to them again.
        drop(arrivals);
        consumers.wait().await;
        drop(schedule);
        running.close();
        tracing::debug!(running = running.len(), "no more jobs are taken");
        running.wait().await;
        Ok(())
    }

    /// How many deliveries of a queue may be in hand, the running ones included: enough of them to choose from, and not so
    /// many that other workers idle. Heavy ones take long, so fewer of them may wait here.
    fn window(&self, lane: Lane) -> u16 {
        let slots = self.settings.worker.concurrency;
        let window = if lane == Lane::Heavy { 2 * slots } else { 4 * slots };
        u16::try_from(window).unwrap_or(u16::MAX)
    }

    /// Runs a job once the breakers permit it; if they do not, it goes back into its queue.
    async fn begin(self, in_hand: InHand, held: Held, stop: CancellationToken) {
        let InHand { delivery, _place } = in_hand;
        let Some(permit) = self.permit().await else { return };
        let taken = self.take(delivery).await;
        drop(permit);
        if let Err(unrecorded) = taken {
            tokio::time::sleep(BREATH).await;
            drop((held, _place));
            self.record_later(unrecorded, stop).await;
        }
    }

    async fn permit(&self) -> Option<Permit> {
        let mut permit = std::pin::pin!(self.breakers.permit());
        loop {
            self.pulse.beat();
            if let Ok(permit) = tokio::time::timeout(LULL, &mut permit).await {
                return permit;
            }
        }
    }

    /// Takes the deliveries of one queue in hand, as many as the window has places for.
    async fn take_in_hand(
        self,
        lane: Lane,
        deliveries: Deliveries,
        taken: mpsc::Sender<(Lane, InHand)>,
        stop: CancellationToken,
    ) {
        let places = Arc::new(Semaphore::new(self.window(lane).into()));
        let mut deliveries = Some(deliveries);
        while let Some(Some(in_hand)) = stop.run_until_cancelled(self.next(lane, &mut deliveries, &places)).await {
            if taken.send((lane, in_hand)).await.is_err() {
                break;
            }
        }
        tracing::debug!(queue = lane.as_str(), "no more deliveries are taken");
    }

    /// The next delivery, waited for; None when the queue is closed. While a backend fails nothing is consumed, and what had
    /// been delivered goes back: once for each failure and not in a loop, since the broker counts.
    async fn next(&self, lane: Lane, deliveries: &mut Option<Deliveries>, places: &Arc<Semaphore>) -> Option<InHand> {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            if self.breakers.is_open() {
                *deliveries = None;
                self.breakers.not_open().await;
                continue;
            }
            let from = match deliveries {
                Some(deliveries) => deliveries,
                None => match self.places.queue.consume(lane, self.window(lane)).await {
                    Ok(again) => deliveries.insert(again),
                    Err(error) => {
                        tracing::warn!(queue = lane.as_str(), %error, "cannot consume; it will be tried again");
                        tokio::time::sleep(BREATH).await;
                        continue;
                    }
                },
            };
            tokio::select! {
                next = from.next() => return Some(InHand { delivery: next?, _place: place }),
                () = self.breakers.opened() => {}
            }
        }
    }
}

impl InHand {
    fn principal(&self) -> String {
        self.delivery.ticket().principal.clone()
    }
}
