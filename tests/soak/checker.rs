//! Checks the invariants at the end of the soak. They must hold, whatever failed during the soak.

use std::time::{Duration, Instant};

use backends::Backends;
use domain::{Upload, UploadState};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use test_support::invariants::{assert_every_upload_counted, check_all_uploads, sha256_hex};
use test_support::process::FEDMEMBER;

use crate::deployment::{Deployment, FINAL_SETTINGS};
use crate::documents::{API, rendition_path};
use crate::journal::AcknowledgedPicture;
use crate::random::SeededRandom;
use crate::workload::Workload;

/// How long the probes of all processes may take to report ready after the last fault. They need a
/// few seconds, even on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long pending work may take after the last fault: the deadline of an upload, and the time to sweep.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(150);
/// The checker waits until all pictures that expire within this time have expired. Otherwise they would expire during
/// the checks.
const EXPIRY_HORIZON: Duration = Duration::from_secs(600);
/// How long the sweeper of the last start may take.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(90);

pub struct Checker<'a, I> {
    pub deployment: &'a I,
    pub workload: &'a Workload,
    pub backends: Backends,
    pub db: DatabaseConnection,
}

impl<I: Deployment> Checker<'_, I> {
    pub async fn run(&self) {
        let journal = &self.workload.journal;
        self.check_probes().await;
        self.check_uploads_are_acknowledged().await;
        self.wait_until_settled().await;
        let nodes = self.deployment.nodes();
        futures::future::join_all(nodes.iter().map(|node| node.stop())).await;
        for node in nodes {
            node.set_extra_settings(&FINAL_SETTINGS);
            node.start().await;
        }
        journal.log("all processes were stopped and started; now leftovers are swept");
        self.wait_until_swept().await;
        self.check_invariants().await;
        self.check_counts().await;
        self.check_metrics().await;
        self.check_pictures().await;
        self.check_documents().await;
        self.check_probes().await;
        futures::future::join_all(nodes.iter().map(|node| node.stop())).await;
    }

    fn violation(&self, what: String) {
        self.workload.journal.record_violation(what);
    }

    /// Checks `/livez` and `/readyz` of every process.
    async fn check_probes(&self) {
        let (http, begun) = (test_support::portal::http_client(), Instant::now());
        for node in self.deployment.nodes() {
            for path in ["/livez", "/readyz"] {
                let mut problem = String::from("no answer");
                loop {
                    if let Some(address) = node.address() {
                        let asked = http.get(format!("http://{address}{path}")).timeout(Duration::from_secs(5));
                        problem = match asked.send().await {
                            Ok(answer) if answer.status() == 200 => break,
                            Ok(answer) => format!("{} {}", answer.status(), answer.text().await.unwrap_or_default()),
                            Err(error) => error.to_string(),
                        };
                    }
                    if begun.elapsed() > READY_TIMEOUT {
                        self.violation(format!(
                            "{path} of {} is not answered 200 within {READY_TIMEOUT:?} of the last fault: {problem}",
                            node.name
                        ));
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        self.workload.journal.log(&format!("the check of the probes took {:.1} s", begun.elapsed().as_secs_f64()));
    }

    /// Uploads four pictures, each at a random api. All must be acknowledged.
    async fn check_uploads_are_acknowledged(&self) {
        let mut random = SeededRandom::new(self.workload.next_unique());
        for _ in 0..4 {
            let begun = Instant::now();
            while self.workload.upload(0, &mut random).await.is_none() {
                if begun.elapsed() > READY_TIMEOUT {
                    return self
                        .violation(format!("no upload was acknowledged {READY_TIMEOUT:?} after the last fault"));
                }
            }
        }
    }

    /// Waits until every upload is settled and no job is queued.
    async fn wait_until_settled(&self) {
        let begun = Instant::now();
        loop {
            let stats = self.backends.records.stats().await.unwrap();
            let open = (stats.in_state(UploadState::Accepted), stats.queued_jobs);
            if open == (0, 0) {
                return self.workload.journal.log(&format!("nothing waits any more: {stats:?}"));
            }
            if begun.elapsed() > SETTLE_TIMEOUT {
                return self.violation(format!("still waiting {SETTLE_TIMEOUT:?} after the last fault: {stats:?}"));
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Waits until all scheduled deletions are complete and staging has no unneeded objects.
    async fn wait_until_swept(&self) {
        // Bytes of an unfinished attempt are kept for an hour, in case they are still being written. Here all deletions
        // are made due at once.
        self.db.execute_unprepared("UPDATE deletions SET due_at = 1, leased_until = NULL").await.unwrap();
        let begun = Instant::now();
        loop {
            let soon = jiff::Timestamp::now().as_millisecond() + EXPIRY_HORIZON.as_millis() as i64;
            let expiring = format!(
                "SELECT count(*) FROM uploads WHERE claimed_at IS NULL AND state = 'ready' AND expires_at < {soon}"
            );
            let expiring = self.query_number(&expiring).await;
            let scheduled = self.query_number("SELECT count(*) FROM deletions").await;
            let staged: Vec<String> =
                self.backends.staging.list_older_than(jiff::Timestamp::MAX).try_collect().await.unwrap();
            // A failed upload keeps its bytes for a retry. Another check finds the failure itself.
            let staged = staged.len() - self.backends.records.needed_staged_keys(&staged).await.unwrap().len();
            if (expiring, scheduled, staged) == (0, 0, 0) {
                return;
            }
            if begun.elapsed() > SWEEP_TIMEOUT {
                let left =
                    format!("{expiring} pictures about to expire, {scheduled} prefixes, {staged} staged objects");
                return self.violation(format!("not swept within {SWEEP_TIMEOUT:?}: {left}"));
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn check_invariants(&self) {
        let numbers = self.workload.journal.upload_ids();
        let stats = self.backends.records.stats().await.unwrap();
        let checks = async {
            assert_every_upload_counted(&stats, &numbers);
            check_all_uploads(&self.backends, &self.db, &numbers).await
        };
        match std::panic::AssertUnwindSafe(checks).catch_unwind().await {
            Ok(ends) => self.workload.journal.log(&format!("outcomes of the acknowledged uploads: {ends:?}")),
            Err(panic) => self.violation(panic_message(&*panic)),
        }
    }

    /// Checks the records' totals: every upload was valid, so none may have failed.
    async fn check_counts(&self) {
        for (what, sql) in [
            ("uploads failed", "SELECT count(*) FROM uploads WHERE state = 'failed'"),
            ("uploads were rejected", "SELECT count(*) FROM uploads WHERE state = 'rejected'"),
            ("dead letters", "SELECT count(*) FROM jobs WHERE state = 'dead'"),
            ("jobs are left", "SELECT count(*) FROM jobs"),
            (
                "contents were admitted twice",
                "SELECT count(*) FROM (SELECT sha256 FROM uploads GROUP BY sha256 HAVING count(*) > 1) AS twice",
            ),
            (
                "variants of pictures were never made",
                "SELECT count(*) FROM variants JOIN uploads ON uploads.id = variants.upload_id
                 WHERE variants.blob_key IS NULL AND uploads.state = 'ready'",
            ),
        ] {
            let many = self.query_number(sql).await;
            if many != 0 {
                self.violation(format!("{many} {what}"));
            }
        }
        let bad_uploads_sql =
            "SELECT id FROM uploads WHERE state IN ('failed', 'rejected', 'accepted') ORDER BY id LIMIT 5";
        let rows = self
            .db
            .query_all_raw(Statement::from_string(self.db.get_database_backend(), bad_uploads_sql))
            .await
            .unwrap();
        for row in rows {
            let id: i64 = row.try_get_by_index(0).unwrap();
            let explained = self.deployment.command(&["explain", &id.to_string()]).output().unwrap();
            self.workload.journal.log(&format!("explain {id}: {}", String::from_utf8_lossy(&explained.stdout)));
        }
    }

    /// Checks the metrics of the processes.
    async fn check_metrics(&self) {
        let http = test_support::portal::http_client();
        for node in self.deployment.nodes() {
            for gauge in ["cloakroom_uploads_unaccounted", "cloakroom_jobs_open", "cloakroom_outbox_unpublished"] {
                let (begun, zero) = (Instant::now(), format!("{gauge} 0\n"));
                loop {
                    let answer = match node.address() {
                        Some(address) => http.get(format!("http://{address}/metrics")).send().await.ok(),
                        None => None,
                    };
                    let text = match answer {
                        Some(answer) => answer.text().await.unwrap_or_default(),
                        None => String::new(),
                    };
                    if text.contains(&zero) {
                        break;
                    }
                    if begun.elapsed() > READY_TIMEOUT {
                        let line = text.lines().find(|line| line.starts_with(gauge)).unwrap_or("nothing");
                        break self.violation(format!("{} shows {line} instead of {gauge} 0", node.name));
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// Checks every acknowledged picture, by its row and by an api's response.
    async fn check_pictures(&self) {
        let pictures = self.workload.journal.entries().pictures.clone();
        let checks = pictures.into_iter().map(|(id, picture)| async move {
            let upload = self.backends.records.upload(id.try_into().unwrap()).await.unwrap();
            let Some(upload) = upload else {
                return self.violation(format!("picture {id} was acknowledged and is not in the records"));
            };
            if let Err(why) = check_row(&upload, &picture) {
                return self.violation(format!("picture {id}: {why}"));
            }
            if upload.state == UploadState::Ready {
                self.check_served_picture(&upload, &picture).await;
            }
        });
        stream::iter(checks).buffer_unordered(8).collect::<()>().await;
    }

    async fn check_served_picture(&self, upload: &Upload, picture: &AcknowledgedPicture) {
        let (id, user) = (upload.id, &self.workload.users[picture.user]);
        let path = match &upload.claim {
            Some(claim) => {
                let version = format!("SELECT version FROM avatars WHERE upload_id = {id}");
                let version = self.query_number(&version).await;
                format!("/api/{}.{FEDMEMBER}/avatars/{version}.png?size=75", claim.resource)
            }
            None => format!("/api/dropbox/pictures/{id}?size=75"),
        };
        for attempt in 0..3 {
            let answer =
                user.send(attempt, reqwest::Method::GET, &path, |request| request.header("accept", "image/png"));
            match answer.await {
                Some(answer) if answer.status == 200 => {
                    if let Err(why) = picture.content.compare(&answer.body, 75) {
                        self.violation(format!("picture {id} shows something else: {why}"));
                    }
                    return;
                }
                // The picture may expire at this moment.
                Some(answer) if answer.status == 404 && claim_time_is_over(upload) => return,
                Some(answer) if attempt == 2 => {
                    self.violation(format!("GET {path} was answered {}: {}", answer.status, answer.text()));
                }
                None if attempt == 2 => self.violation(format!("GET {path} was not answered")),
                _ => {}
            }
        }
    }

    /// Checks that every acknowledged version and rendition that is not deleted is returned as it was sent.
    async fn check_documents(&self) {
        let (versions, renditions) = {
            let entries = self.workload.journal.entries();
            (entries.versions.clone(), entries.renditions.clone())
        };
        let versions = versions.into_iter().map(|version| async move {
            let number = match (version.number, version.upload) {
                (Some(number), _) => number.to_string(),
                (None, Some(upload)) => {
                    let sql = format!("SELECT CAST(number AS BIGINT) FROM file_versions WHERE upload_id = {upload}");
                    self.query_number(&sql).await.to_string()
                }
                (None, None) => return,
            };
            let path = format!("{API}/files/{}/data?version={number}", version.file);
            self.check_download(version.user, &path, &version.sha256).await;
        });
        stream::iter(versions).buffer_unordered(8).collect::<()>().await;
        let renditions = renditions.into_iter().map(|one| async move {
            let path = rendition_path(&one.file, &one.name);
            match one.deleted {
                None => self.check_download(one.user, &path, &one.sha256).await,
                Some(false) => {}
                Some(true) => {
                    let answer = self.workload.users[one.user].get(0, &path).await;
                    if answer.as_ref().is_none_or(|answer| answer.status != 404) {
                        let status = answer.map(|answer| answer.status);
                        self.violation(format!("rendition {} was deleted and is answered {status:?}", one.name));
                    }
                }
            }
        });
        stream::iter(renditions).buffer_unordered(8).collect::<()>().await;
    }

    async fn check_download(&self, user: usize, path: &str, sha256: &str) {
        match self.workload.users[user].get(0, path).await {
            Some(answer) if answer.status == 200 && sha256_hex(&answer.body) == sha256 => {}
            Some(answer) if answer.status == 200 => self.violation(format!("GET {path}: other bytes than were sent")),
            Some(answer) => self.violation(format!("GET {path} was answered {}: {}", answer.status, answer.text())),
            None => self.violation(format!("GET {path} was not answered")),
        }
    }

    async fn query_number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        self.db.query_one_raw(statement).await.unwrap().map_or(0, |row| row.try_get_by_index(0).unwrap())
    }
}

/// Whether a picture was not claimed and the time to claim it is over.
fn claim_time_is_over(upload: &Upload) -> bool {
    upload.claim.is_none() && upload.expires_at.is_some_and(|expires| expires <= jiff::Timestamp::now())
}

/// Checks that the row of an acknowledged picture agrees with what the client sent and with the answers that it got.
fn check_row(upload: &Upload, picture: &AcknowledgedPicture) -> Result<(), String> {
    if upload.sha256 != picture.sha256 {
        return Err("its number belongs to other bytes than were sent".to_owned());
    }
    let claim = upload.claim.as_ref().map(|claim| claim.resource.to_string());
    let won = picture.claims.iter().find(|(_, status)| *status == Some(200));
    let claim_fits = match (&claim, won) {
        (claim, Some((resource, _))) => claim.as_ref() == Some(resource),
        // A claim without a response may have succeeded.
        (Some(claim), None) => {
            picture.claims.iter().any(|(resource, status)| resource == claim && *status != Some(409))
        }
        (None, None) => true,
    };
    if !claim_fits {
        return Err(format!("it is claimed for {claim:?}, and the answers were {:?}", picture.claims));
    }
    if let Some(missing_since) = picture.missing_since
        && claim.is_none()
        && upload.expires_at.is_none_or(|expires| expires.as_millisecond() > missing_since + 1000)
    {
        return Err("it was answered 404 or 410 before its time was over".to_owned());
    }
    match (upload.state, &upload.reason) {
        (UploadState::Ready, _) => Ok(()),
        (UploadState::Expired, _) if claim_time_is_over(upload) => Ok(()),
        (state, reason) => Err(format!("it is {state:?}: {reason:?}; claimed for {claim:?}")),
    }
}

/// The message of a panic.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic".to_owned())
}
