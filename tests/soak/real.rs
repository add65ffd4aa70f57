//! Two apis and two workers on RabbitMQ, PostgreSQL and S3, each process with proxies of its own to each of them.

use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lapin::options::{QueueDeleteOptions, QueuePurgeOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use upload::{Lane, Places};

use crate::deployment::{Deployment, SETTINGS, pick};
use crate::engines::proxy::{Proxy, Trap, Way};
use crate::engines::stack::{Stack, Ways};
use crate::journal::Journal;
use crate::node::{Node, Role};
use crate::schedule::{Backend, Fault, FaultMix, Step};

/// Queues where jobs wait for their next attempt.
const DELAYS: [&str; 5] = ["later.1s", "later.5s", "later.30s", "later.2m", "later.10m"];

/// How long the removal of all objects may take.
const EMPTIED: Duration = Duration::from_secs(120);
/// A purge is over when so many messages are gone, or after so many seconds.
const PURGED: u32 = 5;
const GATHER: usize = 12;

pub struct RealEngines {
    stack: Arc<Stack>,
    nodes: Vec<Arc<Node>>,
    ways: Vec<Arc<Ways>>,
    journal: Arc<Journal>,
}

impl RealEngines {
    /// None, with a word about it, when the address of an engine is not given.
    pub async fn new(journal: &Arc<Journal>) -> Option<Self> {
        let stack = Arc::new(Stack::start().await?);
        let (mut nodes, mut ways) = (Vec::new(), Vec::new());
        for (name, role, word) in [
            ("api-1", Role::Api, "api"),
            ("api-2", Role::Api, "api"),
            ("worker-1", Role::Worker, "worker"),
            ("worker-2", Role::Worker, "worker"),
        ] {
            let own = Arc::new(stack.ways(&Trap::default()).await);
            let (place, through) = (Arc::clone(&stack), Arc::clone(&own));
            let build = move || {
                let mut command = place.command_by(&through, &[word]);
                command.envs(SETTINGS);
                // One of the two apis keeps what nobody claims for a short time only.
                if name == "api-2" {
                    command.env("CLOAKROOM__UPLOADS__KEEP", "20s");
                }
                command
            };
            nodes.push(Node::new(name, role, journal, Box::new(build)));
            ways.push(own);
        }
        Some(Self { stack, nodes, ways, journal: Arc::clone(journal) })
    }

    /// The ways of one process or, in half of the cases, of all.
    fn ways_of(&self, target: u64) -> &[Arc<Ways>] {
        let one = usize::try_from(target >> 1).unwrap() % self.ways.len();
        if target.is_multiple_of(2) { &self.ways } else { &self.ways[one..=one] }
    }

    fn proxies(ways: &[Arc<Ways>], backend: Backend) -> impl Iterator<Item = &Proxy> {
        ways.iter().map(move |ways| match backend {
            Backend::Broker => &ways.broker,
            Backend::Database => &ways.database,
            Backend::Store => &ways.store,
        })
    }

    /// Both workers stand still until messages have gathered, and then these are gone.
    async fn purge(&self) {
        let operator = self.stack.operator().await;
        let purge = async {
            let queues: Vec<String> =
                Lane::ALL.map(Lane::as_str).into_iter().chain(DELAYS).map(|name| self.stack.queue(name)).collect();
            let (mut tick, mut purged) = (tokio::time::interval(Duration::from_secs(1)), 0);
            for _ in 0..GATHER {
                tick.tick().await;
                for queue in &queues {
                    // A queue that is not there closes the channel.
                    let channel = operator.create_channel().await.unwrap();
                    let removed = channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await;
                    match removed {
                        Ok(removed) => purged += removed,
                        Err(error) => self.journal.note(&format!("{queue} cannot be purged: {error}")),
                    }
                    channel.close(200, "done".into()).await.ok();
                }
                if purged >= PURGED {
                    break;
                }
            }
            self.journal.note(&format!("{purged} messages purged"));
        };
        self.nodes[2].pause_during(self.nodes[3].pause_during(purge)).await;
        operator.close(200, "done".into()).await.ok();
    }

    async fn delete_queue(&self, target: u64) {
        let operator = self.stack.operator().await;
        let channel = operator.create_channel().await.unwrap();
        let lane = Lane::ALL[usize::try_from(target).unwrap_or_default() % Lane::ALL.len()];
        let queue = self.stack.queue(lane.as_str());
        let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
        self.journal.note(&format!("{queue} deleted with its messages: {deleted:?}"));
        operator.close(200, "done".into()).await.ok();
    }

    async fn close_sessions(&self) {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        // Its own connections in the pool are among them.
        self.stack.records.execute_unprepared(others).await.ok();
    }
}

impl Deployment for RealEngines {
    fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    fn mixes(&self) -> Vec<FaultMix> {
        let seconds = |least, most| (Duration::from_secs(least), Duration::from_secs(most));
        let away = Fault::Outage(Backend::Store, Way::Broken);
        let outages = [Backend::Broker, Backend::Database, Backend::Store].into_iter().flat_map(|backend| {
            [Way::Broken, Way::Silent, Way::Vanished, Way::Slow(Duration::from_millis(100))]
                .map(|way| Fault::Outage(backend, way))
        });
        let others = [Role::Api, Role::Worker]
            .into_iter()
            .flat_map(|role| [Fault::Kill(role), Fault::Stop(role), Fault::Pause(role)])
            .chain([Backend::Broker, Backend::Database, Backend::Store].map(Fault::Cut))
            .chain([Fault::DeleteQueue, Fault::CloseSessions]);
        vec![
            FaultMix {
                first: vec![away, Fault::PurgeQueues],
                all: outages.chain([Fault::Outage(Backend::Store, Way::Overloaded), Fault::PurgeQueues]).collect(),
                pause: seconds(2, 5),
            },
            FaultMix { first: Vec::new(), all: others.collect(), pause: seconds(1, 4) },
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

    async fn inflict(&self, step: &Step) {
        match step.fault {
            Fault::Kill(role) => pick(&self.nodes, role, step.target).kill(step.duration).await,
            Fault::Stop(role) => pick(&self.nodes, role, step.target).restart(step.duration).await,
            Fault::Pause(role) => {
                pick(&self.nodes, role, step.target).pause_during(tokio::time::sleep(step.duration)).await
            }
            Fault::Outage(backend, way) => {
                // The long outage of the store is everybody's, so that no other worker does the work.
                let all = (backend, way) == (Backend::Store, Way::Broken);
                let ways = if all { &self.ways[..] } else { self.ways_of(step.target) };
                Self::proxies(ways, backend).for_each(|proxy| proxy.set(way));
                tokio::time::sleep(step.duration).await;
                Self::proxies(ways, backend).for_each(|proxy| proxy.set(Way::Open));
            }
            Fault::Cut(backend) => Self::proxies(self.ways_of(step.target), backend).for_each(Proxy::reset),
            Fault::PurgeQueues => self.purge().await,
            Fault::DeleteQueue => self.delete_queue(step.target).await,
            Fault::CloseSessions => self.close_sessions().await,
            fault => unreachable!("{fault:?} is not in a mix of this"),
        }
    }

    async fn places(&self) -> Places {
        self.stack.places().await
    }

    async fn database(&self) -> DatabaseConnection {
        self.stack.records.clone()
    }

    async fn remove(self) {
        for node in &self.nodes {
            node.end().await;
        }
        // The processes know the stack.
        drop(self.nodes);
        let Ok(stack) = Arc::try_unwrap(self.stack) else { panic!("a process still knows the stack") };
        // A store that does not answer does not keep the database and the queues.
        let emptied = AssertUnwindSafe(tokio::time::timeout(EMPTIED, stack.empty_stores())).catch_unwind().await;
        if !matches!(emptied, Ok(Ok(()))) {
            self.journal.violation("the objects of this run are still in the store".to_owned());
        }
        stack.end().await;
    }
}
