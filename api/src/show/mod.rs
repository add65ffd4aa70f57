//! Showing pictures: finding the variant that was asked for, having it made where it is not there yet, and streaming it
//! from blobs. No pixel is decoded here.

pub(crate) mod avatar;
mod default_avatar;
pub(crate) mod picture;
mod size;

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use upload::{State, Upload, UploadId, Variant, VariantName, Wanted};

use crate::desk::Desk;
use crate::problem::ApiError;

/// How long somebody who looks at an empty frame waits for a worker.
fn patience(desk: &Desk) -> Duration {
    desk.uploads.wait
}

/// The upload once a worker has decided about it, or as it stands when patience ends.
async fn settled(desk: &Desk, upload: Upload) -> Result<Upload, ApiError> {
    if upload.state != State::Accepted {
        return Ok(upload);
    }
    let job = desk.places.records.open_job(upload.id).await?;
    let Some(job) = job else { return reread(desk, upload.id).await };
    let waiting = desk.places.queue.join_wait(job).await;
    let upload = reread(desk, upload.id).await?;
    if upload.state == State::Accepted && waiting.verdict(patience(desk)).await.is_some() {
        return reread(desk, upload.id).await;
    }
    Ok(upload)
}

async fn reread(desk: &Desk, id: UploadId) -> Result<Upload, ApiError> {
    let upload = desk.places.records.upload(id).await?;
    upload.ok_or_else(|| ApiError::Ours(format!("upload {id} is not in the records any more")))
}

/// What a client is told whose picture has changed while its request was handled. The next request sees what became of it.
const CHANGED: &str = "the picture has just been changed or removed";

/// A variant of a picture that is ready, made first where it is not there.
pub(crate) async fn variant(desk: &Desk, upload: &Upload, name: VariantName) -> Result<Variant, ApiError> {
    let want = || desk.places.records.want_variant(upload.id, upload.generation, name);
    match want().await? {
        Wanted::Made(variant) => return Ok(variant),
        Wanted::Refused(reason) => return Err(ApiError::Rejected(reason)),
        Wanted::Failed(reason) => return Err(ApiError::Failed(reason)),
        Wanted::Outdated => return Err(ApiError::NotYet(CHANGED)),
        Wanted::Coming(job) => {
            let waiting = desk.places.queue.join_wait(job).await;
            if let Wanted::Coming(_) = want().await? {
                waiting.verdict(patience(desk)).await;
            }
        }
        Wanted::Ordered(ticket) => {
            let waiting = desk.places.queue.wait_for(ticket.id);
            desk.publish(&ticket).await;
            waiting.verdict(patience(desk)).await;
        }
    }
    match want().await? {
        Wanted::Made(variant) => Ok(variant),
        Wanted::Refused(reason) => Err(ApiError::Rejected(reason)),
        Wanted::Failed(reason) => Err(ApiError::Failed(reason)),
        Wanted::Outdated => Err(ApiError::NotYet(CHANGED)),
        Wanted::Coming(_) | Wanted::Ordered(_) => Err(ApiError::NotYet("this size is being made")),
    }
}

/// A variant's bytes as an answer, or 304 where the client has them, or 412 where it goes by others. Where the settings
/// say so, an address at the store instead: such is signed for GET, and good for no longer than they say.
pub(crate) async fn stream(
    desk: &Desk,
    variant: &Variant,
    method: &Method,
    headers: &HeaderMap,
    cache: &'static str,
) -> Result<Response, ApiError> {
    let valid = desk.http.signed_redirects;
    // Our own page takes pictures from nowhere else, and to read one from the store it would need the bucket's leave.
    let page = headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    if !valid.is_zero()
        && !page
        && method == Method::GET
        && let Some(there) = desk.places.blobs.signed(&variant.key, valid).await?
        && let Ok(there) = HeaderValue::try_from(there)
    {
        return Ok((StatusCode::FOUND, [(header::LOCATION, there)]).into_response());
    }
    let tag = format!("\"{}\"", variant.sha256);
    expected(headers, &tag)?;
    let mut response = if has(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = desk.places.blobs.stream(&variant.key, None).await?;
        let mut response = Body::from_stream(bytes).into_response();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(variant.bytes));
        let mime = HeaderValue::from_static(variant.name.media().mime());
        response.headers_mut().insert(header::CONTENT_TYPE, mime);
        response
    };
    picture_headers(response.headers_mut(), &tag, cache);
    Ok(response)
}

/// What every picture's answer says: its tag, how long it may be kept, and that it is a picture and nothing that runs.
fn picture_headers(headers: &mut HeaderMap, tag: &str, cache: &'static str) {
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
}

/// Whether what has this tag is what the client goes by (`If-Match`; RFC 9110, 13.1.1): with a range of other bytes it
/// would put together what never was one. Looked at before everything else that depends on the tag.
pub(crate) fn expected(headers: &HeaderMap, tag: &str) -> Result<(), ApiError> {
    let mut theirs = headers
        .get_all(header::IF_MATCH)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .peekable();
    // Our tags are strong, and a weak one is never the same as a strong one here.
    let fine = theirs.peek().is_none() || theirs.any(|theirs| theirs == tag || theirs == "*");
    if fine { Ok(()) } else { Err(ApiError::Changed) }
}

/// Whether the client has the bytes of this tag (`If-None-Match`).
pub(crate) fn has(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|theirs| theirs.trim().trim_start_matches("W/"))
        .any(|theirs| theirs == tag || theirs == "*")
}
