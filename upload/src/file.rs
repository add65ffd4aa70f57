//! Files, their versions and renditions, and who may do what with them, as api and worker speak of them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

use crate::upload::{UnknownValue, Upload, UploadId};

/// A file's id: opaque, 1 to 64 letters, digits, hyphens and underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileId(String);

/// A text that is no file's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file's id is 1 to 64 letters, digits, '-' and '_'")]
pub struct InvalidFileId;

impl FileId {
    /// A new one, as the contract's look: 44 characters that begin with a `D` and have a `T` among hexadecimal digits.
    pub fn generate() -> Self {
        let digits = format!("{:X}{:X}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
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

/// What somebody may do with a file; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileRole {
    /// May look.
    Viewer,
    /// May take bytes away.
    Downloader,
    /// May upload, change and delete.
    Contributor,
    /// May share.
    Manager,
    /// Whose it is.
    Owner,
}

impl FileRole {
    /// The word on the wire and in the records.
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

/// What gives somebody a right to a file. It is looked up each time it is used, and never kept as the role it gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccessGrant {
    /// What a user was given, or owns.
    User(String),
    /// An applink's.
    Applink(String),
    /// A public link's.
    PublicLink(String),
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// Whose it is.
    pub owner: String,
    /// What it is called: as its latest version.
    pub name: String,
    /// The number of its latest version.
    pub latest_version: u32,
    /// When it came.
    pub created_at: Timestamp,
    /// When its latest version came.
    pub changed_at: Timestamp,
}

/// A version of a file that can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion {
    /// The row's number.
    pub id: i64,
    /// 1, 2, …
    pub number: u32,
    /// What it was called when it was uploaded.
    pub name: String,
    /// Who uploaded it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Its bytes; None where they live in another system.
    pub upload: Option<Upload>,
}

/// A custom rendition that can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// The row's number.
    pub id: i64,
    /// As it was written.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The extension of the uploaded file's name, without the dot; may be empty.
    pub extension: String,
    /// Its bytes.
    pub upload: Upload,
}

/// Whom a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anybody.
    Everybody,
    /// Anybody who is logged in.
    ServiceInstance,
    /// These users.
    Users(Vec<String>),
}

impl Audience {
    /// The word for anybody.
    pub const EVERYBODY: &'static str = "@everybody";
    /// The word for anybody who is logged in.
    pub const SERVICE_INSTANCE: &'static str = "@serviceinstance";

    /// Whether it names nobody in particular.
    pub fn is_general_access(&self) -> bool {
        !matches!(self, Self::Users(_))
    }

    /// The words in the records.
    pub fn to_strings(&self) -> Vec<String> {
        match self {
            Self::Everybody => vec![Self::EVERYBODY.to_owned()],
            Self::ServiceInstance => vec![Self::SERVICE_INSTANCE.to_owned()],
            Self::Users(users) => users.clone(),
        }
    }

    /// What these words say.
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
    /// What it leads to.
    pub file: FileId,
    /// For whom: one user, or a word that stands for many.
    pub audience: Audience,
    /// What it gives.
    pub role: FileRole,
    /// Who made it; it is worth nothing once they may not share the file any more.
    pub created_by: String,
}

/// A link for people to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicLink {
    /// Its id.
    pub id: String,
    /// What it leads to.
    pub file: FileId,
    /// What it is called; may be empty.
    pub name: String,
    /// For whom.
    pub audience: Audience,
    /// What it gives.
    pub role: FileRole,
    /// An argon2id hash in PHC format, where it is protected.
    pub password_hash: Option<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Who made it; it is worth nothing once they may not share the file any more.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// What an upload into a file is to become.
#[derive(Clone, Debug)]
pub enum UploadTarget {
    /// A custom rendition of the version with this row number.
    Rendition {
        /// Of which version.
        version: i64,
        /// Called what.
        name: crate::RenditionName,
        /// May be empty.
        description: String,
        /// The most that a version may have.
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
    /// The version has a rendition of that name, or one is on its way.
    NameTaken,
    /// The version has as many renditions as it may.
    TooManyRenditions,
}

/// An idempotency key that a request holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKeyLock {
    /// Whose key.
    pub caller: String,
    /// The key.
    pub key: String,
    /// When the request took it, in milliseconds since 1970. A request whose hold ended, and whose key another request
    /// took since, is told from its successor by this.
    pub locked_at: i64,
}

/// A key under which a request is done once, and what the request was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key.
    pub lock: IdempotencyKeyLock,
    /// A digest of all that was asked for.
    pub fingerprint: String,
}

/// What is known of a key when a request begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotencyLockResult {
    /// Nothing; it is the caller's from now on.
    Acquired(IdempotencyKeyLock),
    /// Another request holds it.
    InFlight {
        /// When that request took it.
        locked_at: Timestamp,
        /// When that request loses it unless it renews it.
        locked_until: Timestamp,
    },
    /// A request with it was answered.
    Completed {
        /// What was asked for.
        fingerprint: String,
        /// The answer.
        response: String,
    },
    /// A request with it admitted an upload, and whoever was to answer is gone.
    Admitted {
        /// What was asked for.
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
    fn roles_include_those_before() {
        assert!(FileRole::Viewer < FileRole::Downloader && FileRole::Manager < FileRole::Owner);
        assert_eq!("contributor".parse(), Ok(FileRole::Contributor));
        assert!("Owner".parse::<FileRole>().is_err());
    }
}
