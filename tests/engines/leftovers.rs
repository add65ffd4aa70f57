//! Tests of the harness: at the end of a test, it finds what the test left on the engines.

use domain::{Job, JobId, JobMessage, QueueName};
use test_support::engine_stack::EngineStack;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_end_is_found() {
    let Some(stack) = EngineStack::start().await else { return };
    let worker = stack.worker();
    // A stopped process cannot act on SIGTERM.
    worker.signal("STOP");
    let found = stack.find_leftovers().await;
    assert!(found[0].starts_with(&format!("the running process {} (", worker.id())), "{found:?}");
    worker.kill();
    stack.clean_up_leftovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_a_worker_did_not_acknowledge_is_found() {
    let Some(stack) = EngineStack::start().await else { return };
    drop(stack.worker());
    let backends = stack.open_backends().await;
    let upload = "1001".parse().unwrap();
    let message = JobMessage::new(JobId::now_v7(), Job::ProcessPicture { upload });
    backends.queue.publish(&message).await.unwrap();
    let mut deliveries = backends.queue.consume(QueueName::Pictures, 1);
    let _delivery = deliveries.try_next().await.unwrap();
    let found = stack.find_leftovers().await;
    assert_eq!(found, ["consumers of the queue pictures (1)"]);
    backends.queue.close().await;
    let found = stack.find_leftovers().await;
    assert_eq!(found.last().map(String::as_str), Some("messages in the queue pictures (1)"));
    stack.clean_up_leftovers().await;
}
