//! An upload, its states, its claim and its variants.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::crop::{Crop, UNCROPPED_GENERATION};
use crate::media::Media;
use crate::reason::Reason;
use crate::unknown_value::UnknownValue;
use crate::variant_name::VariantName;

/// The number of an upload: a `long` from 1 to 2^53 - 1. The records give numbers from 1001 on
/// (`docs/contracts/dropbox.md`, 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(i64);

/// A text that is no upload number.
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

    /// Parses plain decimal digits only: no sign, no blanks.
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

/// The state of an upload. It begins as accepted and ends, by its deadline, as one of the others. A ready dropbox
/// picture that is not claimed ends as expired, and so does every upload that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UploadState {
    /// Durable in staging and in the records; a worker will decide.
    Accepted,
    /// Checked, rendered and served.
    Ready,
    /// A worker rejected it for a reason that the client can correct.
    Rejected,
    /// Processing failed, for a reason that is not the client's.
    Failed,
    /// It was not claimed in time, or it was deleted; its reason says which. Its bytes are deleted or will be.
    Expired,
}

impl UploadState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Ready, Self::Rejected, Self::Failed, Self::Expired];

    /// The name in the records and in JSON.
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
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// The purpose of an upload.
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
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Dropbox, Self::Rendition, Self::File];

    /// The name in the records.
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
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// The resource that an upload was claimed for, or whose avatar is requested: `{service}/{ID}` of the contract, the
/// ID without the federation member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// The kind of resource.
    pub service: Service,
    /// Its unique id.
    pub id: String,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service.as_str(), self.id)
    }
}

/// The five services whose resources have avatars (`docs/contracts/dropbox.md`, 1.3).
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
    /// The name in the address and in the records.
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

/// An upload as stored in the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its number.
    pub id: UploadId,
    /// Its purpose.
    pub kind: UploadKind,
    /// The id of the uploading user.
    pub owner: String,
    /// Its state.
    pub state: UploadState,
    /// The client's file name, cleaned of what could harm a log or a header; a label, never a path.
    pub filename: String,
    /// The media type of the bytes.
    pub media: Media,
    /// The number of bytes.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
    /// The key of the bytes in staging, until the upload is settled.
    pub staged_key: String,
    /// The key of the original in blobs, once the upload is checked; a dropbox original is never served.
    pub original_key: Option<String>,
    /// The type that `GET` without a preference returns: JPEG or PNG. Known once ready.
    pub default_media: Option<Media>,
    /// Pixels across, after the EXIF orientation is applied. Known once ready.
    pub width: Option<u32>,
    /// Pixels down, likewise.
    pub height: Option<u32>,
    /// The number of crops: every crop begins a new set of variants.
    pub generation: u32,
    /// The latest crop.
    pub crop: Crop,
    /// Why it was rejected, failed or expired.
    pub reason: Option<Reason>,
    /// The claim, if it was claimed.
    pub claim: Option<Claim>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// When it is settled as failed unless it was settled before.
    pub deadline: Timestamp,
    /// When it expires unless it is claimed.
    pub expires_at: Option<Timestamp>,
    /// The estimated time to render it, from its header.
    pub render_estimate: Duration,
}

impl Upload {
    /// Returns what the variant `name` of `generation` shows of the picture. None if the picture was cropped since then.
    ///
    /// The whole upright picture is the exception: its variants belong to the generation before the first crop and can
    /// be made at any time, because they are what a client shows in order to crop (`docs/contracts/dropbox.md`, 3.7).
    pub fn crop_of(&self, generation: u32, name: VariantName) -> Option<Crop> {
        if generation == self.generation {
            return Some(self.crop);
        }
        (generation == UNCROPPED_GENERATION && name.shows_whole()).then(Crop::default)
    }
}

/// A valid claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The resource it was claimed for.
    pub resource: Resource,
    /// The user who claimed.
    pub by: String,
    /// When it was claimed.
    pub at: Timestamp,
}

/// One rendered variant of an upload, in blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Size and type, such as `512.jpg`.
    pub name: VariantName,
    /// The key of its bytes.
    pub key: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hex; also its ETag.
    pub sha256: String,
}

/// The id of a job.
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
