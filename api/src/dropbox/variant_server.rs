//! Serves pictures: finds the requested variant, has it rendered if it is missing, and streams it from the blob store.
//! It decodes no pixel.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{UNCROPPED_GENERATION, Upload, UploadId, Variant, VariantName};
use jiff::Timestamp;
use queue::Queue;
use records::{Records, VariantStatus};
use storage::Blobs;

use crate::error::ApiError;
use crate::http::conditional::{Validators, etag};
use crate::http::request_head::RequestHead;
use crate::job_publisher::JobPublisher;

/// The message if the picture changed while its request was handled. The next request sees the new state.
const PICTURE_CHANGED: &str = "the picture has just been changed or removed";

/// Finds variants, has missing ones rendered, and sends them.
pub(crate) struct VariantServer {
    records: Records,
    queue: Queue,
    publisher: JobPublisher,
    blobs: Arc<Blobs>,
    /// How long a request waits for a worker.
    max_wait: Duration,
    /// How long a signed URL of the store is valid; zero means that pictures are streamed from here.
    signed_url_lifetime: Duration,
}

impl VariantServer {
    /// `max_wait` is how long a request waits for a worker. If `signed_url_lifetime` is not zero, clients are redirected
    /// to signed URLs of the store, which are valid for that time.
    pub(crate) fn new(
        records: Records,
        (queue, publisher): (Queue, JobPublisher),
        blobs: Arc<Blobs>,
        max_wait: Duration,
        signed_url_lifetime: Duration,
    ) -> Self {
        Self { records, queue, publisher, blobs, max_wait, signed_url_lifetime }
    }

    /// Returns a variant of a picture that is ready. Has the variant rendered first if it is missing.
    pub(crate) async fn ensure(&self, upload: &Upload, name: VariantName) -> Result<Variant, ApiError> {
        self.ensure_generation(upload.id, upload.generation, name).await
    }

    /// Like [`ensure`](Self::ensure), for a variant of the whole picture as it was uploaded, whatever the crop. It is
    /// rendered once for all crops.
    pub(crate) async fn ensure_uncropped(&self, upload: &Upload, name: VariantName) -> Result<Variant, ApiError> {
        self.ensure_generation(upload.id, UNCROPPED_GENERATION, name).await
    }

    async fn ensure_generation(
        &self,
        upload: UploadId,
        generation: u32,
        name: VariantName,
    ) -> Result<Variant, ApiError> {
        let request_variant = || self.records.request_variant(upload, generation, name);
        match request_variant().await? {
            VariantStatus::Ready(variant) => return Ok(variant),
            VariantStatus::Refused(reason) => return Err(ApiError::Rejected(reason)),
            VariantStatus::Failed(reason) => return Err(ApiError::Failed(reason)),
            VariantStatus::Outdated => return Err(ApiError::NotReady(PICTURE_CHANGED)),
            VariantStatus::Pending(job) => {
                let waiter = self.queue.wait_for_shared_outcome(job).await;
                if let VariantStatus::Pending(_) = request_variant().await? {
                    waiter.outcome(self.max_wait).await;
                }
            }
            VariantStatus::Enqueued(message) => {
                let waiter = self.queue.wait_for_outcome(message.id);
                self.publisher.publish(&message).await;
                waiter.outcome(self.max_wait).await;
            }
        }
        match request_variant().await? {
            VariantStatus::Ready(variant) => Ok(variant),
            VariantStatus::Refused(reason) => Err(ApiError::Rejected(reason)),
            VariantStatus::Failed(reason) => Err(ApiError::Failed(reason)),
            VariantStatus::Outdated => Err(ApiError::NotReady(PICTURE_CHANGED)),
            VariantStatus::Pending(_) | VariantStatus::Enqueued(_) => {
                Err(ApiError::NotReady("this size is being made"))
            }
        }
    }

    /// The response with a variant's bytes, 304 if the client has them, or 412 if `If-Match` does
    /// not match. If `http.presigned_url_lifetime` is set, the response is a redirect to a signed
    /// URL of the store instead. The URL is signed for GET only.
    ///
    /// `modified_at` is when the picture became what it shows, not when this size of it was rendered.
    pub(crate) async fn respond(
        &self,
        (variant, modified_at): (&Variant, Option<Timestamp>),
        request: &RequestHead,
        cache: &'static str,
    ) -> Result<Response, ApiError> {
        // The page of this site loads pictures from this site only, as its content security policy
        // says. A script that reads a picture from the store would also need the bucket's
        // permission.
        let same_origin = request.headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
        if !self.signed_url_lifetime.is_zero()
            && !same_origin
            && request.method == Method::GET
            && let Some(signed_url) = self.blobs.signed_url(&variant.key, self.signed_url_lifetime).await?
            && let Ok(location) = HeaderValue::try_from(signed_url)
        {
            return Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response());
        }
        let validators = Validators { tag: etag(&variant.sha256), modified_at };
        let mut response = if validators.is_not_modified(&request.headers)? {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let bytes = self.blobs.stream(&variant.key, None).await?;
            let mut response = Body::from_stream(bytes).into_response();
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(variant.bytes));
            let mime = HeaderValue::from_static(variant.name.media().mime());
            response.headers_mut().insert(header::CONTENT_TYPE, mime);
            response
        };
        picture_headers(response.headers_mut(), &validators, cache);
        Ok(response)
    }
}

/// Sets the headers of every picture response: its validators, its caching, and that it is a picture and must not run.
pub(crate) fn picture_headers(headers: &mut HeaderMap, validators: &Validators, cache: &'static str) {
    validators.add_to(headers);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
}
