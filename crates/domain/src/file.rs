//! Files, their versions and renditions, roles and links, as used by api and worker.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::random::random_id;
use crate::unknown_value::UnknownValue;
use crate::upload::{Upload, UploadId};

/// A file's id: opaque, 1 to 64 letters, digits, hyphens and underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileId(String);

/// A text that is no valid file id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file's id is 1 to 64 letters, digits, '-' and '_'")]
pub struct InvalidFileId;

impl FileId {
    /// Generates an id in the contract's form: 44 characters that begin with a `D` and have a `T` among hexadecimal
    /// digits.
    pub fn generate() -> Self {
        let digits = format!("{:X}{:X}", random_id().simple(), random_id().simple());
        let (head, tail) = digits.split_at(23);
        Self(format!("D{head}T{}", &tail[..19]))
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileId {
    type Err = InvalidFileId;

    fn from_str(text: &str) -> Result<Self, InvalidFileId> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(fine);
        fits.then(|| Self(text.to_owned())).ok_or(InvalidFileId)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's or link's role at a file; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileRole {
    /// May view.
    Viewer,
    /// May download.
    Downloader,
    /// May upload, change and delete.
    Contributor,
    /// May share.
    Manager,
    /// Owns the file.
    Owner,
}

impl FileRole {
    /// The name on the wire and in the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Downloader => "downloader",
            Self::Contributor => "contributor",
            Self::Manager => "manager",
            Self::Owner => "owner",
        }
    }
}

impl FromStr for FileRole {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        [Self::Viewer, Self::Downloader, Self::Contributor, Self::Manager, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// The source of a right to a file. The records store this source and never the role that it gave.
/// The role is looked up each time the right is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccessGrant {
    /// A user's grant or ownership.
    User(String),
    /// An applink.
    Applink(String),
    /// A public link.
    PublicLink(String),
}

impl fmt::Display for AccessGrant {
    /// Writes the form in which the records store it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Applink(id) => write!(f, "applink:{id}"),
            Self::PublicLink(id) => write!(f, "publiclink:{id}"),
        }
    }
}

impl FromStr for AccessGrant {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        match text.split_once(':') {
            Some(("user", id)) => Ok(Self::User(id.to_owned())),
            Some(("applink", id)) => Ok(Self::Applink(id.to_owned())),
            Some(("publiclink", id)) => Ok(Self::PublicLink(id.to_owned())),
            _ => Err(UnknownValue(text.to_owned())),
        }
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// The owner.
    pub owner: String,
    /// The name of its latest version.
    pub name: String,
    /// The number of its latest version.
    pub latest_version: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its latest version was created.
    pub changed_at: Timestamp,
}

/// A ready version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion {
    /// The id of the row.
    pub id: i64,
    /// The number of the version: 1, 2, …
    pub number: u32,
    /// The name of the file as it was uploaded.
    pub name: String,
    /// The uploading user.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// The upload with its bytes; None if they are in another system.
    pub upload: Option<Upload>,
}

impl FileVersion {
    /// When its content became readable: when the upload was ready, or when the version was registered.
    pub fn modified_at(&self) -> Timestamp {
        self.upload.as_ref().and_then(|upload| upload.settled_at).unwrap_or(self.created_at)
    }
}

/// A ready custom rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// The id of the row.
    pub id: i64,
    /// The name as written by the client.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The extension of the uploaded file's name, without the dot; may be empty.
    pub extension: String,
    /// The upload with its bytes.
    pub upload: Upload,
}

/// The audience of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anyone.
    Everybody,
    /// Any logged-in user.
    ServiceInstance,
    /// These users.
    Users(Vec<String>),
}

impl Audience {
    /// The word for anyone.
    pub const EVERYBODY: &'static str = "@everybody";
    /// The word for any logged-in user.
    pub const SERVICE_INSTANCE: &'static str = "@serviceinstance";

    /// Whether the link is for anyone or for any logged-in user, and not for named users only.
    pub fn is_general_access(&self) -> bool {
        !matches!(self, Self::Users(_))
    }

    /// The words stored in the records.
    pub fn to_strings(&self) -> Vec<String> {
        match self {
            Self::Everybody => vec![Self::EVERYBODY.to_owned()],
            Self::ServiceInstance => vec![Self::SERVICE_INSTANCE.to_owned()],
            Self::Users(users) => users.clone(),
        }
    }

    /// Parses the words stored in the records.
    pub fn from_strings(texts: Vec<String>) -> Self {
        if texts.iter().any(|text| text == Self::EVERYBODY) {
            Self::Everybody
        } else if texts.iter().any(|text| text == Self::SERVICE_INSTANCE) {
            Self::ServiceInstance
        } else {
            Self::Users(texts)
        }
    }
}

/// A link for an application to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applink {
    /// Its id.
    pub id: String,
    /// The file.
    pub file: FileId,
    /// The audience: one user, or a word for many.
    pub audience: Audience,
    /// The role it gives.
    pub role: FileRole,
    /// The user who created it. The link is void once this user may not share the file any more.
    pub created_by: String,
}

/// A public link to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicLink {
    /// Its id.
    pub id: String,
    /// The file.
    pub file: FileId,
    /// The link's name; may be empty.
    pub name: String,
    /// The audience.
    pub audience: Audience,
    /// The role it gives.
    pub role: FileRole,
    /// An argon2id hash in PHC format, if the link has a password.
    pub password_hash: Option<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The expiry time in the creator's own words, which responses repeat.
    pub expiration_time: Option<String>,
    /// The user who created it. The link is void once this user may not share the file any more.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// The target of an upload into a file.
#[derive(Clone, Debug)]
pub enum UploadTarget {
    /// A custom rendition of a version.
    Rendition {
        /// The row id of the version.
        version: i64,
        /// The name of the rendition.
        name: crate::rendition_name::RenditionName,
        /// May be empty.
        description: String,
        /// The most renditions that a version may have.
        max_renditions: u64,
    },
    /// The first version of a new file.
    NewFile(FileId),
    /// The next version of a file.
    NextVersion(FileId),
}

/// Why an upload into a file was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetConflict {
    /// The version has a rendition of that name, or one is being uploaded.
    NameTaken,
    /// The version has as many renditions as it may.
    TooManyRenditions,
    /// Another version than the expected one is the latest, or will be once it is processed.
    VersionChanged,
    /// The file was deleted.
    FileDeleted,
}

/// A lock on an idempotency key, held by a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKeyLock {
    /// The caller that the key belongs to.
    pub caller: String,
    /// The key.
    pub key: String,
    /// When the request locked it, in milliseconds since 1970. This distinguishes a request whose
    /// lock has ended from the later request that has locked the key since.
    pub locked_at: i64,
}

/// An idempotency key with the digest of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key.
    pub lock: IdempotencyKeyLock,
    /// A digest of the request.
    pub fingerprint: String,
}

/// The state of an idempotency key when a request begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotencyLockResult {
    /// The key was free; the request has locked it.
    Acquired(IdempotencyKeyLock),
    /// Another request has locked it.
    InFlight {
        /// When that request locked it.
        locked_at: Timestamp,
        /// When that request's lock ends unless it is renewed.
        locked_until: Timestamp,
    },
    /// A request with this key was answered.
    Completed {
        /// The fingerprint of that request.
        fingerprint: String,
        /// The answer.
        response: String,
    },
    /// A request with this key admitted an upload, and the process that should have answered is
    /// gone.
    Admitted {
        /// The fingerprint of that request.
        fingerprint: String,
        /// The upload.
        upload: UploadId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_the_contracts() {
        let id = FileId::generate();
        assert_eq!(id.as_str().len(), 44);
        assert!(id.as_str().starts_with('D') && id.as_str().contains('T'));
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(FileId::generate(), id);
        for text in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert_eq!(text.parse::<FileId>(), Err(InvalidFileId), "{text}");
        }
    }

    #[test]
    fn grants_are_stored_in_these_words() {
        for (grant, stored) in [
            (AccessGrant::User("mary".to_owned()), "user:mary"),
            (AccessGrant::Applink("1:a".to_owned()), "applink:1:a"),
            (AccessGrant::PublicLink("2".to_owned()), "publiclink:2"),
        ] {
            assert_eq!(grant.to_string(), stored);
            assert_eq!(stored.parse(), Ok(grant));
        }
        assert!("mary".parse::<AccessGrant>().is_err());
    }

    #[test]
    fn roles_include_those_before() {
        assert!(FileRole::Viewer < FileRole::Downloader && FileRole::Manager < FileRole::Owner);
        assert_eq!("contributor".parse(), Ok(FileRole::Contributor));
        assert!("Owner".parse::<FileRole>().is_err());
    }
}
