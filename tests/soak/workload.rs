//! The users' continuous actions: they upload, view and claim pictures, and call the documents API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use test_support::invariants::sha256_hex;
use test_support::process::FEDMEMBER;
use tokio_util::sync::CancellationToken;

use crate::client::{SoakResponse, SoakUser};
use crate::documents;
use crate::journal::{AcknowledgedPicture, Journal};
use crate::random::SeededRandom;
use crate::test_picture::TestPicture;

pub struct Workload {
    pub users: Vec<SoakUser>,
    pub journal: Arc<Journal>,
    pub seed: u64,
    /// Counts the calls of `next_unique`. Each content is made from the number of one such call and is sent for one
    /// upload only. The request of that upload may be repeated with its idempotency key. So a content that is in the
    /// records twice was admitted twice.
    sequence: AtomicU64,
}

impl Workload {
    pub fn new(users: Vec<SoakUser>, journal: &Arc<Journal>, seed: u64) -> Self {
        Self { users, journal: Arc::clone(journal), seed, sequence: AtomicU64::new(0) }
    }

    /// A new number, different in runs with different seeds.
    pub fn next_unique(&self) -> u64 {
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        SeededRandom::new(self.seed ^ number.rotate_left(32)).next()
    }

    /// Performs the actions of the user with this number, until `stop`.
    pub async fn run(&self, user: usize, stop: &CancellationToken) {
        let mut random = SeededRandom::new(self.seed ^ (user as u64 + 1));
        while !stop.is_cancelled() {
            match random.below(100) {
                0..40 => drop(self.upload(user, &mut random).await),
                40..65 => self.view_picture(user, &mut random).await,
                65..75 => self.claim_picture(user, &mut random).await,
                75..83 => documents::add_file(self, user, &mut random).await,
                83..87 => documents::add_version(self, user, &mut random).await,
                87..93 => documents::add_rendition(self, user, &mut random).await,
                93..96 => documents::remove_rendition(self, user, &mut random).await,
                _ => documents::download(self, user, &mut random).await,
            }
            let pause = random.between(Duration::from_millis(30), Duration::from_millis(200));
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Counts a response. A 5xx response is a violation, except 503, which asks the client to try again.
    pub fn record_answer(&self, what: &'static str, answer: Option<&SoakResponse>) {
        self.journal.count_answer(what, answer.map(|answer| answer.status));
        if let Some(answer) = answer
            && answer.status >= 500
            && answer.status != 503
        {
            self.journal.record_violation(format!("{what} was answered {}: {}", answer.status, answer.text()));
        }
    }

    /// Uploads a picture. Returns its number if the upload was acknowledged.
    pub async fn upload(&self, user: usize, random: &mut SeededRandom) -> Option<i64> {
        let number = self.next_unique();
        let (content, key) = (TestPicture::new(number), format!("picture-{number}"));
        let png = content.png();
        let prefer = if random.one_in(2) { "respond-async" } else { "wait=3" };
        let build = |request: reqwest::RequestBuilder| {
            let part = Part::bytes(png.clone()).file_name("soak.png");
            request.header("prefer", prefer).multipart(Form::new().part("Profile", part))
        };
        let (api, keyed) = (random.index(2), random.one_in(2));
        let key = keyed.then_some(key.as_str());
        let answer = self.users[user].send_until_answered(api, key, "/api/dropbox/pictures", build).await;
        self.record_answer("upload", answer.as_ref());
        let id = self.check_upload_answer(answer?)?;
        let sha256 = sha256_hex(&png);
        let picture =
            AcknowledgedPicture { user, sha256, content: content.clone(), missing_since: None, claims: Vec::new() };
        self.journal.add_picture(id, picture);
        if keyed && random.one_in(4) {
            let again = self.users[user].send_until_answered(api + 1, key, "/api/dropbox/pictures", build).await;
            if let Some(other) = again.and_then(|again| self.check_upload_answer(again))
                && other != id
            {
                self.journal.record_violation(format!("two uploads, {id} and {other}, have the same idempotency key"));
            }
        }
        Some(id)
    }

    /// Returns the number of the upload if the answer acknowledges it. An acknowledgement without a number is a
    /// violation, and so is a refusal: every picture of this test is valid.
    fn check_upload_answer(&self, answer: SoakResponse) -> Option<i64> {
        match answer.status {
            200 | 202 => {
                let id = answer.text().trim().parse().ok();
                if id.is_none() {
                    self.journal
                        .record_violation(format!("an upload was answered without a number: {}", answer.text()));
                }
                id
            }
            400..500 if !matches!(answer.status, 408 | 409 | 429) => {
                self.journal.record_violation(format!(
                    "a good picture was answered {}: {}",
                    answer.status,
                    answer.text()
                ));
                None
            }
            _ => None,
        }
    }

    /// One of the user's pictures for which no claim was tried.
    fn pick_unclaimed(&self, user: usize, random: &mut SeededRandom) -> Option<(i64, AcknowledgedPicture)> {
        let entries = self.journal.entries();
        let theirs = |(_, picture): &(&i64, &AcknowledgedPicture)| {
            picture.user == user && picture.claims.is_empty() && picture.missing_since.is_none()
        };
        let all: Vec<_> = entries.pictures.iter().rev().filter(theirs).take(30).collect();
        let (id, picture) = (!all.is_empty()).then(|| *random.pick(&all))?;
        Some((*id, picture.clone()))
    }

    /// Views a picture in any size.
    async fn view_picture(&self, user: usize, random: &mut SeededRandom) {
        let Some((id, picture)) = self.pick_unclaimed(user, random) else { return };
        let size = if random.one_in(2) { *random.pick(&[25, 75, 512]) } else { 1 + random.below(512) as u32 };
        let path = format!("/api/dropbox/pictures/{id}?size={size}");
        let api = random.index(2);
        let answer = self.users[user].send(api, Method::GET, &path, |request| request.header("accept", "image/png"));
        let answer = answer.await;
        self.record_answer("view", answer.as_ref());
        match answer {
            Some(answer) if answer.status == 200 => {
                if let Err(why) = picture.content.compare(&answer.body, size) {
                    self.journal.record_violation(format!("picture {id} in size {size} shows something else: {why}"));
                }
            }
            Some(answer) if matches!(answer.status, 404 | 410) => self.record_missing(id),
            _ => {}
        }
    }

    /// Notes when a picture was first found missing. The final check compares this time with the picture's expiry time.
    fn record_missing(&self, id: i64) {
        if let Some(picture) = self.journal.entries().pictures.get_mut(&id) {
            picture.missing_since.get_or_insert(jiff::Timestamp::now().as_millisecond());
        }
    }

    /// Claims a picture for two resources at the same time, at two apis.
    async fn claim_picture(&self, user: usize, random: &mut SeededRandom) {
        let Some((id, _)) = self.pick_unclaimed(user, random) else { return };
        let name = &self.users[user].id;
        let (first, second) = (format!("users/{name}"), format!("apps/{name}"));
        let put = async |api, resource: &str| {
            let path = format!("/api/{resource}.{FEDMEMBER}");
            let body = json!({ "PictureID": id });
            let answer = self.users[user].send(api, Method::PUT, &path, |request| request.json(&body)).await;
            self.record_answer("claim", answer.as_ref());
            answer.map(|answer| answer.status)
        };
        let (one, other) = tokio::join!(put(0, &first), put(1, &second));
        if (one, other) == (Some(200), Some(200)) {
            self.journal.record_violation(format!("picture {id} was claimed for two resources"));
        }
        for status in [one, other] {
            match status {
                Some(404 | 410) => self.record_missing(id),
                Some(status @ (400..=403 | 405..=408 | 411..=428)) => {
                    self.journal.record_violation(format!("a claim of picture {id} was answered {status}"));
                }
                _ => {}
            }
        }
        if let Some(picture) = self.journal.entries().pictures.get_mut(&id) {
            picture.claims = vec![(first, one), (second, other)];
        }
    }
}
