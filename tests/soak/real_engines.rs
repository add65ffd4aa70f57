//! A deployment of two apis and two workers on RabbitMQ, PostgreSQL and S3. Each process has its own proxy to each
//! engine.

use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use backends::Backends;
use domain::QueueName;
use futures::FutureExt;
use lapin::options::{QueueDeleteOptions, QueuePurgeOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use test_support::engine_stack::{EngineProxies, EngineStack};
use test_support::proxy::{Proxy, ProxyState, RequestTrap};

use crate::deployment::{Deployment, SETTINGS, pick_node};
use crate::fault_schedule::{EngineKind, FaultKind, FaultMix, FaultStep};
use crate::journal::Journal;
use crate::node::{Node, NodeRole};

/// Queues where jobs wait for their next attempt.
const RETRY_QUEUES: [&str; 5] = ["later.1s", "later.5s", "later.30s", "later.2m", "later.10m"];

/// How long the removal of all objects may take.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(120);
/// A purge ends when this number of messages has been removed.
const MIN_PURGED: u32 = 5;
/// A purge ends after this number of seconds at the latest.
const MAX_PURGE_SECONDS: usize = 12;

pub struct RealEnginesDeployment {
    stack: Arc<EngineStack>,
    nodes: Vec<Arc<Node>>,
    proxies: Vec<Arc<EngineProxies>>,
    journal: Arc<Journal>,
}

impl RealEnginesDeployment {
    /// Starts a stack. Prints a message and returns None if the address of an engine is not given.
    pub async fn new(journal: &Arc<Journal>) -> Option<Self> {
        let stack = Arc::new(EngineStack::start().await?);
        let (mut nodes, mut proxies) = (Vec::new(), Vec::new());
        for (name, role, subcommand) in [
            ("api-1", NodeRole::Api, "api"),
            ("api-2", NodeRole::Api, "api"),
            ("worker-1", NodeRole::Worker, "worker"),
            ("worker-2", NodeRole::Worker, "worker"),
        ] {
            let own = Arc::new(stack.new_proxies(&RequestTrap::default()).await);
            let (stack, through) = (Arc::clone(&stack), Arc::clone(&own));
            let build = move || {
                let mut command = stack.command_through(&through, &[subcommand]);
                command.envs(SETTINGS);
                // One of the two apis has a short retention for unclaimed pictures.
                if name == "api-2" {
                    command.env("CLOAKROOM__UPLOADS__RETENTION", "20s");
                }
                command
            };
            nodes.push(Node::new(name, role, journal, Box::new(build)));
            proxies.push(own);
        }
        Some(Self { stack, nodes, proxies, journal: Arc::clone(journal) })
    }

    /// The proxies of one process or, in half of the cases, of all processes.
    fn proxies_of(&self, target: u64) -> &[Arc<EngineProxies>] {
        let one = usize::try_from(target >> 1).unwrap() % self.proxies.len();
        if target.is_multiple_of(2) { &self.proxies } else { &self.proxies[one..=one] }
    }

    fn proxies_to(proxies: &[Arc<EngineProxies>], backend: EngineKind) -> impl Iterator<Item = &Proxy> {
        proxies.iter().map(move |proxies| match backend {
            EngineKind::Broker => &proxies.broker,
            EngineKind::Database => &proxies.database,
            EngineKind::Store => &proxies.store,
        })
    }

    /// Pauses both workers, and purges the queues every second until enough messages were removed.
    async fn purge_queues(&self) {
        let operator = self.stack.operator_connection().await;
        let purge = async {
            let queues: Vec<String> = QueueName::ALL
                .map(QueueName::as_str)
                .into_iter()
                .chain(RETRY_QUEUES)
                .map(|name| self.stack.queue_name(name))
                .collect();
            let (mut tick, mut purged) = (tokio::time::interval(Duration::from_secs(1)), 0);
            for _ in 0..MAX_PURGE_SECONDS {
                tick.tick().await;
                for queue in &queues {
                    // The broker closes a channel that purges a missing queue, so each purge has its own channel.
                    let channel = operator.create_channel().await.unwrap();
                    let removed = channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await;
                    match removed {
                        Ok(removed) => purged += removed,
                        Err(error) => self.journal.log(&format!("{queue} cannot be purged: {error}")),
                    }
                    channel.close(200, "done".into()).await.ok();
                }
                if purged >= MIN_PURGED {
                    break;
                }
            }
            self.journal.log(&format!("{purged} messages purged"));
        };
        self.nodes[2].pause_during(self.nodes[3].pause_during(purge)).await;
        operator.close(200, "done".into()).await.ok();
    }

    async fn delete_queue(&self, target: u64) {
        let operator = self.stack.operator_connection().await;
        let channel = operator.create_channel().await.unwrap();
        let name = QueueName::ALL[usize::try_from(target).unwrap_or_default() % QueueName::ALL.len()];
        let queue = self.stack.queue_name(name.as_str());
        let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
        self.journal.log(&format!("{queue} deleted with its messages: {deleted:?}"));
        operator.close(200, "done".into()).await.ok();
    }

    async fn close_sessions(&self) {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        // The query may also end other connections of this pool.
        self.stack.records.execute_unprepared(others).await.ok();
    }
}

impl Deployment for RealEnginesDeployment {
    fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    fn fault_mixes(&self) -> Vec<FaultMix> {
        let seconds = |least, most| (Duration::from_secs(least), Duration::from_secs(most));
        let store_outage = FaultKind::Outage(EngineKind::Store, ProxyState::Broken);
        let outages = [EngineKind::Broker, EngineKind::Database, EngineKind::Store].into_iter().flat_map(|backend| {
            [ProxyState::Broken, ProxyState::Silent, ProxyState::Vanished, ProxyState::Slow(Duration::from_millis(100))]
                .map(|way| FaultKind::Outage(backend, way))
        });
        let others = [NodeRole::Api, NodeRole::Worker]
            .into_iter()
            .flat_map(|role| [FaultKind::Kill(role), FaultKind::Stop(role), FaultKind::Pause(role)])
            .chain([EngineKind::Broker, EngineKind::Database, EngineKind::Store].map(FaultKind::Cut))
            .chain([FaultKind::DeleteQueue, FaultKind::CloseSessions]);
        vec![
            FaultMix {
                required_first: vec![store_outage, FaultKind::PurgeQueues],
                all: outages
                    .chain([FaultKind::Outage(EngineKind::Store, ProxyState::Overloaded), FaultKind::PurgeQueues])
                    .collect(),
                pause: seconds(2, 5),
            },
            FaultMix { required_first: Vec::new(), all: others.collect(), pause: seconds(1, 4) },
        ]
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stack.command(arguments);
        command.envs(SETTINGS);
        command
    }

    async fn prepare(&self) {
        let migrated = self.command(&["migrate", "up"]).output().unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    }

    async fn apply_fault(&self, step: &FaultStep) {
        match step.fault {
            FaultKind::Kill(role) => pick_node(&self.nodes, role, step.target).kill(step.duration).await,
            FaultKind::Stop(role) => pick_node(&self.nodes, role, step.target).restart(step.duration).await,
            FaultKind::Pause(role) => {
                pick_node(&self.nodes, role, step.target).pause_during(tokio::time::sleep(step.duration)).await
            }
            FaultKind::Outage(backend, way) => {
                // The long outage of the store affects all processes, so that no other worker does the work.
                let all = (backend, way) == (EngineKind::Store, ProxyState::Broken);
                let proxies = if all { &self.proxies[..] } else { self.proxies_of(step.target) };
                Self::proxies_to(proxies, backend).for_each(|proxy| proxy.set(way));
                tokio::time::sleep(step.duration).await;
                Self::proxies_to(proxies, backend).for_each(|proxy| proxy.set(ProxyState::Open));
            }
            FaultKind::Cut(backend) => Self::proxies_to(self.proxies_of(step.target), backend).for_each(Proxy::reset),
            FaultKind::PurgeQueues => self.purge_queues().await,
            FaultKind::DeleteQueue => self.delete_queue(step.target).await,
            FaultKind::CloseSessions => self.close_sessions().await,
            fault => unreachable!("{fault:?} is not in a mix of this deployment"),
        }
    }

    async fn open_backends(&self) -> Backends {
        self.stack.open_backends().await
    }

    async fn open_database(&self) -> DatabaseConnection {
        self.stack.records.clone()
    }

    async fn tear_down(self) {
        for node in &self.nodes {
            node.kill_for_good().await;
        }
        // The nodes hold references to the stack, so they are dropped first.
        drop(self.nodes);
        let Ok(stack) = Arc::try_unwrap(self.stack) else { panic!("a node still holds the stack") };
        // A store that does not answer must not prevent the removal of the database and the queues.
        let emptied =
            AssertUnwindSafe(tokio::time::timeout(CLEANUP_TIMEOUT, stack.delete_all_objects())).catch_unwind().await;
        if !matches!(emptied, Ok(Ok(()))) {
            self.journal.record_violation("the objects of this run are still in the store".to_owned());
        }
        stack.clean_up().await;
    }
}
