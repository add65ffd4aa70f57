//! Verdicts between processes. A process that waits has one exclusive queue, bound by its own name; a ticket says who
//! waits for it, so a verdict goes to that process and to no other.
//!
//! Waiting for a job that another process promised is rare (two people look at the same picture); such a waiter binds the
//! job's number for as long as it waits. Nothing of this is durable or confirmed: a lost word is made good by the
//! records, which every waiter reads when its patience ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::Shared;
use super::link::{Link, step};
use crate::queue::QueueError;
use crate::queue::verdicts::Verdicts;
use crate::{JobId, Verdict};

/// How long a waiter that joins waits for its binding: longer than that, and the records are asked sooner.
const JOIN: Duration = Duration::from_secs(1);
/// Words that may wait for a broker that is away; what comes on top is dropped and found in the records.
const UNSPOKEN: usize = 4096;
const REST: Duration = Duration::from_millis(500);

/// A verdict as a message.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Word {
    job: JobId,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Listens for verdicts and hands them to those who wait in this process.
#[derive(Debug)]
pub(super) struct Ear {
    place: watch::Receiver<Option<(Channel, String)>>,
    joined: Arc<Mutex<HashMap<JobId, usize>>>,
    listener: tokio::task::AbortHandle,
}

impl Ear {
    pub(super) fn new(shared: Arc<Shared>, verdicts: Verdicts) -> Self {
        let (sender, place) = watch::channel(None);
        let joined: Arc<Mutex<HashMap<JobId, usize>>> = Arc::default();
        let known = Arc::clone(&joined);
        let listener = tokio::spawn(async move {
            loop {
                if let Err(error) = listen(&shared, &verdicts, &known, &sender).await {
                    tracing::debug!(%error, "verdicts cannot be heard; it will be tried again");
                }
                sender.send_replace(None);
                tokio::time::sleep(REST).await;
            }
        });
        Self { place, joined, listener: listener.abort_handle() }
    }

    /// Returns once verdicts can be heard, or after `patience`.
    pub(super) async fn open(&self, patience: Duration) {
        let mut place = self.place.clone();
        tokio::time::timeout(patience, place.wait_for(Option::is_some)).await.ok();
    }

    /// Hears of a job that another process promised, until the guard is dropped.
    pub(super) async fn join(self: &Arc<Self>, verdicts: &str, job: JobId) -> Joined {
        *self.joined.lock().unwrap_or_else(PoisonError::into_inner).entry(job).or_default() += 1;
        let joined = Joined { ear: Arc::clone(self), verdicts: verdicts.to_owned(), job };
        let place = self.place.borrow().clone();
        if let Some((channel, queue)) = place {
            tokio::time::timeout(JOIN, bind(&channel, &queue, verdicts, &job.simple().to_string())).await.ok();
        }
        joined
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// A binding that goes when its last waiter does.
#[derive(Debug)]
pub(in crate::queue) struct Joined {
    ear: Arc<Ear>,
    verdicts: String,
    job: JobId,
}

impl Drop for Joined {
    fn drop(&mut self) {
        let mut joined = self.ear.joined.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiters) = joined.get_mut(&self.job) else { return };
        *waiters -= 1;
        if *waiters > 0 {
            return;
        }
        joined.remove(&self.job);
        let place = self.ear.place.borrow().clone();
        let (Some((channel, queue)), Ok(runtime)) = (place, tokio::runtime::Handle::try_current()) else { return };
        let (verdicts, key) = (self.verdicts.clone(), self.job.simple().to_string());
        runtime.spawn(async move {
            step(channel.queue_unbind(queue.into(), verdicts.into(), key.into(), FieldTable::default())).await.ok();
        });
    }
}

async fn listen(
    shared: &Shared,
    verdicts: &Verdicts,
    joined: &Mutex<HashMap<JobId, usize>>,
    place: &watch::Sender<Option<(Channel, String)>>,
) -> Result<(), QueueError> {
    let channel = shared.hearing.channel(Duration::MAX).await?;
    // Exclusive: it is this process's and goes with its connection, which is also the only kind of queue that RabbitMQ
    // 4.3 lets be transient. The broker names it, because the name of a queue whose connection died a moment ago may
    // still be taken.
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let queue = step(channel.queue_declare("".into(), options, FieldTable::default())).await?.name().to_string();
    let exchange = shared.topology.verdicts();
    step(bind(&channel, &queue, &exchange, &shared.instance.simple().to_string())).await?;
    let again: Vec<JobId> = joined.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
    for job in again {
        step(bind(&channel, &queue, &exchange, &job.simple().to_string())).await?;
    }
    // No acknowledgement: a verdict that is lost between the broker and us is found in the records.
    let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
    let mut consumer = step(consumer).await?;
    place.send_replace(Some((channel, queue)));
    while let Some(heard) = consumer.next().await {
        match serde_json::from_slice::<Word>(&heard?.data) {
            Ok(word) => verdicts.tell(word.job, word.verdict),
            Err(error) => tracing::debug!(%error, "a word that this version does not understand"),
        }
    }
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await
}

/// Says verdicts to other processes, in the order they were given, without making anybody wait.
#[derive(Debug)]
pub(super) struct Mouth(mpsc::Sender<Saying>);

#[derive(Debug)]
enum Saying {
    Verdict { to: Option<Uuid>, word: Word },
    Flush(oneshot::Sender<()>),
}

impl Mouth {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (sender, mut receiver) = mpsc::channel(UNSPOKEN);
        tokio::spawn(async move {
            let exchange = shared.topology.verdicts();
            let mut channel = None;
            while let Some(saying) = receiver.recv().await {
                match saying {
                    Saying::Verdict { to, word } => {
                        if say(shared.speaking.link(), &mut channel, &exchange, to, &word).await.is_err() {
                            channel = None;
                            metrics::counter!("cloakroom_verdicts_unheard_total").increment(1);
                        }
                    }
                    Saying::Flush(done) => done.send(()).unwrap_or_default(),
                }
            }
        });
        Self(sender)
    }

    /// `to` is the process that waits, where it is known; whoever joined hears it by the job's number.
    pub(super) fn say(&self, to: Option<Uuid>, job: JobId, verdict: Verdict) {
        if self.0.try_send(Saying::Verdict { to, word: Word { job, verdict } }).is_err() {
            metrics::counter!("cloakroom_verdicts_unheard_total").increment(1);
        }
    }

    /// Returns once all that was said before has been sent.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.send(Saying::Flush(done)).await.is_ok() {
            flushed.await.ok();
        }
    }
}

async fn say(
    link: &Link,
    held: &mut Option<Channel>,
    exchange: &str,
    to: Option<Uuid>,
    word: &Word,
) -> Result<(), QueueError> {
    let channel = match held {
        Some(channel) if channel.status().connected() => channel,
        _ => held.insert(link.channel(REST).await?),
    };
    if link.blocked() {
        return Err(QueueError::Blocked);
    }
    let body = serde_json::to_vec(word).map_err(|error| QueueError::Letter(error.to_string()))?;
    let mut headers = FieldTable::default();
    if let Some(instance) = to {
        // One message with two keys (RabbitMQ's sender-selected distribution), for the one who asked and for those who
        // joined; a queue that both lead to gets it once.
        let instance = AMQPValue::LongString(instance.simple().to_string().into());
        headers.insert("CC".into(), AMQPValue::FieldArray(vec![instance].into()));
    }
    // Neither persistent nor mandatory: that nobody waits is the usual case.
    let properties = BasicProperties::default()
        .with_delivery_mode(1)
        .with_content_type("application/json".into())
        .with_headers(headers);
    let key = word.job.simple().to_string();
    let options = BasicPublishOptions::default();
    step(channel.basic_publish(exchange.into(), key.into(), options, &body, properties)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    /// Golden texts: an old worker's verdict may reach a new api, and the other way round.
    #[test]
    fn a_word_is_understood_by_every_version() {
        for (text, verdict) in [
            (r#"{"job":"00000000-0000-0000-0000-000000000007","verdict":"ready"}"#, Verdict::Ready),
            (
                r#"{"job":"00000000-0000-0000-0000-000000000007","verdict":"rejected","code":"c","why":"w"}"#,
                Verdict::Rejected(Reason::new("c", "w")),
            ),
        ] {
            let word = Word { job: JobId::from_u128(7), verdict };
            assert_eq!(serde_json::from_str::<Word>(text).unwrap(), word);
            assert_eq!(serde_json::to_string(&word).unwrap(), text);
        }
    }
}
