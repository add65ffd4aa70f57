//! The noun: an upload, what it can be in, and how it ended.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Media, VariantName};

/// The number a client gets for what it handed in: a `long` that starts at 1001 and stays below 2^53
/// (`contract/dropbox.md`, "PictureID"). Anything else in its place is not an id, so it cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(i64);

/// A text that is no upload's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a picture's number is a whole number from 1 to 9007199254740991")]
pub struct InvalidUploadId;

impl UploadId {
    const MAX: i64 = (1 << 53) - 1;

    /// The number itself.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for UploadId {
    type Error = InvalidUploadId;

    fn try_from(id: i64) -> Result<Self, InvalidUploadId> {
        if (1..=Self::MAX).contains(&id) { Ok(Self(id)) } else { Err(InvalidUploadId) }
    }
}

impl FromStr for UploadId {
    type Err = InvalidUploadId;

    /// Plain decimal digits only: no sign, no blanks.
    fn from_str(text: &str) -> Result<Self, InvalidUploadId> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidUploadId);
        }
        text.parse::<i64>().map_err(|_| InvalidUploadId)?.try_into()
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an upload stands. It begins as accepted and ends, by its deadline, as one of the others; a ready dropbox
/// picture that nobody claims ends as expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UploadState {
    /// Durable in staging and in the records; a worker will decide.
    Accepted,
    /// Checked, rendered and served.
    Ready,
    /// A worker looked and said no; the reason is the client's to mend.
    Rejected,
    /// We could not, and gave up; the reason is ours to mend.
    Failed,
    /// Nobody claimed it in time; its bytes are gone or going.
    Expired,
}

impl UploadState {
    /// The word in the records and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ready => "ready",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for UploadState {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        [Self::Accepted, Self::Ready, Self::Rejected, Self::Failed, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// What an upload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UploadKind {
    /// A picture in the dropbox, which waits to be claimed.
    Dropbox,
    /// A custom rendition of a file.
    Rendition,
    /// A version of a file.
    File,
}

impl UploadKind {
    /// The word in the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropbox => "dropbox",
            Self::Rendition => "rendition",
            Self::File => "file",
        }
    }
}

impl FromStr for UploadKind {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        [Self::Dropbox, Self::Rendition, Self::File]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// A word in the records that this version of the program does not know: a newer version wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" stands in the records, and this version of cloakroom does not know what it means")]
pub struct UnknownValue(pub(crate) String);

/// Why an upload was rejected or failed: a code that never changes its meaning, and a sentence for a person that names
/// what was wrong, what the limit was and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable and snake_case, for programs, metrics and logs.
    pub code: String,
    /// The sentence.
    pub why: String,
}

impl Reason {
    /// A reason of its two parts.
    pub fn new(code: &str, why: impl fmt::Display) -> Self {
        Self { code: code.to_owned(), why: why.to_string() }
    }
}

/// What a worker (or, past the deadline, the sweeper) decided about a job, as the waiting api hears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Outcome {
    /// What the job was to make is there.
    Ready,
    /// The client's fault.
    Rejected(Reason),
    /// Ours.
    Failed(Reason),
}

/// The picture as the selection widget shows it: 512 × 512, so a crop's numbers are in that space
/// (`contract/dropbox.md`, "crop").
pub const CROP_SPACE: u32 = 512;

/// A crop in [`CROP_SPACE`], always of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crop {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width, at least 1.
    pub w: u32,
    /// Height, at least 1.
    pub h: u32,
}

/// Who an upload was claimed for, or whose avatar is asked for: `{service}/{ID}` of the contract, the ID without the
/// federation member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// The kind of resource.
    pub service: Service,
    /// Its unique part.
    pub id: String,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service.as_str(), self.id)
    }
}

/// The five services whose resources have avatars (`contract/dropbox.md`, "Claim, avatars").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// People.
    Users,
    /// Apps.
    Apps,
    /// APIs.
    Apis,
    /// Groups.
    Groups,
    /// Businesses.
    Businesses,
}

impl Service {
    /// The word in the address and in the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Apps => "apps",
            Self::Apis => "apis",
            Self::Groups => "groups",
            Self::Businesses => "businesses",
        }
    }
}

impl FromStr for Service {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        [Self::Users, Self::Apps, Self::Apis, Self::Groups, Self::Businesses]
            .into_iter()
            .find(|service| service.as_str() == text)
            .ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// An upload as the records tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its number.
    pub id: UploadId,
    /// What it is for.
    pub kind: UploadKind,
    /// The id of the user who handed it in.
    pub owner: String,
    /// Where it stands.
    pub state: UploadState,
    /// The file name the client gave, cleaned of what could hurt a log or a header; a label, never a path.
    pub filename: String,
    /// What the bytes are.
    pub media: Media,
    /// How many there are.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
    /// Where they lie as they came, until the upload is settled.
    pub staged_key: String,
    /// Where the worker keeps them once they are checked; never served.
    pub original_key: Option<String>,
    /// The kind that `GET` without a preference gives: JPEG or PNG. Known once ready.
    pub default_media: Option<Media>,
    /// Pixels across, after the EXIF orientation is applied. Known once ready.
    pub width: Option<u32>,
    /// Pixels down, likewise.
    pub height: Option<u32>,
    /// Counts crops: every crop begins a new set of variants.
    pub generation: u32,
    /// The crop asked for last.
    pub crop: Option<Crop>,
    /// Why it was rejected, failed or expired.
    pub reason: Option<Reason>,
    /// What it was claimed for, by whom, when.
    pub claim: Option<Claim>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// When it is settled as failed if nothing else settled it.
    pub deadline: Timestamp,
    /// When it expires if nobody claims it.
    pub expires_at: Option<Timestamp>,
    /// About how long it takes to render, by its header.
    pub render_estimate: Duration,
}

/// A claim that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What for.
    pub resource: Resource,
    /// The user who claimed.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// One rendering of an upload, made by us, in blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Size and kind, such as `512.jpg`.
    pub name: VariantName,
    /// Where its bytes are.
    pub key: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hex; also its ETag.
    pub sha256: String,
}

/// One hop on an upload's way and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// A word: staged, queued, attempt, validated, rendered, promoted, ready, rejected, failed, claimed, expired, …
    pub what: String,
    /// The rest, for a person; may be empty.
    pub detail: String,
}

impl Event {
    /// An event of its parts.
    pub fn new(at: Timestamp, what: &str, detail: impl Into<String>) -> Self {
        Self { at, what: what.to_owned(), detail: detail.into() }
    }
}

/// The number of a job.
pub type JobId = Uuid;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_digits_in_range() {
        assert_eq!("1001".parse(), Ok(UploadId(1001)));
        assert_eq!("9007199254740991".parse(), Ok(UploadId(UploadId::MAX)));
        for text in ["", "0", "-1", "+1", " 1", "1 ", "1.0", "9007199254740992", "9223372036854775808", "abc", "١"] {
            assert_eq!(text.parse::<UploadId>(), Err(InvalidUploadId), "{text:?}");
        }
    }
}
