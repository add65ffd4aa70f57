//! A namespace for one test in a bucket: at a real server whose address is given, or on an S3 server in this process
//! that can inject faults.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use domain::Secret;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use instrument::FailPoints;
use s3s::service::{S3Service, S3ServiceBuilder};
use storage::{BlobContent, Blobs, NewBlob, Staging, StoreError, StoreSettings};

use crate::engine_address::{BucketAccount, real_buckets};

/// A fault that the server injects into the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Fault {
    /// 503, "slow down".
    SlowDown,
    /// 404 without an S3 error body, as from a proxy that does not know the store.
    NotFound,
    /// The connection is closed in the middle of the response.
    Truncated,
}

/// Staging and blobs under two prefixes of one bucket.
pub struct TestStores {
    pub staging: Staging,
    pub blobs: Blobs,
    /// The S3 server in this process, if the bucket is on it.
    pub local_server: Option<LocalS3>,
}

pub struct LocalS3 {
    folder: tempfile::TempDir,
    pub pending_faults: Arc<Mutex<VecDeque<S3Fault>>>,
    _serving: tokio_util::task::AbortOnDropHandle<()>,
}

/// The settings of a store in a folder.
pub fn folder_store(folder: &Path) -> StoreSettings {
    StoreSettings {
        url: Secret::new(format!("file://{}", folder.display())),
        endpoint: String::new(),
        region: String::new(),
        access_key_id: String::new(),
        secret_access_key: Secret::default(),
        min_free: Default::default(),
    }
}

/// Runs a test on the S3 server in this process, and on each real server of buckets whose address a variable gives.
pub async fn on_each_bucket(test: impl AsyncFn(&TestStores)) {
    test(&TestStores::local().await).await;
    for account in real_buckets() {
        test(&TestStores::open(&account, None)).await;
    }
}

impl TestStores {
    /// Opens a bucket on the server in this process.
    pub async fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("pictures")).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(s3s::auth::SimpleAuth::from_single("AK", "SKSKSKSK"));
        let service = service.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pending_faults: Arc<Mutex<VecDeque<S3Fault>>> = Arc::default();
        let faults = Arc::clone(&pending_faults);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (service, faults) = (service.clone(), Arc::clone(&faults));
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(service.clone(), Arc::clone(&faults), request));
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        let serving = tokio_util::task::AbortOnDropHandle::new(serving);
        let server = LocalS3 { folder, pending_faults, _serving: serving };
        Self::open(&BucketAccount::s3(&format!("http://AK:SKSKSKSK@{address}/pictures")), Some(server))
    }

    fn open(account: &BucketAccount, server: Option<LocalS3>) -> Self {
        let space = uuid::Uuid::now_v7().simple();
        let settings = |place: &str| account.store_settings(&format!("{space}/{place}"));
        let staging = Staging::open(&settings("staging"), FailPoints::default()).unwrap();
        let blobs = Blobs::open(&settings("blobs"), FailPoints::default()).unwrap();
        Self { staging, blobs, local_server: server }
    }
}

impl TestStores {
    /// Puts one blob.
    pub async fn put_blob(&self, key: &str, bytes: Bytes) {
        let object = NewBlob { key: key.to_owned(), content: BlobContent::Bytes(bytes) };
        self.blobs.put_batch(&self.staging, vec![object]).await.unwrap();
    }

    /// Copies a staged object to a blob.
    pub async fn copy_to_blobs(
        &self,
        staging: &Staging,
        staged: &str,
        key: &str,
        in_memory: Option<Bytes>,
    ) -> Result<(), StoreError> {
        let content = BlobContent::Staged { key: staged.to_owned(), in_memory };
        self.blobs.put_batch(staging, vec![NewBlob { key: key.to_owned(), content }]).await
    }
}

impl LocalS3 {
    pub fn inject(&self, faults: impl IntoIterator<Item = S3Fault>) {
        self.pending_faults.lock().unwrap().extend(faults);
    }

    /// Every file of the server, complete or not.
    pub fn files(&self) -> Vec<PathBuf> {
        fn below(folder: PathBuf) -> Vec<PathBuf> {
            let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
            entries.flat_map(|path| if path.is_dir() { below(path) } else { vec![path] }).collect()
        }
        below(self.folder.path().to_owned())
    }
}

async fn answer(
    service: S3Service,
    faults: Arc<Mutex<VecDeque<S3Fault>>>,
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>>, Infallible> {
    let fault = faults.lock().unwrap().pop_front();
    if fault == Some(S3Fault::SlowDown) {
        let busy =
            Full::new(Bytes::from_static(b"<Error><Code>SlowDown</Code></Error>")).map_err(|never| match never {});
        return Ok(Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).body(busy.boxed_unsync()).unwrap());
    }
    if fault == Some(S3Fault::NotFound) {
        let lost = Full::new(Bytes::from_static(b"no such backend")).map_err(|never| match never {});
        return Ok(Response::builder().status(StatusCode::NOT_FOUND).body(lost.boxed_unsync()).unwrap());
    }
    let answered = service.call(request.map(s3s::Body::from)).await.unwrap();
    let (parts, body) = answered.into_parts();
    let whole = body.collect().await.unwrap().to_bytes();
    if fault == Some(S3Fault::Truncated) {
        let half = whole.slice(..whole.len() / 2);
        let torn = futures::stream::iter([
            Ok(hyper::body::Frame::data(half)),
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
        ]);
        return Ok(Response::from_parts(parts, http_body_util::StreamBody::new(torn).boxed_unsync()));
    }
    Ok(Response::from_parts(parts, Full::new(whole).map_err(|never| match never {}).boxed_unsync()))
}
