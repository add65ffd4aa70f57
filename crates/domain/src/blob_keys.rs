//! The keys of blobs. The key of every blob of an upload begins with the upload's prefix. Every
//! attempt adds a prefix of its own, so that two attempts never write the same key.

use crate::random::ordered_id;
use crate::upload::UploadId;

/// The number of uploads with consecutive ids that share a folder. Together they have about a
/// thousand files.
const UPLOADS_PER_FOLDER: i64 = 256;

/// Returns a prefix that no other attempt writes under, such as `uploads/3/1001-0198…-`; it ends in `-`.
pub fn new_attempt_prefix(upload: UploadId) -> String {
    format!("{}{}-", upload_prefix(upload), ordered_id().simple())
}

/// The number of the folder with the blobs of this upload.
pub fn folder(upload: i64) -> i64 {
    upload / UPLOADS_PER_FOLDER
}

/// The path of a folder, from its number.
pub fn folder_path(folder: i64) -> String {
    format!("uploads/{folder}")
}

/// The common prefix of all keys of an upload. Hundreds of uploads share a folder, so that a
/// directory is seldom created. Because of the `-`, the prefix of upload 1001 does not match the
/// keys of upload 10012.
pub fn upload_prefix(upload: UploadId) -> String {
    format!("{}/{upload}-", folder_path(folder(upload.get())))
}

/// The id of the upload that a blob belongs to, from the blob's key; None if the key does not have the form of a blob's
/// key.
pub fn upload_id(key: &str) -> Option<i64> {
    let (_, name) = key.strip_prefix("uploads/")?.split_once('/')?;
    name.split_once('-')?.0.parse().ok()
}
