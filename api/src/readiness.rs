//! Which of the four places answer, asked at most once a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use upload::{OutageLog, PlaceError, Places};

/// What `/readyz` says, for a listener apart from the api's own.
#[derive(Clone)]
pub struct ReadinessProbe {
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) places: Places,
}

impl ReadinessProbe {
    /// Whether requests can be served, and the report as JSON.
    pub async fn report(&self) -> (bool, String) {
        let report = self.readiness.report(&self.places).await;
        (report.ready, serde_json::to_string(&report).unwrap_or_default())
    }
}

/// Which places answer.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    /// Whether uploads are taken; not while a place is low on space. What needs no room is served all the same.
    accepting: bool,
    /// `ok`, or what is wrong, by place.
    places: BTreeMap<&'static str, String>,
}

/// The last report, so that a crowd of probes does not become a crowd of pings.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    last: Mutex<Option<(Instant, Report)>>,
    outages: OutageLog,
}

/// How long a place has to answer, and how long the answer holds.
const SOON: Duration = Duration::from_secs(1);

impl Readiness {
    /// Asks all places at once, or says what they said a moment ago.
    pub(crate) async fn report(&self, places: &Places) -> Report {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = last.as_ref()
            && at.elapsed() < SOON
        {
            return report.clone();
        }
        let (staging, queue, blobs, records, space) = tokio::join!(
            self.ask("staging", places.staging.ping()),
            self.ask("queue", places.queue.ping()),
            self.ask("blobs", places.blobs.ping()),
            self.ask("records", places.records.ping()),
            places.check_space(0),
        );
        let mut places = BTreeMap::from([staging, queue, blobs, records]);
        // Without its queue an api takes uploads in all the same, and the relay publishes them later; to take it out of
        // service for that would turn a broker's trouble into everybody's.
        let needed = |(place, answer): (&&str, &String)| *place == "queue" || answer == "ok";
        let ready = places.iter().all(needed);
        let accepting = ready && space.is_ok();
        // Still ready: the reserve is for reading, expiring and deleting, which makes room.
        if let Err(low) = space
            && let Some(answer) = places.get_mut(low.place).filter(|answer| *answer == "ok")
        {
            *answer = PlaceError::from(low).state().to_owned();
        }
        let report = Report { ready, accepting, places };
        *last = Some((Instant::now(), report.clone()));
        report
    }

    /// One place's answer. Its own words are for the log; whoever probes learns which place it is.
    async fn ask<E: Into<PlaceError>>(
        &self,
        place: &'static str,
        ping: impl Future<Output = Result<(), E>>,
    ) -> (&'static str, String) {
        let answer = match tokio::time::timeout(SOON, ping).await {
            Ok(Ok(())) => {
                self.outages.note(place, None);
                "ok"
            }
            Ok(Err(error)) => {
                let error: PlaceError = error.into();
                self.outages.note(place, Some(&error));
                error.state()
            }
            Err(_) => {
                self.outages.note(place, Some(&"no answer within 1 s"));
                "slow"
            }
        };
        (place, answer.to_owned())
    }
}
