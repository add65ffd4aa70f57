//! Taking a picture in: `POST /api/dropbox/pictures`.
//!
//! ```text
//! head ─► who are you, may you, is there room      nothing of the body has been read
//! body ─► flow ─► parts ─► staging                 counted, hashed, sniffed, bounded as it passes
//!         records                                  one transaction: now it cannot be lost
//!         queue                                    told at once; what it missed the relay tells it
//! answer ◄─ the verdict, if it falls in time
//! ```

pub(crate) mod flow;
pub(crate) mod label;
mod parts;
pub(crate) mod prefer;
pub(crate) mod settings;
pub(crate) mod small;
pub(crate) mod walk;
pub(crate) mod wrap_in_html;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use upload::{Admission, Admitted, RecordsError, State as Standing, UploadId, Verdict};

use crate::desk::Desk;
use crate::once::Known;
use crate::problem::ApiError;
use crate::who::{Caller, Guarded, check_csrf};
use flow::Flow;
use parts::Parts;
use prefer::Prefer;

/// What may stand around a picture in a body: other parts, headers, boundaries.
const ROOM_FOR_THE_REST: u64 = 1 << 20;

/// The form that a picture comes in, for programs.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the form; `parts` reads it")]
struct PictureForm {
    /// The picture. A part of any other name with a file name is taken as well; this one is preferred.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    #[schema(rename = "Profile")]
    profile: Vec<u8>,
}

/// `POST /api/dropbox/pictures`: hands a picture in and gets its number.
#[utoipa::path(
    post,
    path = "/api/dropbox/pictures",
    tag = "pictures",
    operation_id = "addPicture",
    request_body(content = PictureForm, content_type = "multipart/form-data"),
    params(
        ("wrapInHTML" = Option<String>, Query, description = "true: the answer comes as a page for uploads through an iframe"),
        ("document.domain" = Option<String>, Query, description = "With wrapInHTML: the domain that the page sets, if it is the host's own or a parent of it"),
        ("Prefer" = Option<String>, Header, description = "wait=<seconds>, respond-async (RFC 7240)"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "The same key with the same picture gets the first answer again for 24 hours"),
    ),
    responses(
        (status = 200, description = "The PictureID in decimal digits; the picture is ready. With wrapInHTML the answer is that as an HTML page, errors too", body = String, content_type = "text/plain"),
        (status = 202, description = "The same, but the picture is not ready yet: see Location", body = String, content_type = "text/plain"),
        (status = 400, description = "What was sent makes no sense; the detail says what and what to send instead", body = String, content_type = "text/plain"),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = String, content_type = "text/plain"),
        (status = 408, description = "The body came too slowly", body = String, content_type = "text/plain"),
        (status = 413, description = "Too large; the limit and what was received are named", body = String, content_type = "text/plain"),
        (status = 415, description = "The type is not taken", body = String, content_type = "text/plain"),
        (status = 422, description = "The picture is broken or over a limit; the detail says which", body = String, content_type = "text/plain"),
        (status = 429, description = "The caller has had their share; see Retry-After", body = String, content_type = "text/plain"),
        (status = 503, description = "Not ready yet, or overloaded; see Retry-After", body = String, content_type = "text/plain"),
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn add(State(desk): State<Desk>, request: Request<Body>) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let max = desk.uploads.max_bytes.as_u64();
    // A form may hold two files of which the second is the one (see `parts`).
    let flow = Flow::new(body, 2 * max + ROOM_FOR_THE_REST, &desk.http);
    let answer = receive(&desk, &head.headers, &flow).await;
    // Who waits for leave to send (`Expect: 100-continue`) and got a refusal instead will not send.
    if flow.received() > 0 || !head.headers.contains_key(header::EXPECT) {
        flow.linger();
    }
    answer
}

async fn receive(desk: &Desk, headers: &HeaderMap, flow: &Flow) -> Result<Response, ApiError> {
    let caller = Caller::of(desk, headers).await?;
    let guarded = if desk.realm.csrf_writes { caller.guarded(desk, headers)? } else { Guarded::Yes };
    let boundary = walk::boundary(headers)?;
    let max = desk.uploads.max_bytes.as_u64();
    let limit = 2 * max + ROOM_FOR_THE_REST;
    let declared = small::declared_length(headers);
    if let Some(received) = declared.filter(|declared| *declared > limit) {
        return Err(ApiError::TooLarge { what: "the picture", limit: max, received });
    }
    desk.count_request(&caller)?;
    desk.accept_upload(declared.unwrap_or_default()).await?;
    let quota = desk.check_quota(&caller.user, caller.admin, declared.unwrap_or(max).min(max)).await?;
    let coming = desk.has_share(&caller, declared.unwrap_or_default().min(max)).await?;
    let caller_key = format!("user:{}", caller.user);
    let mut once = desk.once(headers, &caller_key, "POST /api/dropbox/pictures".to_owned()).await?;
    let _room = desk.room.try_acquire().map_err(|_| ApiError::Busy("too many pictures are being handed in at once"))?;
    let parts = Parts {
        flow: flow.clone(),
        staging: &desk.places.staging,
        limit: max,
        csrf_field: desk.names.csrf_header.as_str(),
    };
    let guard = |token: Option<&str>| match (&guarded, token) {
        (Guarded::Yes, _) => Ok(()),
        (Guarded::Missing(_), None) => Err(ApiError::Csrf("the CSRF token is missing")),
        (Guarded::Missing(session), Some(token)) => {
            check_csrf(token, session, &desk.keys, desk.places.records.clock().now()).map_err(ApiError::Csrf)
        }
    };
    let handed = parts.picture(boundary, guard).await?;
    let staged = handed.intake.finish().await?;
    let prefer = Prefer::of(headers);
    let known = once.known(&[staged.sha256.as_bytes(), handed.label.as_bytes()]).await;
    if !matches!(known, Ok(Known::New(_))) {
        desk.places.staging.remove(&staged.key).await?;
    }
    let noted = match known? {
        Known::New(noted) => noted,
        Known::Answer(response) => return Ok(response),
        Known::Admitted(id) => return Ok(answer(desk, id, desk.standing(id).await?, prefer)),
    };
    let admission = Admission {
        owner: caller.user,
        label: handed.label,
        media: handed.media,
        staged,
        deadline: desk.uploads.deadline,
        keep: desk.uploads.keep,
        once: noted,
    };
    let key = admission.staged.key.clone();
    let admitted = match desk.places.records.admit(admission).await {
        Ok(admitted) => admitted,
        Err(error) => return Err(desk.unstage(&key, error).await.into()),
    };
    drop((coming, quota));
    metrics::counter!("cloakroom_uploads_total", "media" => handed.media.name()).increment(1);
    let status = desk.outcome(&admitted, prefer).await?;
    once.answered(answer(desk, admitted.id, status, prefer)).await
}

/// What is said of an upload that stands so.
fn answer(desk: &Desk, id: UploadId, status: StatusCode, prefer: Prefer) -> Response {
    let mut response = (status, id.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Prefer"));
    if let Ok(location) = HeaderValue::try_from(format!("/uploads/{id}")) {
        headers.insert(header::LOCATION, location);
    }
    headers.extend(prefer.applied(&desk.uploads));
    response
}

impl Desk {
    /// Whether an upload of about `bytes` bytes can be taken, asked before its body is read.
    pub(crate) async fn accept_upload(&self, bytes: u64) -> Result<(), ApiError> {
        self.places.accept_upload(bytes).await.map_err(ApiError::NotAccepting)
    }

    /// Removes the staged bytes of an upload that was not admitted, so that a client which tries again and again does not
    /// fill staging. If it is not known whether it was, they stay, and the sweeper removes them if no upload needs them.
    pub(crate) async fn unstage(&self, key: &str, error: RecordsError) -> RecordsError {
        if !error.is_outcome_unknown()
            && let Err(failed) = self.places.staging.remove(key).await
        {
            tracing::warn!(key, error = %failed, "staged bytes of a refused upload stay until the sweeper removes them");
        }
        error
    }

    /// Tells the queue of an upload, waits as long as the client likes, and says how it stands: 200 or 202.
    pub(crate) async fn outcome(&self, admitted: &Admitted, prefer: Prefer) -> Result<StatusCode, ApiError> {
        let patience = prefer.patience(&self.uploads);
        if patience.is_zero() {
            self.publish(&admitted.ticket).await;
            return Ok(StatusCode::ACCEPTED);
        }
        let waiting = self.places.queue.wait_for(admitted.ticket.id);
        self.publish(&admitted.ticket).await;
        match waiting.verdict(patience).await {
            Some(Verdict::Ready) => Ok(StatusCode::OK),
            Some(Verdict::Rejected(reason)) => Err(ApiError::Rejected(reason)),
            Some(Verdict::Failed(reason)) => Err(ApiError::Failed(reason)),
            None => self.standing(admitted.id).await,
        }
    }

    /// How an upload stands: 200 or 202.
    pub(crate) async fn standing(&self, id: UploadId) -> Result<StatusCode, ApiError> {
        let Some(upload) = self.places.records.upload(id).await? else { return Ok(StatusCode::ACCEPTED) };
        match (upload.state, upload.reason) {
            (Standing::Ready | Standing::Expired, _) => Ok(StatusCode::OK),
            (Standing::Rejected, Some(reason)) => Err(ApiError::Rejected(reason)),
            (Standing::Failed, Some(reason)) => Err(ApiError::Failed(reason)),
            _ => Ok(StatusCode::ACCEPTED),
        }
    }

    /// Puts a ticket into the queue. Where that fails the relay does it later, from the records.
    pub(crate) async fn publish(&self, ticket: &upload::Ticket) {
        match self.places.queue.publish(ticket).await {
            Ok(()) => {
                self.published.send(ticket.id).ok();
            }
            Err(error) => tracing::warn!(%error, job = %ticket.id, "the queue was not told of a job: {error}"),
        }
    }
}

/// The number in an address, or a 404: what is not a number of ours names nothing.
pub(crate) fn picture_id(text: &str) -> Result<UploadId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound(format!("there is no picture {:.40}", text)))
}
