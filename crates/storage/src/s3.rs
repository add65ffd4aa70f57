//! Opens an S3 bucket. Any S3 server works: conditional writes, versions and object locks are not used.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use crate::settings::StoreSettings;

/// The limit of a request with its body, such as a part of 5 MiB over a slow line.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// One bucket with two clients, because a client has one limit for all its requests.
#[derive(Clone, Debug)]
pub(super) struct S3Clients {
    /// The client with a limit for each request.
    pub(super) bounded: Arc<AmazonS3>,
    /// The client for bodies that are read slowly, without a limit. The reader limits each step instead.
    pub(super) streaming: Arc<AmazonS3>,
}

/// Opens the clients with short timeouts, because a request path waits seconds, not the library's default of three
/// minutes. `request_timeout` limits a request with its body. `ca_certificates` are certificate authorities in PEM,
/// for both clients, besides the system's.
pub(super) fn open(
    bucket: &str,
    settings: &StoreSettings,
    ca_certificates: Option<&str>,
    request_timeout: Duration,
) -> object_store::Result<S3Clients> {
    // One provider of TLS for the whole program. An error means that another backend has installed it already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut client = ClientOptions::new().with_connect_timeout(Duration::from_secs(3)).with_allow_http(true);
    for certificate in Certificate::from_pem_bundle(ca_certificates.unwrap_or_default().as_bytes())? {
        client = client.with_root_certificate(certificate);
    }
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(RetryConfig {
        max_retries: 4,
        retry_timeout: Duration::from_secs(10),
        backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
    });
    if !settings.region.is_empty() {
        builder = builder.with_region(&settings.region);
    }
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(&settings.endpoint);
    }
    if !settings.access_key_id.is_empty() {
        builder = builder.with_access_key_id(&settings.access_key_id);
        builder = builder.with_secret_access_key(settings.secret_access_key.expose());
    }
    // TLS protects the body; without it the signature must. This saves one hash of every byte.
    let tls = settings.endpoint.is_empty() || settings.endpoint.starts_with("https://");
    let builder = builder.with_unsigned_payload(tls);
    let usual = builder.clone().with_client_options(client.clone().with_timeout(request_timeout)).build()?;
    let streaming = builder.with_client_options(client.with_timeout_disabled()).build()?;
    Ok(S3Clients { bounded: Arc::new(usual), streaming: Arc::new(streaming) })
}

/// Lists the paths of all objects whose keys begin with `prefix`. The library's usual listing takes whole folders
/// only, and hundreds of uploads share one.
pub(super) async fn list_prefix(s3: &AmazonS3, prefix: &str) -> object_store::Result<Vec<Path>> {
    let (mut found, mut page_token) = (Vec::new(), None);
    loop {
        let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
        let page = s3.list_paginated(Some(prefix), options).await?;
        found.extend(page.result.objects.into_iter().map(|object| object.location));
        page_token = page.page_token;
        if page_token.is_none() {
            return Ok(found);
        }
    }
}
