//! How an S3 bucket is opened. Anything that speaks S3 will do: nothing here rests on conditional writes, versions or
//! object locks.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use super::StoreSettings;

/// How long a request with its body may take: a part of five megabytes over a line that deserves the name.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// One bucket, by two clients, since a client has one limit for whole requests.
#[derive(Clone, Debug)]
pub(super) struct S3Clients {
    /// Bounded in all that it does.
    pub(super) bounded: Arc<AmazonS3>,
    /// For bodies that somebody takes at their own pace, who says how long each step of it may take: it has no limit.
    pub(super) streaming: Arc<AmazonS3>,
}

/// S3 clients with bounded patience: a request path waits seconds, not the library's three minutes. `request_timeout` is for a
/// request with its body. `ca_certificates` are certificate authorities in PEM, for both clients, besides the system's.
pub(super) fn open(
    bucket: &str,
    settings: &StoreSettings,
    ca_certificates: Option<&str>,
    request_timeout: Duration,
) -> object_store::Result<S3Clients> {
    // One provider of TLS for the whole program; that another place was faster to say so is fine.
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
    // TLS sees to it that what arrives is what was sent; without it the signature must. One hash less of every byte.
    let tls = settings.endpoint.is_empty() || settings.endpoint.starts_with("https://");
    let builder = builder.with_unsigned_payload(tls);
    let usual = builder.clone().with_client_options(client.clone().with_timeout(request_timeout)).build()?;
    let streaming = builder.with_client_options(client.with_timeout_disabled()).build()?;
    Ok(S3Clients { bounded: Arc::new(usual), streaming: Arc::new(streaming) })
}

/// The paths of all objects whose keys begin so. The library's usual listing takes whole folders only, and hundreds of
/// uploads share one.
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
