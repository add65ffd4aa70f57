//! The queue on RabbitMQ: nothing confirmed is lost, whatever breaks; what is unknown is parked; who waits hears.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use upload::{Deliveries, Delivery, Job, JobId, Lane, Queue, QueueError, Reason, Ticket, UploadId, Verdict};

use crate::broker::Broker;
use crate::proxy::{Proxy, Way};

fn ticket(upload: i64) -> Ticket {
    let upload = UploadId::try_from(upload).unwrap();
    Ticket::new(JobId::now_v7(), Job::ProcessPicture { upload })
}

async fn next(deliveries: &mut Deliveries) -> Delivery {
    tokio::time::timeout(Duration::from_secs(120), deliveries.next()).await.expect("a delivery").expect("an open queue")
}

/// Takes and acknowledges until each of these has come at least once.
async fn take_all(deliveries: &mut Deliveries, tickets: impl IntoIterator<Item = Ticket>) {
    let mut missing: HashSet<JobId> = tickets.into_iter().map(|ticket| ticket.id).collect();
    while !missing.is_empty() {
        let delivery = next(deliveries).await;
        missing.remove(&delivery.ticket().id);
        delivery.ack().await.ok();
    }
}

#[tokio::test]
async fn a_ticket_is_delivered_and_once_acknowledged_forgotten() {
    let Some(broker) = Broker::start().await else { return };
    let queue = broker.queue().await;
    let sent = ticket(1001);
    queue.publish(&sent).await.unwrap();
    let mut deliveries = queue.consume(Lane::Pictures, 4).await.unwrap();
    let delivery = next(&mut deliveries).await;
    assert_eq!(*delivery.ticket(), sent);
    delivery.ack().await.unwrap();
    queue.close().await;
    broker.end().await;
}

#[tokio::test]
async fn what_is_there_can_be_taken_by_hand() {
    let Some(broker) = Broker::start().await else { return };
    let queue = broker.queue().await;
    let mut deliveries = queue.consume(Lane::Pictures, 1).await.unwrap();
    assert!(deliveries.try_next().await.is_none());
    queue.publish(&ticket(1001)).await.unwrap();
    deliveries.try_next().await.unwrap().ack().await.unwrap();
    assert!(deliveries.try_next().await.is_none());
    broker.end().await;
}

#[tokio::test]
async fn what_is_dropped_goes_back_and_so_does_what_nobody_saw() {
    let Some(broker) = Broker::start().await else { return };
    let queue = broker.queue().await;
    let sent = join_all((1..=10).map(async |n| {
        let ticket = ticket(n);
        queue.publish(&ticket).await.unwrap();
        ticket
    }))
    .await;
    let mut draining = queue.consume(Lane::Pictures, 10).await.unwrap();
    let kept = next(&mut draining).await;
    drop(next(&mut draining).await);
    drop(draining);
    // The one in hand is still the first worker's, and its channel is still there to say so.
    let mut other = queue.consume(Lane::Pictures, 10).await.unwrap();
    let expected: Vec<Ticket> = sent.into_iter().filter(|ticket| ticket != kept.ticket()).collect();
    take_all(&mut other, expected).await;
    kept.ack().await.unwrap();
    drop(other);
    broker.end().await;
}

#[tokio::test]
async fn a_ticket_put_off_comes_back_to_its_lane_when_its_time_has_come() {
    let Some(broker) = Broker::start().await else { return };
    let queue = broker.queue().await;
    let sent = ticket(1001);
    let begun = Instant::now();
    queue.publish_later(&sent, Duration::from_millis(700)).await.unwrap();
    let mut deliveries = queue.consume(Lane::Pictures, 1).await.unwrap();
    let delivery = next(&mut deliveries).await;
    assert_eq!(*delivery.ticket(), sent);
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    delivery.ack().await.unwrap();
    broker.end().await;
}

#[tokio::test]
async fn a_ticket_stays_in_its_queue_and_keeps_its_principal() {
    let Some(broker) = Broker::start().await else { return };
    let queue = broker.queue().await;
    for lane in [Lane::Heavy, Lane::Bulk] {
        let sent = Ticket { lane, principal: "jane".to_owned(), ..ticket(1001) };
        queue.publish(&sent).await.unwrap();
        let mut deliveries = queue.consume(lane, 1).await.unwrap();
        let delivery = next(&mut deliveries).await;
        assert_eq!(*delivery.ticket(), sent);
        queue.publish_later(delivery.ticket(), Duration::ZERO).await.unwrap();
        delivery.ack().await.unwrap();
        let delivery = next(&mut deliveries).await;
        assert_eq!(*delivery.ticket(), sent);
        delivery.ack().await.unwrap();
        drop(deliveries);
    }
    broker.end().await;
}

#[tokio::test]
async fn jobs_of_a_newer_version_are_parked_and_others_unharmed() {
    let Some(broker) = Broker::start().await else { return };
    let queue = broker.queue().await;
    let newer = r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"picture.process.v9","upload":1001}"#;
    broker.put("pictures", newer).await;
    broker.put("pictures", "not even JSON").await;
    let known = ticket(1001);
    queue.publish(&known).await.unwrap();
    let mut deliveries = queue.consume(Lane::Pictures, 1).await.unwrap();
    take_all(&mut deliveries, [known]).await;
    broker.until("parked", 2).await;
    // A newer version would know it; of what lies there now, this one knows what was parked last.
    let older = ticket(1002);
    broker.put("parked", &serde_json::to_string(&older).unwrap()).await;
    broker.until("parked", 3).await;
    assert_eq!(queue.unpark().await.unwrap(), 1);
    take_all(&mut deliveries, [older]).await;
    broker.until("parked", 2).await;
    assert_eq!(queue.depth(Lane::Pictures).await.unwrap(), 0);
    drop(deliveries);
    broker.end().await;
}

#[tokio::test]
async fn the_process_that_waits_hears_the_verdict_and_no_other() {
    let Some(broker) = Broker::start().await else { return };
    let (api, joined, bystander, worker) =
        (broker.queue().await, broker.queue().await, broker.queue().await, broker.queue().await);
    let sent = ticket(1001);
    let waiting = api.wait_for(sent.id);
    api.publish(&sent).await.unwrap();
    let along = joined.join_wait(sent.id).await;
    let deaf = bystander.wait_for(sent.id);
    let mut deliveries = worker.consume(Lane::Pictures, 1).await.unwrap();
    next(&mut deliveries).await.ack().await.unwrap();
    let verdict = Verdict::Rejected(Reason::new("too_small", "it has one pixel"));
    worker.announce(sent.id, verdict.clone());
    let patience = Duration::from_secs(120);
    assert_eq!(waiting.verdict(patience).await, Some(verdict.clone()));
    assert_eq!(along.verdict(patience).await, Some(verdict));
    // By now it would have come.
    assert_eq!(deaf.verdict(Duration::ZERO).await, None);
    broker.end().await;
}

#[tokio::test]
async fn a_verdict_is_heard_after_a_retry_by_another_worker() {
    let Some(broker) = Broker::start().await else { return };
    let (api, first, second) = (broker.queue().await, broker.queue().await, broker.queue().await);
    let sent = ticket(1001);
    let waiting = api.wait_for(sent.id);
    api.publish(&sent).await.unwrap();
    let mut deliveries = first.consume(Lane::Pictures, 1).await.unwrap();
    let delivery = next(&mut deliveries).await;
    first.publish_later(&sent, Duration::ZERO).await.unwrap();
    delivery.ack().await.unwrap();
    drop(deliveries);
    let mut deliveries = second.consume(Lane::Pictures, 1).await.unwrap();
    next(&mut deliveries).await.ack().await.unwrap();
    second.announce(sent.id, Verdict::Ready);
    assert_eq!(waiting.verdict(Duration::from_secs(120)).await, Some(Verdict::Ready));
    broker.end().await;
}

#[tokio::test]
async fn connections_cut_under_load_lose_nothing() {
    let Some(broker) = Broker::start().await else { return };
    let proxy = Proxy::to(broker.host()).await;
    let by_proxy = broker.through(&proxy);
    let (publishing, consuming) = (broker.queue_at(&by_proxy).await, broker.queue_at(&by_proxy).await);
    let mut deliveries = consuming.consume(Lane::Pictures, 8).await.unwrap();
    let publish = async {
        let mut confirmed = Vec::new();
        for round in 0..8 {
            let sent = join_all((1..=50).map(async |n| {
                let ticket = ticket(round * 50 + n);
                publishing.publish(&ticket).await.map(|()| ticket)
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
            delivery = next(&mut deliveries) => {
                seen.insert(delivery.ticket().id);
                // One that the broker did not hear comes again.
                delivery.ack().await.ok();
            }
        }
    };
    assert!(!confirmed.is_empty());
    take_all(&mut deliveries, confirmed.into_iter().filter(|ticket| !seen.contains(&ticket.id))).await;
    drop(deliveries);
    // What was tried twice may lie there still.
    while broker.count("pictures").await > 0 {
        broker.take("pictures").await;
    }
    broker.end().await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_said_to_be_at_once_and_found_again() {
    let Some(broker) = Broker::start().await else { return };
    let proxy = Proxy::to(broker.host()).await;
    let queue = broker.queue_at(&broker.through(&proxy)).await;
    queue.ping().await.unwrap();
    proxy.set(Way::Broken);
    let begun = Instant::now();
    let refused = loop {
        // One that was on its way when the connection broke may have made it.
        if let Err(error) = queue.publish(&ticket(1001)).await {
            break error;
        }
    };
    assert!(refused.is_transient(), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(15), "clients must not wait for a broker that is away");
    queue.ping().await.unwrap_err();
    proxy.set(Way::Open);
    let sent = ticket(1002);
    let back = async { while queue.publish(&sent).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(120), back).await.expect("the broker is found again");
    let mut deliveries = queue.consume(Lane::Pictures, 8).await.unwrap();
    take_all(&mut deliveries, [sent]).await;
    while let Some(echo) = deliveries.try_next().await {
        echo.ack().await.unwrap();
    }
    drop(deliveries);
    broker.end().await;
}

#[tokio::test]
async fn a_silent_broker_does_not_hold_a_publisher_for_ever() {
    let Some(broker) = Broker::start().await else { return };
    let proxy = Proxy::to(broker.host()).await;
    let queue = broker.queue_at(&broker.through(&proxy)).await;
    proxy.set(Way::Silent);
    let unheard = queue.publish(&ticket(1001)).await.unwrap_err();
    assert!(matches!(unheard, QueueError::Unconfirmed | QueueError::Unreachable(_)), "{unheard}");
    broker.end().await;
}

#[tokio::test]
async fn a_deleted_queue_is_declared_again() {
    let Some(broker) = Broker::start().await else { return };
    let queue = broker.queue().await;
    let mut deliveries = queue.consume(Lane::Pictures, 1).await.unwrap();
    let (first, second) = (ticket(1001), ticket(1002));
    queue.publish(&first).await.unwrap();
    take_all(&mut deliveries, [first]).await;
    broker.delete("pictures").await;
    queue.publish(&second).await.unwrap();
    take_all(&mut deliveries, [second]).await;
    drop(deliveries);
    broker.end().await;
}

/// A queue with eight tickets in it, and the way to its broker, who hears that somebody wants to consume when they no longer
/// wait to be told that they may: when the same process opens another channel.
async fn late(broker: &Broker) -> (Proxy, Queue, Vec<Ticket>) {
    let (queue, open_channel) = (broker.name("pictures"), &[0, 20, 0, 10]);
    let mut consume = vec![0, 60, 0, 20, 0, 0, u8::try_from(queue.len()).unwrap()];
    consume.extend_from_slice(queue.as_bytes());
    let proxy = Proxy::to(broker.host()).await;
    proxy.set(Way::Late(consume.leak(), open_channel));
    let queue = broker.queue_at(&broker.through(&proxy)).await;
    let sent: Vec<Ticket> = (1..=8).map(ticket).collect();
    assert_eq!(queue.publish_all(&sent).await.len(), sent.len());
    (proxy, queue, sent)
}

#[tokio::test]
async fn a_consumer_that_was_given_up_keeps_no_ticket_from_the_next() {
    let Some(broker) = Broker::start().await else { return };
    let (_proxy, queue, sent) = late(&broker).await;
    let mut deliveries = queue.consume(Lane::Pictures, 4).await.unwrap();
    take_all(&mut deliveries, sent).await;
    drop(deliveries);
    broker.end().await;
}

#[tokio::test]
async fn a_consumer_that_was_let_go_of_keeps_no_ticket_from_the_next() {
    let Some(broker) = Broker::start().await else { return };
    let (_proxy, queue, sent) = late(&broker).await;
    let mut deliveries = queue.consume(Lane::Pictures, 4).await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(1), deliveries.next()).await;
    assert!(early.is_err(), "the broker has not heard yet");
    take_all(&mut deliveries, sent).await;
    drop(deliveries);
    broker.end().await;
}

#[tokio::test]
async fn who_lets_go_while_a_job_is_parked_loses_no_place() {
    let Some(broker) = Broker::start().await else { return };
    let queue = broker.queue().await;
    let (first, second) = (ticket(1001), ticket(1002));
    queue.publish(&first).await.unwrap();
    let mut deliveries = queue.consume(Lane::Pictures, 1).await.unwrap();
    take_all(&mut deliveries, [first]).await;
    // It takes a moment until that is declared again, and so long the one job that may be in these hands is neither parked
    // nor back.
    broker.delete("parked").await;
    broker.put("pictures", "not even JSON").await;
    let parking = tokio::time::timeout(Duration::from_millis(200), deliveries.next()).await;
    assert!(parking.is_err(), "there is nothing else");
    queue.publish(&second).await.unwrap();
    take_all(&mut deliveries, [second]).await;
    broker.until("parked", 1).await;
    drop(deliveries);
    broker.end().await;
}
