//! The users' actions on files: upload files, versions and renditions, download them, delete renditions.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use test_support::invariants::sha256_hex;

use crate::client::SoakResponse;
use crate::journal::{AcknowledgedRendition, AcknowledgedVersion};
use crate::random::SeededRandom;
use crate::test_picture::TestPicture;
use crate::workload::Workload;

pub const API: &str = "/documents/api/1.2";
/// The maximum length of a file, in bytes.
const MAX_FILE_BYTES: usize = 12 << 10;

/// Bytes that were never sent before. Some of them are a picture, so that a thumbnail is made.
fn unique_content(workload: &Workload, random: &mut SeededRandom) -> Vec<u8> {
    let number = workload.next_unique();
    if random.one_in(3) {
        return TestPicture::new(number).png();
    }
    let length = 16 + random.index(MAX_FILE_BYTES);
    SeededRandom::new(number).bytes(length)
}

fn random_prefer(random: &mut SeededRandom) -> &'static str {
    if random.one_in(2) { "respond-async" } else { "wait=3" }
}

/// Sends a form with a new file and, for a rendition, with its `name`. Half of the requests have an idempotency key.
/// Returns the response and the SHA-256 of the file if the request was acknowledged.
async fn post(
    workload: &Workload,
    user: usize,
    random: &mut SeededRandom,
    path: &str,
    name: Option<&str>,
) -> Option<(SoakResponse, String)> {
    let bytes = unique_content(workload, random);
    let sha256 = sha256_hex(&bytes);
    let prefer = random_prefer(random);
    let build = |request: reqwest::RequestBuilder| {
        let part = Part::bytes(bytes.clone()).file_name("soak.bin");
        let form = match name {
            Some(name) => Form::new().part("file", part).text("parameters", json!({ "name": name }).to_string()),
            None => Form::new().part("primaryFile", part),
        };
        request.header("prefer", prefer).multipart(form)
    };
    let key = random.one_in(2).then(|| format!("file-{sha256}"));
    let answer = workload.users[user].send_until_answered(random.index(2), key.as_deref(), path, build).await;
    workload.record_answer("file", answer.as_ref());
    let answer = answer?;
    match answer.status {
        200..=202 => Some((answer, sha256)),
        400..500 if !matches!(answer.status, 408 | 409 | 429) => {
            // Only a request for an existing file may get 404: a file that was acknowledged with 202 may not be ready
            // yet.
            if answer.status != 404 || path.ends_with("/files/data") {
                workload.journal.record_violation(format!(
                    "POST {path} was answered {}: {}",
                    answer.status,
                    answer.text()
                ));
            }
            None
        }
        _ => None,
    }
}

fn version_number(answer: &SoakResponse) -> Option<u64> {
    let body = answer.json();
    body["version"].as_str().and_then(|version| version.parse().ok()).or_else(|| body["version"].as_u64())
}

pub async fn add_file(workload: &Workload, user: usize, random: &mut SeededRandom) {
    let Some((answer, sha256)) = post(workload, user, random, &format!("{API}/files/data"), None).await else { return };
    let Some(file) = answer.json()["id"].as_str().map(str::to_owned) else {
        return workload.journal.record_violation(format!("a file was answered without its id: {}", answer.text()));
    };
    let (number, upload) = (Some(1), answer.upload_id());
    let version = AcknowledgedVersion { user, file, number, upload, sha256, has_renditions: random.one_in(2) };
    workload.journal.entries().versions.push(version);
}

/// One of the user's recent files. With `with_renditions` it is a file that gets renditions, otherwise one that gets
/// further versions.
fn pick_file(workload: &Workload, user: usize, random: &mut SeededRandom, with_renditions: bool) -> Option<String> {
    let entries = workload.journal.entries();
    let theirs = |version: &&AcknowledgedVersion| version.user == user && version.has_renditions == with_renditions;
    let all: Vec<&AcknowledgedVersion> = entries.versions.iter().rev().filter(theirs).take(20).collect();
    (!all.is_empty()).then(|| random.pick(&all).file.clone())
}

pub async fn add_version(workload: &Workload, user: usize, random: &mut SeededRandom) {
    let Some(file) = pick_file(workload, user, random, false) else { return };
    let path = format!("{API}/files/{file}/data");
    let Some((answer, sha256)) = post(workload, user, random, &path, None).await else { return };
    let (number, upload) = (version_number(&answer), answer.upload_id());
    workload.journal.entries().versions.push(AcknowledgedVersion {
        user,
        file,
        number,
        upload,
        sha256,
        has_renditions: false,
    });
}

pub async fn add_rendition(workload: &Workload, user: usize, random: &mut SeededRandom) {
    let Some(file) = pick_file(workload, user, random, true) else { return };
    let (path, name) = (format!("{API}/files/{file}/data/rendition"), format!("r{}", workload.next_unique()));
    let Some((answer, sha256)) = post(workload, user, random, &path, Some(&name)).await else { return };
    let upload = answer.upload_id();
    workload.journal.entries().renditions.push(AcknowledgedRendition {
        user,
        file,
        name,
        upload,
        sha256,
        deleted: None,
    });
}

pub fn rendition_path(file: &str, name: &str) -> String {
    format!("{API}/files/{file}/data/rendition?rendition={name}&renditionType=uploaded")
}

pub async fn remove_rendition(workload: &Workload, user: usize, random: &mut SeededRandom) {
    let found = {
        let mut entries = workload.journal.entries();
        let all = entries.renditions.iter_mut().filter(|one| one.user == user && one.deleted.is_none());
        let mut all: Vec<&mut AcknowledgedRendition> = all.collect();
        if all.is_empty() {
            return;
        }
        let one = random.index(all.len());
        all[one].deleted = Some(false);
        (all[one].file.clone(), all[one].name.clone())
    };
    let path = rendition_path(&found.0, &found.1);
    let answer = workload.users[user].send(random.index(2), Method::DELETE, &path, |request| request).await;
    workload.record_answer("delete", answer.as_ref());
    if answer.is_some_and(|answer| answer.status == 200) {
        let mut entries = workload.journal.entries();
        if let Some(one) = entries.renditions.iter_mut().find(|one| one.name == found.1) {
            one.deleted = Some(true);
        }
    }
}

pub async fn download(workload: &Workload, user: usize, random: &mut SeededRandom) {
    let version = {
        let entries = workload.journal.entries();
        let all: Vec<_> = entries.versions.iter().filter(|one| one.user == user && one.number.is_some()).collect();
        if all.is_empty() {
            return;
        }
        (*random.pick(&all)).clone()
    };
    let (file, number) = (&version.file, version.number.unwrap_or(1));
    let answer = workload.users[user].get(random.index(2), &format!("{API}/files/{file}/data?version={number}")).await;
    workload.record_answer("download", answer.as_ref());
    if let Some(answer) = answer
        && answer.status == 200
        && sha256_hex(&answer.body) != version.sha256
    {
        workload.journal.record_violation(format!("version {number} of file {file} is not what was sent"));
    }
}
