//! What all engines for buckets at a server have in common: the form of the address, the limits of
//! requests, and the operations. Such an engine adds a client, which implements [`BucketClient`],
//! and its address.

use std::fmt::Debug;
use std::time::Duration;

use address::{param, read_ca_file};
use async_trait::async_trait;
use futures::StreamExt;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, Error, ObjectStore, ObjectStoreExt, Result, RetryConfig,
};

use crate::engine::{FailureKind, StorageEngine};
use crate::engine_address::{AddressFault, CA_FILE, EngineAddress};
use crate::part_size::PartSizes;

/// The time limit of a request with its body, such as a part of 5 MiB over a slow line.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Messages for faults that an operator has to correct. They may be public.
pub(crate) const NO_BUCKET: &str = "the bucket does not exist";
pub(crate) const NOT_ACCEPTED: &str = "the store does not accept the access key";
pub(crate) const DENIED: &str = "the store denies access";

/// The client of one kind of servers.
#[async_trait]
pub(crate) trait BucketClient: ObjectStore + PaginatedListStore + Signer {
    /// Tells what an error means at such a server.
    fn classify(error: &Error) -> FailureKind;

    /// Copies an object inside the bucket at the server. The copy is whole and durable when this returns.
    async fn copy_inside(&self, from: &Path, to: &Path) -> Result<()> {
        self.copy(from, to).await
    }
}

/// A bucket with two clients, because a client has one limit for all its requests.
#[derive(Debug)]
pub(crate) struct Bucket<C> {
    /// The client with a limit for each request.
    pub(crate) bounded: C,
    /// The client for bodies that are read slowly. It has no limit, because the reader limits each
    /// step instead.
    pub(crate) streaming: C,
    /// Names the server, the bucket and the access key. The server copies objects between two stores only if these
    /// names are equal.
    pub(crate) copy_scope: String,
    pub(crate) part_sizes: PartSizes,
}

/// The options of both clients of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketClientOptions {
    pub(crate) bounded: ClientOptions,
    pub(crate) streaming: ClientOptions,
}

/// The place that `bucket/prefix` names, and the certificate authorities that may have issued the server's certificate.
#[derive(Debug)]
pub(crate) struct BucketPlace<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) prefix: Path,
    /// The certificates of these authorities in PEM. They are trusted besides the system's.
    pub(crate) ca_certificates: Option<String>,
}

impl<'a> BucketPlace<'a> {
    /// Parses `//bucket/prefix` and reads the file of the parameter `ca_file`.
    pub(crate) fn parse(address: &EngineAddress<'a>) -> Result<Self, AddressFault> {
        let place = address.place.strip_prefix("//").unwrap_or_default();
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(AddressFault::Form);
        }
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| error.to_string())?;
        let ca_file = param(&address.params, CA_FILE);
        if ca_file.is_some() && address.settings.is_plaintext() {
            return Err(format!("{CA_FILE} is for an endpoint that begins with https://").into());
        }
        let ca_certificates = ca_file.map(read_ca_file).transpose()?;
        Ok(Self { bucket, prefix, ca_certificates })
    }

    /// The options of both clients. The timeout of a connection attempt is short, because a client
    /// of the api waits for it. `request_timeout` limits a request with its body.
    pub(crate) fn client_options(&self, request_timeout: Duration) -> Result<BucketClientOptions> {
        // The whole program uses one provider of TLS. An error means that another backend has installed it already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut options = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_allow_http(true);
        let trusted = self.ca_certificates.as_deref().unwrap_or_default();
        for certificate in Certificate::from_pem_bundle(trusted.as_bytes())? {
            options = options.with_root_certificate(certificate);
        }
        Ok(BucketClientOptions {
            bounded: options.clone().with_timeout(request_timeout),
            streaming: options.with_timeout_disabled(),
        })
    }
}

/// How often and how long a request is repeated if the server is overloaded or cannot be reached.
/// The limits are a few seconds, because a client of the api waits meanwhile. The library's own limit
/// is three minutes.
pub(crate) fn retry_config() -> RetryConfig {
    RetryConfig {
        max_retries: 4,
        retry_timeout: Duration::from_secs(10),
        backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
    }
}

/// The error code in the XML of the server's answer. The library's error has only the answer's text, so the code is
/// searched in it.
pub(crate) fn error_code(error: &Error) -> Option<String> {
    let text = error.to_string();
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code.trim().to_owned())
}

/// Classifies an error by its code. `missing` are the codes of a missing object. `misconfigured` are the codes of
/// faults that only an operator can correct, with their messages. A refusal without a known code is [`DENIED`].
pub(crate) fn classify_code(error: &Error, missing: &[&str], misconfigured: &[(&str, &'static str)]) -> FailureKind {
    let code = error_code(error);
    let code = code.as_deref();
    if code.is_some_and(|code| missing.contains(&code)) {
        return FailureKind::Missing;
    }
    let known = misconfigured.iter().find(|(known, _)| code == Some(known)).map(|(_, why)| *why);
    let refused = matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
    known.or(refused.then_some(DENIED)).map_or(FailureKind::Unavailable, FailureKind::Misconfigured)
}

#[async_trait]
impl<C: BucketClient> StorageEngine for Bucket<C> {
    fn client(&self) -> &dyn ObjectStore {
        &self.bounded
    }

    fn part_sizes(&self) -> &PartSizes {
        &self.part_sizes
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<usize> {
        let paths = list_prefix(&self.bounded, prefix).await?;
        let count = paths.len();
        // Each request deletes as many objects as the server allows.
        let mut deleted = self.bounded.delete_stream(futures::stream::iter(paths).map(Ok).boxed());
        while let Some(result) = deleted.next().await {
            match result {
                Err(error) if C::classify(&error) != FailureKind::Missing => return Err(error),
                _ => {}
            }
        }
        Ok(count)
    }

    fn classify(&self, _: &Path, error: &Error) -> FailureKind {
        C::classify(error)
    }

    fn streaming_client(&self) -> &dyn ObjectStore {
        &self.streaming
    }

    fn copy_scope(&self) -> Option<&str> {
        Some(&self.copy_scope)
    }

    async fn copy_inside(&self, from: &Path, to: &Path) -> Result<()> {
        self.bounded.copy_inside(from, to).await
    }

    async fn signed_url(&self, path: &Path, valid: Duration) -> Result<Option<String>> {
        self.bounded.signed_url(reqwest::Method::GET, path, valid).await.map(|url| Some(url.into()))
    }
}

/// Lists the paths of all objects whose paths begin with `prefix`. The library's usual listing takes whole folders
/// only, and hundreds of uploads share a folder.
async fn list_prefix(client: &impl PaginatedListStore, prefix: &str) -> Result<Vec<Path>> {
    let (mut found, mut page_token) = (Vec::new(), None);
    loop {
        let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
        let page = client.list_paginated(Some(prefix), options).await?;
        found.extend(page.result.objects.into_iter().map(|object| object.location));
        page_token = page.page_token;
        if page_token.is_none() {
            return Ok(found);
        }
    }
}
