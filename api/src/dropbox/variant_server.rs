//! Serves pictures: finds the requested variant, has it rendered if it is missing, and streams it from the blob store.
//! It decodes no pixel.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Upload, UploadId, UploadState, Variant, VariantName};
use records::VariantStatus;

use crate::error::ApiError;
use crate::http::conditional::{check_if_match, matches_if_none_match};
use crate::state::AppState;

/// How long a request for a picture waits for a worker.
pub(crate) fn max_wait(state: &AppState) -> Duration {
    state.uploads.default_wait
}

/// Waits until a worker has settled the upload, at most for the wait time. Returns the upload in its state then.
pub(crate) async fn wait_until_settled(state: &AppState, upload: Upload) -> Result<Upload, ApiError> {
    if upload.state != UploadState::Accepted {
        return Ok(upload);
    }
    let job = state.backends.records.processing_job(upload.id).await?;
    let Some(job) = job else { return reload(state, upload.id).await };
    let waiter = state.backends.queue.wait_for_shared_outcome(job).await;
    let upload = reload(state, upload.id).await?;
    if upload.state == UploadState::Accepted && waiter.outcome(max_wait(state)).await.is_some() {
        return reload(state, upload.id).await;
    }
    Ok(upload)
}

pub(crate) async fn reload(state: &AppState, id: UploadId) -> Result<Upload, ApiError> {
    let upload = state.backends.records.upload(id).await?;
    upload.ok_or_else(|| ApiError::Internal(format!("upload {id} is not in the records any more")))
}

/// The message if the picture changed while its request was handled. The next request sees the new state.
pub(crate) const PICTURE_CHANGED: &str = "the picture has just been changed or removed";

/// Returns a variant of a picture that is ready. Has the variant rendered first if it is missing.
pub(crate) async fn ensure_variant(state: &AppState, upload: &Upload, name: VariantName) -> Result<Variant, ApiError> {
    let request_variant = || state.backends.records.request_variant(upload.id, upload.generation, name);
    match request_variant().await? {
        VariantStatus::Ready(variant) => return Ok(variant),
        VariantStatus::Refused(reason) => return Err(ApiError::Rejected(reason)),
        VariantStatus::Failed(reason) => return Err(ApiError::Failed(reason)),
        VariantStatus::Outdated => return Err(ApiError::NotReady(PICTURE_CHANGED)),
        VariantStatus::Pending(job) => {
            let waiter = state.backends.queue.wait_for_shared_outcome(job).await;
            if let VariantStatus::Pending(_) = request_variant().await? {
                waiter.outcome(max_wait(state)).await;
            }
        }
        VariantStatus::Enqueued(message) => {
            let waiter = state.backends.queue.wait_for_outcome(message.id);
            state.publish_job(&message).await;
            waiter.outcome(max_wait(state)).await;
        }
    }
    match request_variant().await? {
        VariantStatus::Ready(variant) => Ok(variant),
        VariantStatus::Refused(reason) => Err(ApiError::Rejected(reason)),
        VariantStatus::Failed(reason) => Err(ApiError::Failed(reason)),
        VariantStatus::Outdated => Err(ApiError::NotReady(PICTURE_CHANGED)),
        VariantStatus::Pending(_) | VariantStatus::Enqueued(_) => Err(ApiError::NotReady("this size is being made")),
    }
}

/// The response with a variant's bytes, 304 if the client has them, or 412 if `If-Match` does not match. If the
/// settings say so, a redirect to a signed URL of the store instead. The URL is signed for GET only, and expires after
/// the time in the settings.
pub(crate) async fn variant_response(
    state: &AppState,
    variant: &Variant,
    method: &Method,
    headers: &HeaderMap,
    cache: &'static str,
) -> Result<Response, ApiError> {
    let signed_for = state.http.presigned_url_lifetime;
    // A page of this site loads pictures from this site only. Reading one from the store would need the bucket's
    // permission.
    let same_origin = headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    if !signed_for.is_zero()
        && !same_origin
        && method == Method::GET
        && let Some(signed_url) = state.backends.blobs.signed_url(&variant.key, signed_for).await?
        && let Ok(location) = HeaderValue::try_from(signed_url)
    {
        return Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response());
    }
    let tag = format!("\"{}\"", variant.sha256);
    check_if_match(headers, &tag)?;
    let mut response = if matches_if_none_match(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = state.backends.blobs.stream(&variant.key, None).await?;
        let mut response = Body::from_stream(bytes).into_response();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(variant.bytes));
        let mime = HeaderValue::from_static(variant.name.media().mime());
        response.headers_mut().insert(header::CONTENT_TYPE, mime);
        response
    };
    picture_headers(response.headers_mut(), &tag, cache);
    Ok(response)
}

/// Sets the headers of every picture response: its ETag, its caching, and that it is a picture and must not run.
pub(crate) fn picture_headers(headers: &mut HeaderMap, tag: &str, cache: &'static str) {
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
}
