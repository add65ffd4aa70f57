//! What every handler has at hand: the four places, the settings, the keys and the counts. Clones share it.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, mpsc};
use upload::{JobId, Places};

use crate::coming::AllComing;
use crate::documents::opened_links::OpenedLinks;
use crate::documents::settings::DocumentSettings;
use crate::readiness::Readiness;
use crate::receive::settings::UploadSettings;
use crate::serve::HttpSettings;
use crate::who::{Attempts, Decisions, Identity, Keys, Names, Passwords, RealmSettings, SessionCache, Throttle};

/// The desk behind which every handler stands.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inside>);

pub(crate) struct Inside {
    pub(crate) places: Places,
    pub(crate) http: HttpSettings,
    pub(crate) realm: RealmSettings,
    pub(crate) uploads: UploadSettings,
    pub(crate) documents: DocumentSettings,
    pub(crate) names: Names,
    pub(crate) keys: Keys,
    pub(crate) identity: Option<Identity>,
    pub(crate) decisions: Option<Decisions>,
    /// Digests of the keys that systems call with.
    pub(crate) service_keys: Vec<[u8; 32]>,
    pub(crate) passwords: Passwords,
    pub(crate) logins: Attempts,
    pub(crate) access_codes: Attempts,
    pub(crate) opened_links: OpenedLinks,
    pub(crate) sessions: SessionCache,
    pub(crate) requests: Throttle,
    pub(crate) coming: AllComing,
    /// The same over all contracts, for the quotas.
    pub(crate) arriving: AllComing,
    /// How many more uploads may be on their way in at once.
    pub(crate) room: Arc<Semaphore>,
    /// Tickets that the queue has confirmed, for the records.
    pub(crate) published: mpsc::UnboundedSender<JobId>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) readiness: Arc<Readiness>,
}

impl Desk {
    pub(crate) fn new(inside: Inside) -> Self {
        Self(Arc::new(inside))
    }
}

impl std::ops::Deref for Desk {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.0
    }
}
