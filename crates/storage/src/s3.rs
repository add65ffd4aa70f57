//! An S3 bucket. Any S3 server works, because conditional writes, versions and object locks are not used.

use std::sync::Arc;
use std::time::Duration;

use domain::chain;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{Error, Result};

use crate::bucket::{
    Bucket, BucketClient, BucketPlace, DENIED, NO_BUCKET, NOT_ACCEPTED, REQUEST_TIMEOUT, classify_code, retry_config,
};
use crate::engine::FailureKind;
use crate::engine_address::{CA_FILE, EngineKind};
use crate::part_size::PartSizes;
use crate::settings::StoreSettings;

/// `s3://bucket/prefix`, with the key and the endpoint in the settings.
pub(crate) const KIND: EngineKind = EngineKind {
    scheme: "s3",
    form: "s3://bucket/prefix",
    params: &[CA_FILE],
    check: |address| BucketPlace::parse(address).map(drop),
    open: |address| {
        let place = BucketPlace::parse(address)?;
        let bucket = open(&place, address.settings, REQUEST_TIMEOUT).map_err(|error| chain(&error))?;
        Ok((Arc::new(bucket), place.prefix))
    },
};

/// The size of a part, in bytes: the minimum that S3 takes for any part but the last (Amazon S3 User Guide, "Multipart
/// upload limits").
const PART: usize = 5 << 20;

/// S3's error codes for a missing object.
const MISSING: [&str; 2] = ["NoSuchKey", "NoSuchUpload"];
/// S3's error codes that only an operator can correct, with the public message for each.
const MISCONFIGURED: [(&str, &str); 8] = [
    ("NoSuchBucket", NO_BUCKET),
    ("InvalidBucketName", NO_BUCKET),
    ("InvalidAccessKeyId", NOT_ACCEPTED),
    ("SignatureDoesNotMatch", NOT_ACCEPTED),
    ("InvalidToken", NOT_ACCEPTED),
    ("ExpiredToken", NOT_ACCEPTED),
    ("AuthorizationHeaderMalformed", NOT_ACCEPTED),
    ("AccessDenied", DENIED),
];

/// Opens a bucket. `request_timeout` limits a request with its body.
pub(crate) fn open(
    place: &BucketPlace<'_>,
    settings: &StoreSettings,
    request_timeout: Duration,
) -> Result<Bucket<AmazonS3>> {
    let options = place.client_options(request_timeout)?;
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(place.bucket).with_retry(retry_config());
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
    // TLS protects the body, so the signature need not cover it, which saves one hash of every
    // byte. Without TLS, the signature must protect the body.
    let tls = settings.endpoint.is_empty() || settings.endpoint.starts_with("https://");
    let builder = builder.with_unsigned_payload(tls);
    Ok(Bucket {
        bounded: builder.clone().with_client_options(options.bounded).build()?,
        streaming: builder.with_client_options(options.streaming).build()?,
        copy_scope: format!("{} {}/{} as {}", KIND.scheme, settings.endpoint, place.bucket, settings.access_key_id),
        part_sizes: PartSizes::fixed(PART),
    })
}

impl BucketClient for AmazonS3 {
    fn classify(error: &Error) -> FailureKind {
        classify_code(error, &MISSING, &MISCONFIGURED)
    }
}
