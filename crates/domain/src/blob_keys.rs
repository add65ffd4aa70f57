//! The keys of blobs. Every blob of an upload begins with the upload's prefix, and every attempt adds a prefix of its
//! own, so that two attempts never write the same key.

use uuid::Uuid;

use crate::upload::UploadId;

/// The number of uploads with consecutive ids that share a folder: about a thousand files.
const UPLOADS_PER_FOLDER: i64 = 256;

/// Returns a prefix that no other attempt writes under, such as `uploads/3/1001-0198…-`; it ends in `-`.
pub fn new_attempt_prefix(upload: UploadId) -> String {
    format!("{}{}-", upload_prefix(upload), Uuid::now_v7().simple())
}

/// The prefixes of everything that was ever made of an upload, whose original is kept under `original`.
pub fn upload_prefixes(upload: UploadId, original: Option<&str>) -> Vec<String> {
    // Until 2026-11 every upload had a folder of its own. The original's key shows that, and no other upload's
    // key begins so.
    let legacy_prefix = format!("pictures/{upload}/");
    let former = original.is_some_and(|key| key.starts_with(&legacy_prefix)).then_some(legacy_prefix);
    [upload_prefix(upload)].into_iter().chain(former).collect()
}

/// The number of the folder with the blobs of this upload.
pub fn folder(upload: i64) -> i64 {
    upload / UPLOADS_PER_FOLDER
}

/// The path of a folder, from its number.
pub fn folder_path(folder: i64) -> String {
    format!("uploads/{folder}")
}

/// The common prefix of all keys of an upload. Hundreds of uploads share a folder, so that a directory is seldom
/// made. The `-` separates 1001 from 10012. The folder is `uploads`, because folders below `pictures` once were
/// single uploads.
fn upload_prefix(upload: UploadId) -> String {
    format!("{}/{upload}-", folder_path(folder(upload.get())))
}

/// The id of the upload that a blob belongs to, from its key; None for a key of the layout before this one.
pub fn upload_id(key: &str) -> Option<i64> {
    let (_, name) = key.strip_prefix("uploads/")?.split_once('/')?;
    name.split_once('-')?.0.parse().ok()
}
