//! An object store under a prefix, whichever engine it is: what staging and blobs are both made of.
//!
//! Correctness never rests on conditional writes, which some S3 servers ignore: every key is written once because
//! nobody else knows it, and the records say which key counts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions};

mod failure;
mod folder;
mod listing;
mod object;
mod parts;
mod s3;
mod settings;
mod sizes;
mod stream;

pub use object::{Content, Object};
pub(crate) use parts::Parts;
pub use settings::StoreSettings;

use crate::error_chain::chain;
use crate::faults::{Faults, Struck};
use crate::free_space::{FreeSpace, LowSpace};
use crate::tls;
use crate::{Backend, Media};
use folder::{Folder, Source};
use settings::Address;
use sizes::PartSizes;

/// How long one operation may take. A bucket has shorter limits for each request; this is for a folder on a disk that does
/// not answer, whose thread cannot be stopped: nobody waits for it any longer, and what it writes late is removed.
const LONGEST: Duration = Duration::from_secs(60);

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("{place} has no object \"{key}\"")]
    Missing {
        /// Which place.
        place: &'static str,
        /// The key asked for.
        key: String,
    },
    /// The disk or the quota is full.
    #[error("{place} is full: free room or give it more")]
    Full {
        /// Which place.
        place: &'static str,
    },
    /// The address cannot be opened.
    #[error("{place}.url \"{url}\" cannot be opened: {why}")]
    Address {
        /// Which place.
        place: &'static str,
        /// The address, without its secrets.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// An operator has to set something right before the store can do anything.
    #[error("{place}: {why}; check {place}.url, its endpoint and its key: {detail}")]
    Misconfigured {
        /// Which place.
        place: &'static str,
        /// What is wrong, in words that may be public.
        why: &'static str,
        /// The engine's own words.
        detail: String,
    },
    /// The engine did not do it, this time.
    #[error("{place}: {}", chain(source))]
    Engine {
        /// Which place.
        place: &'static str,
        /// The engine's own words.
        source: object_store::Error,
    },
    /// A test made it fail.
    #[error(transparent)]
    Struck(#[from] Struck),
}

impl StoreError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Missing { .. } | Self::Address { .. })
    }

    /// The backend that failed.
    pub(crate) fn backend(&self) -> Backend {
        match self {
            Self::Missing { place: "blobs", .. }
            | Self::Full { place: "blobs" }
            | Self::Address { place: "blobs", .. }
            | Self::Misconfigured { place: "blobs", .. }
            | Self::Engine { place: "blobs", .. } => Backend::Blobs,
            _ => Backend::Staging,
        }
    }
}

/// A store, opened.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    place: &'static str,
    engine: Arc<dyn ObjectStore>,
    prefix: Path,
    sizes: PartSizes,
    home: Home,
    /// For a folder: its file system.
    space: Option<FreeSpace>,
    /// How long one operation may take.
    limit: Duration,
    faults: Faults,
}

/// What an engine is beyond what all of them can do.
#[derive(Clone, Debug)]
enum Home {
    /// A folder of this machine.
    Folder(Folder),
    /// A bucket, and what says that another store is in the same.
    Bucket { s3: s3::Clients, address: String },
}

impl Store {
    pub(crate) fn open(place: &'static str, settings: &StoreSettings, faults: Faults) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::Address { place, url: settings.url.to_string(), why };
        match settings.address(place)? {
            Address::Folder(folder) => {
                let folder = Folder::open(&folder).map_err(|error| wrong(error.to_string()))?;
                let engine = Arc::new(folder.engine());
                let (prefix, sizes) = (Path::default(), PartSizes::of_files());
                let space = Some(FreeSpace::new(place, folder.root().to_owned(), settings.min_free));
                let home = Home::Folder(folder);
                Ok(Self { place, engine, prefix, sizes, home, space, limit: LONGEST, faults })
            }
            Address::Bucket { bucket, prefix, ca_file } => {
                let trusted = ca_file.map(|file| tls::read(&file)).transpose().map_err(wrong)?;
                let s3 = s3::open(bucket, settings, trusted.as_deref(), s3::WHOLE);
                let s3 = s3.map_err(|error| wrong(chain(&error)))?;
                let home = format!("{}/{bucket} as {}", settings.endpoint, settings.access_key_id);
                let engine = Arc::clone(&s3.usual);
                let home = Home::Bucket { s3, address: home };
                let sizes = PartSizes::of_a_bucket();
                Ok(Self { place, engine, prefix, sizes, home, space: None, limit: LONGEST, faults })
            }
        }
    }

    /// Writes an object whole.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let put = async {
            match &self.home {
                Home::Folder(folder) => {
                    let written = folder.write(vec![(self.file(folder, key)?, Source::Bytes(bytes))]).await;
                    written.map_err(|error| self.failed(key, error))
                }
                Home::Bucket { .. } => {
                    let options = PutOptions { attributes: attributes(key), ..PutOptions::default() };
                    let put = self.engine.put_opts(&self.path(key), bytes.into(), options).await;
                    put.map(drop).map_err(|error| self.error(key, error))
                }
            }
        };
        self.watch("put", put).await
    }

    /// Writes into a folder, in one go and all of them or none, those objects whose bytes it can get at by itself. Returns
    /// the others: all where this is a bucket, and what is in a bucket of `staging` where nobody holds it.
    pub(crate) async fn put_together(&self, staging: &Self, objects: Vec<Object>) -> Result<Vec<Object>, StoreError> {
        let Home::Folder(folder) = &self.home else { return Ok(objects) };
        let (mut files, mut apart, mut staged) = (Vec::new(), Vec::new(), String::new());
        for Object { key, content } in objects {
            let path = self.file(folder, &key)?;
            match (content, &staging.home) {
                (Content::Bytes(bytes), _) | (Content::Staged { held: Some(bytes), .. }, Home::Bucket { .. }) => {
                    files.push((path, Source::Bytes(bytes)));
                }
                (Content::Staged { key, held }, Home::Folder(there)) => {
                    files.push((path, Source::File { path: staging.file(there, &key)?, held }));
                    staged = key;
                }
                (content, Home::Bucket { .. }) => apart.push(Object { key, content }),
            }
        }
        if !files.is_empty() {
            let put = async {
                folder.write(files).await.map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound if !staged.is_empty() => staging.lost(&staged, error),
                    _ => self.failed("", error),
                })
            };
            self.watch("put", put).await?;
        }
        Ok(apart)
    }

    /// Has a bucket copy what `from` has under `key` without its bytes passing through this process. False where the two
    /// are not in one bucket, or where it did not work out: then they have to.
    pub(crate) async fn copy(&self, from: &Self, key: &str, to: &str) -> Result<bool, StoreError> {
        let copy = async {
            Ok::<_, StoreError>(match (&self.home, &from.home) {
                (Home::Bucket { address: here, .. }, Home::Bucket { address: there, .. }) if here == there => {
                    self.engine.copy(&from.path(key), &self.path(to)).await.is_ok()
                }
                _ => false,
            })
        };
        self.watch("copy", copy).await
    }

    /// An address under which anybody can get the object for as long as `valid`; None where the engine has no such thing.
    pub(crate) async fn signed(&self, key: &str, valid: Duration) -> Result<Option<String>, StoreError> {
        let Home::Bucket { s3, .. } = &self.home else { return Ok(None) };
        let url = s3.usual.signed_url(reqwest::Method::GET, &self.path(key), valid).await;
        Ok(Some(url.map_err(|error| self.error(key, error))?.into()))
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        let get = async {
            let found = self.engine.get(&self.path(key)).await.map_err(|error| self.error(key, error))?;
            found.bytes().await.map_err(|error| self.error(key, error))
        };
        self.watch("get", get).await
    }

    /// The same, of an object that nobody will read again soon.
    pub(crate) async fn get_once(&self, key: &str) -> Result<Bytes, StoreError> {
        let Home::Folder(folder) = &self.home else { return self.get(key).await };
        let get = async { folder.read_once(self.file(folder, key)?).await.map_err(|error| self.lost(key, error)) };
        self.watch("get", get).await
    }

    /// Deletes one object; that it is not there is what was wanted.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let delete = async {
            match self.engine.delete(&self.path(key)).await.map_err(|error| self.error(key, error)) {
                Err(StoreError::Missing { .. }) => Ok(()),
                other => other,
            }
        };
        self.watch("delete", delete).await
    }

    /// Deletes every object whose key begins with `prefix`. Returns how many there were.
    pub(crate) async fn remove_all(&self, prefix: &str) -> Result<usize, StoreError> {
        let remove = async {
            match &self.home {
                Home::Folder(folder) => {
                    let (directory, stem) = prefix.rsplit_once('/').unwrap_or(("", prefix));
                    let removed = folder.remove(self.file(folder, directory)?, stem.to_owned()).await;
                    removed.map_err(|error| self.failed(prefix, error))
                }
                Home::Bucket { s3, .. } => {
                    let whole =
                        self.prefix.parts().map(|part| format!("{}/", part.as_ref())).collect::<String>() + prefix;
                    let found =
                        s3::beginning_with(&s3.usual, &whole).await.map_err(|error| self.error(prefix, error))?;
                    self.delete_all(found).await
                }
            }
        };
        self.watch("remove_all", remove).await
    }

    /// As many to a request as the engine takes.
    async fn delete_all(&self, paths: Vec<Path>) -> Result<usize, StoreError> {
        let count = paths.len();
        let mut deleted = self.engine.delete_stream(futures::stream::iter(paths).map(Ok).boxed());
        while let Some(one) = deleted.next().await {
            match one.map_err(|error| self.error("", error)) {
                Ok(_) | Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Whether the store would leave its reserve free with `incoming` more bytes. True for a bucket.
    pub(crate) async fn check_space(&self, incoming: u64) -> Result<(), LowSpace> {
        match &self.space {
            Some(space) => space.check(incoming).await,
            None => Ok(()),
        }
    }

    /// Whether the store answers: asks for an object that is not there. By GET, because the answer to HEAD has no body and
    /// does not say whether it is the object that is missing or the bucket.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let key = "is-anybody-there";
        let ping = async {
            match self.engine.get(&self.path(key)).await.map_err(|error| self.error(key, error)) {
                Ok(_) | Err(StoreError::Missing { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        };
        self.watch("ping", ping).await
    }

    /// Runs one operation, counted, timed and limited.
    async fn watch<T>(
        &self,
        op: &'static str,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limited = async {
            let in_time = tokio::time::timeout(self.limit, operation).await;
            in_time.unwrap_or_else(|_| Err(stream::silent(self.place, self.limit)))
        };
        self.faults.watch(self.place, op, limited).await
    }

    fn path(&self, key: &str) -> Path {
        self.prefix.parts().chain(Path::from(key).parts()).collect()
    }

    /// The file that has this key in our folder.
    fn file(&self, folder: &Folder, key: &str) -> Result<PathBuf, StoreError> {
        folder.path(&self.path(key)).map_err(|error| self.error(key, error))
    }

    fn missing(&self, key: &str) -> StoreError {
        StoreError::Missing { place: self.place, key: key.to_owned() }
    }

    /// What went wrong in a folder with a file that was there.
    fn lost(&self, key: &str, error: io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::NotFound => {
                self.error(key, object_store::Error::NotFound { path: key.to_owned(), source: Box::new(error) })
            }
            _ => self.failed(key, error),
        }
    }

    /// What went wrong in a folder.
    fn failed(&self, key: &str, error: io::Error) -> StoreError {
        self.error(key, object_store::Error::Generic { store: "folder", source: Box::new(error) })
    }
}

/// What a bucket says of an object to whoever is sent there; a folder has nowhere to keep it.
fn attributes(key: &str) -> Attributes {
    let media = key.rsplit_once('.').and_then(|(_, extension)| Media::from_extension(extension));
    media.map(|media| (Attribute::ContentType, media.mime().to_owned())).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_full_disk_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings {
            url: Secret::new(format!("file://{}", folder.path().display())),
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            min_free: Default::default(),
        };
        let store = Store::open("staging", &settings, Faults::default()).unwrap();
        for (kind, full) in
            [(io::ErrorKind::StorageFull, true), (io::ErrorKind::QuotaExceeded, true), (io::ErrorKind::Other, false)]
        {
            let error = store.failed("incoming/a", kind.into());
            assert_eq!(matches!(error, StoreError::Full { .. }), full, "{error}");
        }
    }
}
