//! RabbitMQ, 3.10 or newer, by lapin. `topology` is what stands in the broker, `letter` what travels, `link` the
//! connections, `publisher` and `consumer` the two directions, `ear` the way back for verdicts.
//!
//! A ticket may be delivered twice and is never lost once [`RabbitMq::publish`] has returned. Everything waits with
//! bounded patience, except for the next delivery, which may be long in coming.

mod address;
mod consumer;
mod ear;
mod letter;
mod link;
mod parked;
mod publisher;
mod topology;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::verdicts::Verdicts;
use super::{Line, QueueError, QueueSettings};
use crate::job::{Lane, Ticket};
use crate::{JobId, Verdict};
pub(super) use address::{address, trust};
pub(super) use consumer::{Deliveries, Delivery};
pub(super) use ear::Joined;
use ear::{Ear, Mouth};
use letter::Letter;
use link::{Link, step};
use publisher::Publisher;
use topology::Topology;

/// How long a start waits for the broker. It goes on without it, because an api accepts without it.
const START: Duration = Duration::from_secs(5);
/// How long a ping may take.
const PING: Duration = Duration::from_secs(1);
/// How long a shutdown waits for the last verdicts to be sent.
const GOODBYE: Duration = Duration::from_secs(2);
/// A dead peer is found within two of these. The broker's own default is a minute.
const HEARTBEAT: u16 = 10;
/// The largest frame, in bytes. A letter has a few hundred, and lapin keeps room for 64 frames on each connection: with
/// the broker's own default, 128 KiB, that is 16 MiB in every process. RabbitMQ 4.1 refuses less than 8 KiB, and the
/// headers of a letter that others may have written to have to fit into one.
const FRAME: u32 = 16 << 10;
/// Of how many tickets delivered here it is remembered who waits for them: far more than are worked on at a time.
const MEMORY: usize = 4096;

#[derive(Clone, Debug)]
pub(super) struct RabbitMq {
    shared: Arc<Shared>,
    ear: Arc<Ear>,
    mouth: Arc<Mouth>,
    verdicts: Verdicts,
}

/// What the parts of one process's queue have in common.
#[derive(Debug)]
struct Shared {
    topology: Topology,
    /// This process's name among those who wait.
    instance: Uuid,
    speaking: Publisher,
    hearing: Link,
    waiting: Mutex<Waiting>,
}

/// Who waits for the tickets that were delivered here.
#[derive(Debug, Default)]
struct Waiting {
    processes: HashMap<JobId, Uuid>,
    order: VecDeque<JobId>,
}

impl RabbitMq {
    pub(super) async fn open(settings: &QueueSettings, verdicts: Verdicts) -> Result<Self, QueueError> {
        let mut address = address(settings)?;
        address.uri.query.heartbeat.get_or_insert(HEARTBEAT);
        address.uri.query.frame_max.get_or_insert(FRAME);
        let topology = Topology::new(&settings.prefix);
        let shared = Arc::new(Shared {
            instance: Uuid::now_v7(),
            speaking: Publisher::new(Link::new(address.clone(), "publishes", topology.clone())),
            hearing: Link::new(address, "consumes", topology.clone()),
            topology,
            waiting: Mutex::default(),
        });
        let ear = Arc::new(Ear::new(Arc::clone(&shared), verdicts.clone()));
        let mouth = Arc::new(Mouth::new(Arc::clone(&shared)));
        ear.open(START).await;
        Ok(Self { shared, ear, mouth, verdicts })
    }

    pub(super) async fn publish(&self, ticket: &Ticket) -> Result<(), QueueError> {
        let (exchange, key) = self.shared.topology.now(ticket.lane);
        self.send(&exchange, &key, ticket).await
    }

    pub(super) async fn publish_later(&self, ticket: &Ticket, delay: Duration) -> Result<(), QueueError> {
        let (exchange, key) = self.shared.topology.later(ticket.lane, delay);
        self.send(&exchange, &key, ticket).await
    }

    async fn send(&self, exchange: &str, key: &str, ticket: &Ticket) -> Result<(), QueueError> {
        let here = self.verdicts.awaits(ticket.id).then_some(self.shared.instance);
        let reply_to = here.or_else(|| self.shared.who_waits(ticket.id));
        let letter = Letter { ticket: ticket.clone(), reply_to };
        let (body, properties) = letter.seal().map_err(|error| QueueError::Letter(error.to_string()))?;
        self.shared.speaking.publish(exchange, key, &body, &properties).await
    }

    pub(super) fn consume(&self, lane: Lane, prefetch: u16) -> Deliveries {
        Deliveries::new(Arc::clone(&self.shared), lane, prefetch)
    }

    pub(super) async fn depth(&self, lane: Lane) -> Result<u64, QueueError> {
        Ok(self.line(lane).await?.waiting)
    }

    pub(super) async fn line(&self, lane: Lane) -> Result<Line, QueueError> {
        let channel = self.shared.hearing.channel(PING).await?;
        let found = step(parked::look(&channel, &self.shared.topology.lane(lane))).await?;
        Ok(Line { waiting: found.message_count().into(), consumers: found.consumer_count().into() })
    }

    pub(super) async fn unpark(&self) -> Result<usize, QueueError> {
        parked::unpark(&self.shared).await
    }

    pub(super) async fn join(&self, job: JobId) -> Joined {
        self.ear.join(&self.shared.topology.verdicts(), job).await
    }

    pub(super) fn announce(&self, job: JobId, verdict: Verdict) {
        // Who waits here has been told already.
        let to = self.shared.forget(job).filter(|process| *process != self.shared.instance);
        self.mouth.say(to, job, verdict);
    }

    pub(super) async fn ping(&self) -> Result<(), QueueError> {
        let link = self.shared.speaking.link();
        if link.blocked() {
            return Err(QueueError::Blocked);
        }
        let channel = link.channel(PING).await?;
        step(channel.close(200, "pong".into())).await
    }

    pub(super) async fn close(&self) {
        tokio::time::timeout(GOODBYE, self.mouth.flush()).await.ok();
        self.shared.speaking.link().close().await;
        self.shared.hearing.close().await;
    }
}

impl Shared {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, letter: &Letter) {
        let Some(process) = letter.reply_to else { return };
        let mut waiting = self.waiting();
        if waiting.processes.insert(letter.ticket.id, process).is_none() {
            waiting.order.push_back(letter.ticket.id);
        }
        while waiting.order.len() > MEMORY {
            if let Some(oldest) = waiting.order.pop_front() {
                waiting.processes.remove(&oldest);
            }
        }
    }

    fn who_waits(&self, job: JobId) -> Option<Uuid> {
        self.waiting().processes.get(&job).copied()
    }

    fn forget(&self, job: JobId) -> Option<Uuid> {
        self.waiting().processes.remove(&job)
    }
}
