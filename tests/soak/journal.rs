//! A journal of acknowledged uploads, violations, and faults with their times.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use crate::test_picture::TestPicture;

/// The maximum number of recorded violations, because further ones give no new information.
const MAX_VIOLATIONS: usize = 200;

/// A picture of the dropbox that was acknowledged with 200 or 202.
#[derive(Clone, Debug)]
pub struct AcknowledgedPicture {
    pub user: usize,
    pub sha256: String,
    pub content: TestPicture,
    /// When a request for the picture was first answered with 404 or 410, in milliseconds since 1970. If the picture is
    /// not claimed, it must have expired by then.
    pub missing_since: Option<i64>,
    /// The resources for which a claim was sent, each with the response status, if there was a response.
    pub claims: Vec<(String, Option<u16>)>,
}

/// A version of a file that was acknowledged with 201 or 202.
#[derive(Clone, Debug)]
pub struct AcknowledgedVersion {
    pub user: usize,
    pub file: String,
    /// The version number, if the response had it.
    pub number: Option<u64>,
    /// The upload's number in `Location`, if the response had it.
    pub upload: Option<i64>,
    pub sha256: String,
    /// Whether renditions are added to this file. In that case it gets no further versions.
    pub has_renditions: bool,
}

/// A rendition that was acknowledged with 200 or 202.
#[derive(Clone, Debug)]
pub struct AcknowledgedRendition {
    pub user: usize,
    pub file: String,
    pub name: String,
    pub upload: Option<i64>,
    pub sha256: String,
    /// None if no deletion was requested. Otherwise whether the deletion was answered with 200.
    pub deleted: Option<bool>,
}

#[derive(Default)]
pub struct Entries {
    pub pictures: BTreeMap<i64, AcknowledgedPicture>,
    pub versions: Vec<AcknowledgedVersion>,
    pub renditions: Vec<AcknowledgedRendition>,
    /// The number of responses, by request and status.
    pub answers: BTreeMap<(&'static str, u16), u64>,
    violations: BTreeSet<String>,
}

pub struct Journal {
    entries: Mutex<Entries>,
    begun: Instant,
    /// The folder for logs. It is removed at the end of a run without violations.
    pub folder: PathBuf,
}

impl Journal {
    pub fn new(name: &str, seed: u64) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{name}-{seed}"));
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        Self { entries: Mutex::default(), begun: Instant::now(), folder }
    }

    pub fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Logs an event with its time.
    pub fn log(&self, what: &str) {
        println!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// Records a violation.
    pub fn record_violation(&self, what: String) {
        let mut entries = self.entries();
        if entries.violations.len() < MAX_VIOLATIONS && entries.violations.insert(what.clone()) {
            drop(entries);
            self.log(&format!("VIOLATION: {what}"));
        }
    }

    pub fn violations(&self) -> Vec<String> {
        self.entries().violations.iter().cloned().collect()
    }

    pub fn count_answer(&self, what: &'static str, status: Option<u16>) {
        *self.entries().answers.entry((what, status.unwrap_or(0))).or_default() += 1;
    }

    /// Records an acknowledged picture. A number that another picture already has is a violation.
    pub fn add_picture(&self, id: i64, picture: AcknowledgedPicture) {
        let taken = match self.entries().pictures.entry(id) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(picture);
                false
            }
            std::collections::btree_map::Entry::Occupied(taken) => taken.get().sha256 != picture.sha256,
        };
        if taken {
            self.record_violation(format!("the number {id} was given twice"));
        }
    }

    /// The numbers of all acknowledged uploads, as far as responses contained them.
    pub fn upload_ids(&self) -> Vec<String> {
        let entries = self.entries();
        let (versions, renditions) = (entries.versions.iter(), entries.renditions.iter());
        let others = versions.filter_map(|version| version.upload).chain(renditions.filter_map(|one| one.upload));
        entries.pictures.keys().copied().chain(others).map(|id| id.to_string()).collect()
    }

    pub fn summary(&self) -> String {
        let entries = self.entries();
        let answers: Vec<String> = entries
            .answers
            .iter()
            .map(|((what, status), times)| match status {
                0 => format!("{times} × {what} without an answer"),
                _ => format!("{times} × {what} {status}"),
            })
            .collect();
        let claimed = entries.pictures.values().filter(|picture| !picture.claims.is_empty()).count();
        format!(
            "{} pictures ({claimed} claimed), {} versions and {} renditions acknowledged; {}",
            entries.pictures.len(),
            entries.versions.len(),
            entries.renditions.len(),
            answers.join(", ")
        )
    }
}
