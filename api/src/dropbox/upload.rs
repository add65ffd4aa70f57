//! Uploads a picture: `POST /api/dropbox/pictures`.
//!
//! ```text
//! head ─► authentication, permissions, limits        none of the body has been read
//! body ─► BoundedBody ─► multipart ─► staging        counted, hashed, sniffed and limited as it passes
//!         records                                    one transaction: now the upload cannot be lost
//!         queue                                      gets the job at once; if that fails, the relay publishes it
//! response ◄─ the outcome, if it comes in time
//! ```

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::UploadId;
use records::Admission;

use crate::auth::auth_user::{AuthUser, CsrfStatus};
use crate::auth::csrf::check as check_csrf;
use crate::dropbox::picture_field::PictureFieldReader;
use crate::error::ApiError;
use crate::http::body::BoundedBody;
use crate::http::idempotency::IdempotencyOutcome;
use crate::http::json_body::content_length;
use crate::http::multipart::parse_boundary;
use crate::http::prefer::Prefer;
use crate::openapi::error_responses::{
    BodyErrors, CsrfErrors, IdempotencyErrors, UploadRejectionErrors, WrappedErrors,
};
use crate::openapi::request_headers::{IdempotencyKeyHeader, PreferHeader};
use crate::state::AppState;

/// The most bytes beside the picture in a body: other parts, headers, boundaries.
const FORM_OVERHEAD_BYTES: u64 = 1 << 20;

/// A form with a picture.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the form that `picture_field` reads")]
struct PictureForm {
    /// The picture: JPEG, PNG, GIF, BMP, WebP or ICO, at most `uploads.max_bytes`. A part of another name is accepted if
    /// it has a file name; `Profile` takes precedence
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    #[schema(rename = "Profile")]
    profile: Vec<u8>,
}

/// The form of the response.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that `html_wrapper` reads")]
struct WrapQuery {
    /// `true`, in any case: the response is an HTML page, for forms that upload through an iframe. Any other value has no
    /// effect
    #[param(rename = "wrapInHTML", nullable = false, example = "true")]
    wrap_in_html: Option<String>,
    /// The domain that the HTML page sets. It is ignored unless it is the domain of the host or a parent of it
    #[param(rename = "document.domain", nullable = false, example = "example.com")]
    document_domain: Option<String>,
}

/// `POST /api/dropbox/pictures`: uploads a picture and returns its PictureID.
#[utoipa::path(
    post,
    path = "/api/dropbox/pictures",
    tag = "pictures",
    operation_id = "addPicture",
    request_body(content = PictureForm, content_type = "multipart/form-data"),
    params(WrapQuery, PreferHeader, IdempotencyKeyHeader),
    responses(
        (status = 200, description = "The PictureID in decimal digits. The picture is ready",
            content((String = "text/plain", example = json!("1001")), (String = "text/html")),
            headers(
                ("Location" = String, description = "`/uploads/{id}`, which has the status of the upload"),
                ("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"),
                ("Vary" = String, description = "`Prefer`"),
            )),
        (status = 202, description = "The PictureID in decimal digits. The picture is not ready yet",
            content((String = "text/plain", example = json!("1001")), (String = "text/html")),
            headers(
                ("Location" = String, description = "`/uploads/{id}`, which has the status of the upload"),
                ("Preference-Applied" = String, description = "The preferences of `Prefer` that were applied"),
                ("Vary" = String, description = "`Prefer`"),
            )),
        WrappedErrors::<(CsrfErrors, BodyErrors, IdempotencyErrors, UploadRejectionErrors)>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn add(State(state): State<AppState>, request: Request<Body>) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let max = state.uploads.max_bytes.as_u64();
    // A form may hold two files, of which the second is the picture (see `picture_field`).
    let bounded_body = BoundedBody::new(body, 2 * max + FORM_OVERHEAD_BYTES, &state.http);
    let answer = receive_picture(&state, &head.headers, &bounded_body).await;
    // A client that waits for permission to send (`Expect: 100-continue`) sends no body after an error response.
    if bounded_body.received() > 0 || !head.headers.contains_key(header::EXPECT) {
        bounded_body.drain_after_error();
    }
    answer
}

async fn receive_picture(
    state: &AppState,
    headers: &HeaderMap,
    bounded_body: &BoundedBody,
) -> Result<Response, ApiError> {
    let caller = AuthUser::authenticate(state, headers).await?;
    let csrf_status = if state.realm.csrf_writes { caller.csrf_status(state, headers)? } else { CsrfStatus::Satisfied };
    let boundary = parse_boundary(headers)?;
    let max = state.uploads.max_bytes.as_u64();
    let limit = 2 * max + FORM_OVERHEAD_BYTES;
    let declared = content_length(headers);
    if let Some(received) = declared.filter(|declared| *declared > limit) {
        return Err(ApiError::TooLarge { what: "the picture", limit: max, received });
    }
    state.check_rate_limit(&caller)?;
    state.accept_upload(declared.unwrap_or_default()).await?;
    let quota_guard =
        state.check_upload_quota(&caller.user_id, caller.is_admin, declared.unwrap_or(max).min(max)).await?;
    let unclaimed_guard = state.check_unclaimed_quota(&caller, declared.unwrap_or_default().min(max)).await?;
    let caller_key = format!("user:{}", caller.user_id);
    let mut idempotency = state.begin_idempotent(headers, &caller_key, "POST /api/dropbox/pictures".to_owned()).await?;
    let _slot = state
        .upload_slots
        .try_acquire()
        .map_err(|_| ApiError::Overloaded("too many pictures are being uploaded at once"))?;
    let reader = PictureFieldReader {
        bounded_body: bounded_body.clone(),
        staging: &state.backends.staging,
        limit: max,
        csrf_field: state.realm_names.csrf_header.as_str(),
    };
    let check_csrf_field = |token: Option<&str>| match (&csrf_status, token) {
        (CsrfStatus::Satisfied, _) => Ok(()),
        (CsrfStatus::Missing(_), None) => Err(ApiError::Csrf("the CSRF token is missing")),
        (CsrfStatus::Missing(session), Some(token)) => {
            check_csrf(token, session, &state.signing_keys, state.backends.records.clock().now())
                .map_err(ApiError::Csrf)
        }
    };
    let picture = reader.read_picture(boundary, check_csrf_field).await?;
    let staged = picture.staged_writer.finish().await?;
    let prefer = Prefer::from_headers(headers);
    let outcome = idempotency.check(&[staged.sha256.as_bytes(), picture.filename.as_bytes()]).await;
    if !matches!(outcome, Ok(IdempotencyOutcome::New(_))) {
        state.backends.staging.delete(&staged.key).await?;
    }
    let idempotency_key = match outcome? {
        IdempotencyOutcome::New(noted) => noted,
        IdempotencyOutcome::Replay(response) => return Ok(response),
        IdempotencyOutcome::Admitted(id) => {
            return Ok(upload_response(state, id, state.upload_status_code(id).await?, prefer));
        }
    };
    let admission = Admission {
        owner: caller.user_id,
        filename: picture.filename,
        media: picture.media,
        staged,
        deadline: state.uploads.deadline,
        retention: state.uploads.retention,
        idempotency_key,
    };
    let key = admission.staged.key.clone();
    let admitted = match state.backends.records.admit(admission).await {
        Ok(admitted) => admitted,
        Err(error) => return Err(state.remove_staged(&key, error).await.into()),
    };
    drop((unclaimed_guard, quota_guard));
    metrics::counter!("cloakroom_uploads_total", "media" => picture.media.name()).increment(1);
    let status = state.publish_and_wait(&admitted, prefer).await?;
    idempotency.store_response(upload_response(state, admitted.id, status, prefer)).await
}

/// The response for an upload with this status.
fn upload_response(state: &AppState, id: UploadId, status: StatusCode, prefer: Prefer) -> Response {
    let mut response = (status, id.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Prefer"));
    if let Ok(location) = HeaderValue::try_from(format!("/uploads/{id}")) {
        headers.insert(header::LOCATION, location);
    }
    headers.extend(prefer.preference_applied(&state.uploads));
    response
}
