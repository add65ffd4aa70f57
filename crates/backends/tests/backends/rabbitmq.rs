//! Tests the queue on RabbitMQ: no confirmed message is lost, whatever breaks; unknown messages are parked; every
//! process that waits for a job receives the outcome.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use domain::{Job, JobId, JobMessage, Outcome, QueueName, Reason, UploadId};
use futures::future::join_all;
use queue::{Deliveries, Delivery, Queue, QueueError};
use test_support::proxy::{Proxy, ProxyState};
use test_support::test_broker::TestBroker;

fn job_message(upload: i64) -> JobMessage {
    let upload = UploadId::try_from(upload).unwrap();
    JobMessage::new(JobId::now_v7(), Job::ProcessPicture { upload })
}

async fn next_delivery(deliveries: &mut Deliveries) -> Delivery {
    tokio::time::timeout(Duration::from_secs(120), deliveries.next()).await.expect("a delivery").expect("an open queue")
}

/// Takes and acknowledges deliveries until each of these messages has been delivered at least once.
async fn take_all(deliveries: &mut Deliveries, messages: impl IntoIterator<Item = JobMessage>) {
    let mut missing: HashSet<JobId> = messages.into_iter().map(|message| message.id).collect();
    while !missing.is_empty() {
        let delivery = next_delivery(deliveries).await;
        missing.remove(&delivery.message().id);
        delivery.ack().await.ok();
    }
}

#[tokio::test]
async fn a_message_is_delivered_and_its_acknowledgement_removes_it() {
    let Some(broker) = TestBroker::start().await else { return };
    let queue = broker.queue().await;
    let sent = job_message(1001);
    queue.publish(&sent).await.unwrap();
    let mut deliveries = queue.consume(QueueName::Pictures, 4);
    let delivery = next_delivery(&mut deliveries).await;
    assert_eq!(*delivery.message(), sent);
    delivery.ack().await.unwrap();
    queue.close().await;
    broker.delete_all().await;
}

#[tokio::test]
async fn try_next_returns_a_waiting_delivery_or_none_at_once() {
    let Some(broker) = TestBroker::start().await else { return };
    let queue = broker.queue().await;
    let mut deliveries = queue.consume(QueueName::Pictures, 1);
    assert!(deliveries.try_next().await.is_none());
    queue.publish(&job_message(1001)).await.unwrap();
    deliveries.try_next().await.unwrap().ack().await.unwrap();
    assert!(deliveries.try_next().await.is_none());
    broker.delete_all().await;
}

#[tokio::test]
async fn dropped_and_prefetched_deliveries_go_back_to_the_queue() {
    let Some(broker) = TestBroker::start().await else { return };
    let queue = broker.queue().await;
    let sent = join_all((1..=10).map(async |n| {
        let message = job_message(n);
        queue.publish(&message).await.unwrap();
        message
    }))
    .await;
    let mut draining = queue.consume(QueueName::Pictures, 10);
    let kept = next_delivery(&mut draining).await;
    drop(next_delivery(&mut draining).await);
    drop(draining);
    // The delivery `kept` still belongs to the first worker. Its channel stays open, so that it can
    // be acknowledged.
    let mut other = queue.consume(QueueName::Pictures, 10);
    let expected: Vec<JobMessage> = sent.into_iter().filter(|message| message != kept.message()).collect();
    take_all(&mut other, expected).await;
    kept.ack().await.unwrap();
    drop(other);
    broker.delete_all().await;
}

#[tokio::test]
async fn a_delayed_message_comes_back_to_its_queue_when_its_delay_is_over() {
    let Some(broker) = TestBroker::start().await else { return };
    let queue = broker.queue().await;
    let sent = job_message(1001);
    let begun = Instant::now();
    queue.publish_delayed(&sent, Duration::from_millis(700)).await.unwrap();
    let mut deliveries = queue.consume(QueueName::Pictures, 1);
    let delivery = next_delivery(&mut deliveries).await;
    assert_eq!(*delivery.message(), sent);
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    delivery.ack().await.unwrap();
    broker.delete_all().await;
}

#[tokio::test]
async fn a_message_stays_in_its_queue_and_keeps_its_principal() {
    let Some(broker) = TestBroker::start().await else { return };
    let queue = broker.queue().await;
    for queue_name in [QueueName::Heavy, QueueName::Bulk] {
        let sent = JobMessage { queue: queue_name, principal: "jane".to_owned(), ..job_message(1001) };
        queue.publish(&sent).await.unwrap();
        let mut deliveries = queue.consume(queue_name, 1);
        let delivery = next_delivery(&mut deliveries).await;
        assert_eq!(*delivery.message(), sent);
        queue.publish_delayed(delivery.message(), Duration::ZERO).await.unwrap();
        delivery.ack().await.unwrap();
        let delivery = next_delivery(&mut deliveries).await;
        assert_eq!(*delivery.message(), sent);
        delivery.ack().await.unwrap();
        drop(deliveries);
    }
    broker.delete_all().await;
}

#[tokio::test]
async fn jobs_of_a_newer_version_are_parked_and_other_jobs_are_delivered() {
    let Some(broker) = TestBroker::start().await else { return };
    let queue = broker.queue().await;
    let newer = r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"picture.process.v9","upload":1001}"#;
    broker.publish_raw("pictures", newer).await;
    broker.publish_raw("pictures", "not even JSON").await;
    let known = job_message(1001);
    queue.publish(&known).await.unwrap();
    let mut deliveries = queue.consume(QueueName::Pictures, 1);
    take_all(&mut deliveries, [known]).await;
    broker.wait_for_count("parked", 2).await;
    // A newer version would know the first parked message. This version knows only the message that is parked last.
    let older = job_message(1002);
    broker.publish_raw("parked", &serde_json::to_string(&older).unwrap()).await;
    broker.wait_for_count("parked", 3).await;
    assert_eq!(queue.unpark().await.unwrap(), 1);
    take_all(&mut deliveries, [older]).await;
    broker.wait_for_count("parked", 2).await;
    assert_eq!(queue.depth(QueueName::Pictures).await.unwrap(), 0);
    drop(deliveries);
    broker.delete_all().await;
}

#[tokio::test]
async fn only_processes_that_published_or_joined_a_job_receive_its_outcome() {
    let Some(broker) = TestBroker::start().await else { return };
    let (api, joined, bystander, worker) =
        (broker.queue().await, broker.queue().await, broker.queue().await, broker.queue().await);
    let sent = job_message(1001);
    let waiting = api.wait_for_outcome(sent.id);
    api.publish(&sent).await.unwrap();
    let shared = joined.wait_for_shared_outcome(sent.id).await;
    let unknown = bystander.wait_for_outcome(sent.id);
    let mut deliveries = worker.consume(QueueName::Pictures, 1);
    next_delivery(&mut deliveries).await.ack().await.unwrap();
    let outcome = Outcome::Rejected(Reason::new("too_small", "it has one pixel"));
    worker.publish_outcome(sent.id, outcome.clone());
    let timeout = Duration::from_secs(120);
    assert_eq!(waiting.outcome(timeout).await, Some(outcome.clone()));
    assert_eq!(shared.outcome(timeout).await, Some(outcome));
    // The broker does not know that `bystander` waits. If the outcome had been sent to it all the same, it would have
    // arrived by now.
    assert_eq!(unknown.outcome(Duration::ZERO).await, None);
    broker.delete_all().await;
}

#[tokio::test]
async fn an_outcome_is_received_after_a_retry_by_another_worker() {
    let Some(broker) = TestBroker::start().await else { return };
    let (api, first, second) = (broker.queue().await, broker.queue().await, broker.queue().await);
    let sent = job_message(1001);
    let waiting = api.wait_for_outcome(sent.id);
    api.publish(&sent).await.unwrap();
    let mut deliveries = first.consume(QueueName::Pictures, 1);
    let delivery = next_delivery(&mut deliveries).await;
    first.publish_delayed(&sent, Duration::ZERO).await.unwrap();
    delivery.ack().await.unwrap();
    drop(deliveries);
    let mut deliveries = second.consume(QueueName::Pictures, 1);
    next_delivery(&mut deliveries).await.ack().await.unwrap();
    second.publish_outcome(sent.id, Outcome::Ready);
    assert_eq!(waiting.outcome(Duration::from_secs(120)).await, Some(Outcome::Ready));
    broker.delete_all().await;
}

#[tokio::test]
async fn connections_cut_under_load_lose_nothing() {
    let Some(broker) = TestBroker::start().await else { return };
    let proxy = Proxy::to(broker.host()).await;
    let proxy_url = broker.url_through(&proxy);
    let (publishing, consuming) = (broker.queue_at(&proxy_url).await, broker.queue_at(&proxy_url).await);
    let mut deliveries = consuming.consume(QueueName::Pictures, 8);
    let publish = async {
        let mut confirmed = Vec::new();
        for round in 0..8 {
            let sent = join_all((1..=50).map(async |n| {
                let message = job_message(round * 50 + n);
                publishing.publish(&message).await.map(|()| message)
            }));
            confirmed.extend(sent.await.into_iter().flatten());
            proxy.cut();
        }
        confirmed
    };
    let mut seen = HashSet::new();
    let mut publish = std::pin::pin!(publish);
    let confirmed = loop {
        tokio::select! {
            confirmed = &mut publish => break confirmed,
            delivery = next_delivery(&mut deliveries) => {
                seen.insert(delivery.message().id);
                // If the broker did not receive the acknowledgement, the message is delivered again.
                delivery.ack().await.ok();
            }
        }
    };
    assert!(!confirmed.is_empty());
    take_all(&mut deliveries, confirmed.into_iter().filter(|message| !seen.contains(&message.id))).await;
    broker.delete_queues().await;
}

#[tokio::test]
async fn an_unreachable_broker_is_reported_soon_and_found_again() {
    let Some(broker) = TestBroker::start().await else { return };
    let proxy = Proxy::to(broker.host()).await;
    let queue = broker.queue_at(&broker.url_through(&proxy)).await;
    queue.ping().await.unwrap();
    proxy.set(ProxyState::Broken);
    let begun = Instant::now();
    let refused = loop {
        // A publish that was in flight when the connection broke may have succeeded.
        if let Err(error) = queue.publish(&job_message(1001)).await {
            break error;
        }
    };
    assert!(refused.is_transient(), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(15), "clients must not wait for an unreachable broker");
    queue.ping().await.unwrap_err();
    proxy.set(ProxyState::Open);
    let sent = job_message(1002);
    let published = async { while queue.publish(&sent).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(120), published).await.expect("the broker is found again");
    let mut deliveries = queue.consume(QueueName::Pictures, 8);
    take_all(&mut deliveries, [sent]).await;
    while let Some(repeated) = deliveries.try_next().await {
        repeated.ack().await.unwrap();
    }
    drop(deliveries);
    broker.delete_all().await;
}

#[tokio::test]
async fn a_silent_broker_does_not_block_a_publisher_for_ever() {
    let Some(broker) = TestBroker::start().await else { return };
    let proxy = Proxy::to(broker.host()).await;
    let queue = broker.queue_at(&broker.url_through(&proxy)).await;
    proxy.set(ProxyState::Silent);
    let error = queue.publish(&job_message(1001)).await.unwrap_err();
    assert!(matches!(error, QueueError::Unconfirmed | QueueError::Unreachable(_)), "{error}");
    broker.delete_all().await;
}

#[tokio::test]
async fn a_deleted_queue_is_declared_again() {
    let Some(broker) = TestBroker::start().await else { return };
    let queue = broker.queue().await;
    let mut deliveries = queue.consume(QueueName::Pictures, 1);
    let (first, second) = (job_message(1001), job_message(1002));
    queue.publish(&first).await.unwrap();
    take_all(&mut deliveries, [first]).await;
    broker.delete("pictures").await;
    queue.publish(&second).await.unwrap();
    take_all(&mut deliveries, [second]).await;
    drop(deliveries);
    broker.delete_all().await;
}

/// A queue with eight job messages, behind a proxy that holds back the consume request. The broker receives that
/// request only when the process opens another channel, after the process has stopped waiting for the answer.
async fn slow_consume(broker: &TestBroker) -> (Proxy, Queue, Vec<JobMessage>) {
    let (queue, open_channel) = (broker.full_name("pictures"), &[0, 20, 0, 10]);
    let mut consume = vec![0, 60, 0, 20, 0, 0, u8::try_from(queue.len()).unwrap()];
    consume.extend_from_slice(queue.as_bytes());
    let proxy = Proxy::to(broker.host()).await;
    proxy.set(ProxyState::Late(consume.leak(), open_channel));
    let queue = broker.queue_at(&broker.url_through(&proxy)).await;
    let sent: Vec<JobMessage> = (1..=8).map(job_message).collect();
    assert_eq!(queue.publish_all(&sent).await.len(), sent.len());
    (proxy, queue, sent)
}

#[tokio::test]
async fn a_consumer_that_timed_out_keeps_no_message_from_the_next() {
    let Some(broker) = TestBroker::start().await else { return };
    let (_proxy, queue, sent) = slow_consume(&broker).await;
    let mut deliveries = queue.consume(QueueName::Pictures, 4);
    take_all(&mut deliveries, sent).await;
    drop(deliveries);
    broker.delete_all().await;
}

#[tokio::test]
async fn a_consumer_that_was_dropped_keeps_no_message_from_the_next() {
    let Some(broker) = TestBroker::start().await else { return };
    let (_proxy, queue, sent) = slow_consume(&broker).await;
    let mut deliveries = queue.consume(QueueName::Pictures, 4);
    let early = tokio::time::timeout(Duration::from_secs(1), deliveries.next()).await;
    assert!(early.is_err(), "the broker has not received the request yet");
    take_all(&mut deliveries, sent).await;
    drop(deliveries);
    broker.delete_all().await;
}

#[tokio::test]
async fn dropping_a_consumer_while_a_job_is_parked_keeps_the_message() {
    let Some(broker) = TestBroker::start().await else { return };
    let queue = broker.queue().await;
    let (first, second) = (job_message(1001), job_message(1002));
    queue.publish(&first).await.unwrap();
    let mut deliveries = queue.consume(QueueName::Pictures, 1);
    take_all(&mut deliveries, [first]).await;
    // It takes a moment until the queue of parked messages is declared again. Until then, the message without JSON is
    // neither parked nor requeued, and the consumer may hold no second message.
    broker.delete("parked").await;
    broker.publish_raw("pictures", "not even JSON").await;
    let parking = tokio::time::timeout(Duration::from_millis(200), deliveries.next()).await;
    assert!(parking.is_err(), "there is no other message");
    queue.publish(&second).await.unwrap();
    take_all(&mut deliveries, [second]).await;
    broker.wait_for_count("parked", 1).await;
    drop(deliveries);
    broker.delete_all().await;
}
