//! The steps of every upload, whether a picture, a file or a rendition:
//!
//! ```text
//! authenticate, authorize   none of the body has been read
//! limit                     sizes, space, quotas, the idempotency key, a slot
//! stage                     form ─► staging: counted, hashed, sniffed and limited as it passes
//! admit                     one transaction: now the upload cannot be lost
//! answer                    the job is published, and the outcome awaited for as long as the client prefers
//! ```
//!
//! What differs between these three is in the [`UploadRequest`]. After an error nothing stays in
//! staging, unless it is unknown whether the upload was admitted.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use backends::Backends;
use domain::{IdempotencyKey, Media, Outcome, ReasonCode, Staged, UploadId, UploadState};
use records::{Admitted, RecordsError};
use storage::{StagedWriter, Staging};

use crate::dropbox::settings::UploadSettings;
use crate::error::ApiError;
use crate::http::body::BoundedBody;
use crate::http::content_encoding::refuse_content_encoding;
use crate::http::idempotency::{Idempotency, IdempotencyOutcome};
use crate::http::multipart::{MultipartReader, parse_boundary};
use crate::http::prefer::Prefer;
use crate::http::settings::HttpSettings;
use crate::http::small_body::content_length;
use crate::in_flight::InFlightGuard;
use crate::job_publisher::JobPublisher;
use crate::quota::UploadQuotas;

/// The most bytes beside the files in a body: other parts, headers, boundaries.
const FORM_OVERHEAD_BYTES: u64 = 1 << 20;

/// A request that uploads something.
pub(crate) trait UploadRequest {
    /// The form of its errors.
    type Error: From<ApiError>;
    /// What [`Self::authorize`] finds out for the later steps.
    type Authorized;
    /// What the form says beside the file.
    type Parameters;

    /// What the request uploads, and how large it may be.
    fn limits(&self) -> UploadLimits;

    /// Returns the method and path, which distinguish this request from others with the same idempotency key.
    fn target(&self) -> String;

    /// Authenticates the caller and checks its permissions.
    async fn authorize(&self) -> Result<(Uploader, Self::Authorized), Self::Error>;

    /// Checks quotas that only this kind of upload has. `announced` is the size of the file, 0 if it is unknown.
    async fn check_quota(
        &self,
        quotas: &UploadQuotas,
        uploader: &Uploader,
        announced: u64,
    ) -> Result<Option<InFlightGuard>, ApiError> {
        let _ = (quotas, uploader, announced);
        Ok(None)
    }

    /// Reads the form, and writes its file to staging.
    async fn stage(
        &self,
        authorized: &Self::Authorized,
        form: MultipartReader,
        staging: &Staging,
    ) -> Result<ReceivedFile<Self::Parameters>, Self::Error>;

    /// Admits the upload to the records. An inner error is a conflict with what exists.
    async fn admit(
        &self,
        authorized: &Self::Authorized,
        upload: NewUpload<Self::Parameters>,
    ) -> Result<Result<Admitted, Self::Error>, RecordsError>;

    /// The response for an upload that is ready (200) or being processed (202).
    async fn answer(
        &self,
        authorized: &Self::Authorized,
        id: UploadId,
        status: StatusCode,
    ) -> Result<Response, Self::Error>;

    /// Converts the error of an upload that a worker rejected or that failed.
    fn outcome_error(&self, authorized: &Self::Authorized, error: ApiError) -> Self::Error {
        let _ = authorized;
        error.into()
    }
}

/// The limits of one request.
pub(crate) struct UploadLimits {
    /// The file, as errors name it: "the picture".
    pub(crate) what: &'static str,
    /// The error if too many uploads are in flight.
    pub(crate) too_many: &'static str,
    /// The most bytes of the file.
    pub(crate) max_bytes: u64,
    /// How many files of that size the form may hold.
    pub(crate) max_files: u64,
}

impl UploadLimits {
    fn max_body_bytes(&self) -> u64 {
        self.max_files * self.max_bytes + FORM_OVERHEAD_BYTES
    }
}

/// The client that uploads, and the user that the upload counts for.
#[derive(Clone)]
pub(crate) struct Uploader {
    pub(crate) user_id: String,
    pub(crate) is_admin: bool,
    /// The key under which idempotency keys are kept.
    pub(crate) client_key: String,
}

/// The content of a form, with its file in staging and not finished yet.
pub(crate) struct ReceivedFile<P> {
    pub(crate) staged_writer: StagedWriter,
    /// The sanitized file name from the client.
    pub(crate) filename: String,
    /// What the form says beside the file, as it was sent.
    pub(crate) text: Vec<u8>,
    /// The same, parsed.
    pub(crate) parameters: P,
}

/// An upload whose bytes are staged.
pub(crate) struct NewUpload<P> {
    /// The user that the upload counts for.
    pub(crate) owner: String,
    pub(crate) staged: Staged,
    pub(crate) filename: String,
    /// The type as judged by the content.
    pub(crate) media: Media,
    pub(crate) parameters: P,
    pub(crate) idempotency_key: Option<IdempotencyKey>,
}

/// What became of staged bytes.
enum IngestResult<E> {
    Admitted(Admitted),
    /// The request admitted an upload before. The staged bytes are not needed.
    AdmittedBefore(UploadId),
    /// The request was answered before. The staged bytes are not needed.
    Replay(Response),
    /// The upload was refused. The staged bytes are not needed.
    Refused(E),
    /// The upload may have been admitted. Its staged bytes stay, and the sweeper removes them if no upload needs them.
    OutcomeUnknown(RecordsError),
}

/// Takes uploads in.
pub(crate) struct Ingest {
    backends: Backends,
    http: Arc<HttpSettings>,
    settings: Arc<UploadSettings>,
    quotas: UploadQuotas,
    idempotency: Arc<Idempotency>,
    publisher: JobPublisher,
}

impl Ingest {
    pub(crate) fn new(
        backends: Backends,
        http: Arc<HttpSettings>,
        settings: Arc<UploadSettings>,
        idempotency: Arc<Idempotency>,
        publisher: JobPublisher,
    ) -> Self {
        let quotas = UploadQuotas::new(backends.records.clone(), Arc::clone(&settings));
        Self { backends, http, settings, quotas, idempotency, publisher }
    }

    /// Takes an upload in and returns the response.
    pub(crate) async fn run<U: UploadRequest>(
        &self,
        request: U,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, U::Error> {
        let bounded_body = BoundedBody::new(body, request.limits().max_body_bytes(), &self.http);
        let answer = Box::pin(self.receive(&request, headers, &bounded_body)).await;
        // A client that waits for permission to send (`Expect: 100-continue`) sends no body after an error response.
        if bounded_body.received() > 0 || !headers.contains_key(header::EXPECT) {
            bounded_body.drain_after_error();
        }
        answer
    }

    async fn receive<U: UploadRequest>(
        &self,
        request: &U,
        headers: &HeaderMap,
        body: &BoundedBody,
    ) -> Result<Response, U::Error> {
        let (uploader, authorized) = request.authorize().await?;
        let limits = request.limits();
        let (boundary, announced) = self.check_head(&limits, headers).await?;
        let (user, is_admin) = (&uploader.user_id, uploader.is_admin);
        let quota_guard = self.quotas.check_upload(user, is_admin, announced.unwrap_or(limits.max_bytes)).await?;
        let own_guard = request.check_quota(&self.quotas, &uploader, announced.unwrap_or_default()).await?;
        let mut idempotency = self.idempotency.begin(headers, &uploader.client_key, request.target()).await?;
        let _slot = self.quotas.take_slot(limits.too_many)?;

        let form = MultipartReader::new(body, &boundary);
        let received = request.stage(&authorized, form, &self.backends.staging).await?;
        let ReceivedFile { staged_writer, filename, text, parameters } = received;
        let staged = staged_writer.finish().await.map_err(ApiError::from)?;

        let staged_key = staged.key.clone();
        let content = [staged.sha256.as_bytes(), filename.as_bytes(), &text];
        let result = match idempotency.check(&content).await {
            Err(error) => IngestResult::Refused(error.into()),
            Ok(IdempotencyOutcome::Replay(response)) => IngestResult::Replay(response),
            Ok(IdempotencyOutcome::Admitted(id)) => IngestResult::AdmittedBefore(id),
            Ok(IdempotencyOutcome::New(idempotency_key)) => {
                let media = staged.media.unwrap_or(Media::Other);
                let owner = uploader.user_id;
                let upload = NewUpload { owner, staged, filename, media, parameters, idempotency_key };
                match request.admit(&authorized, upload).await {
                    Ok(Ok(admitted)) => {
                        metrics::counter!("cloakroom_uploads_total", "media" => media.name()).increment(1);
                        IngestResult::Admitted(admitted)
                    }
                    Ok(Err(conflict)) => IngestResult::Refused(conflict),
                    Err(error) if error.is_outcome_unknown() => IngestResult::OutcomeUnknown(error),
                    Err(error) => IngestResult::Refused(ApiError::from(error).into()),
                }
            }
        };
        drop((own_guard, quota_guard));
        if !matches!(result, IngestResult::Admitted(_) | IngestResult::OutcomeUnknown(_)) {
            self.remove_staged(&staged_key).await;
        }

        let prefer = Prefer::from_headers(headers);
        let (id, status) = match result {
            IngestResult::Admitted(admitted) => (admitted.id, self.publish_and_wait(&admitted, prefer).await),
            IngestResult::AdmittedBefore(id) => (id, self.status(id).await),
            IngestResult::Replay(response) => return Ok(response),
            IngestResult::Refused(error) => return Err(error),
            IngestResult::OutcomeUnknown(error) => return Err(ApiError::from(error).into()),
        };
        let status = status.map_err(|error| request.outcome_error(&authorized, error))?;
        let mut response = request.answer(&authorized, id, status).await?;
        response.headers_mut().extend(prefer.preference_applied(&self.settings));
        Ok(idempotency.store_response(response).await?)
    }

    /// Checks what the head says of the body. Returns the boundary of the form, and the largest size that the file can
    /// have, if the head announces a length.
    async fn check_head(&self, limits: &UploadLimits, headers: &HeaderMap) -> Result<(Vec<u8>, Option<u64>), ApiError> {
        refuse_content_encoding(headers)?;
        let boundary = parse_boundary(headers)?;
        let declared = content_length(headers);
        if let Some(received) = declared.filter(|declared| *declared > limits.max_body_bytes()) {
            return Err(ApiError::TooLarge { what: limits.what, limit: limits.max_bytes, received });
        }
        self.backends.check_accepts_upload(declared.unwrap_or_default()).await.map_err(ApiError::NotAccepting)?;
        Ok((boundary, declared.map(|declared| declared.min(limits.max_bytes))))
    }

    /// Removes the staged bytes of an upload that was not admitted. Otherwise a client that tries
    /// again and again would fill staging.
    async fn remove_staged(&self, key: &str) {
        if let Err(error) = self.backends.staging.delete(key).await {
            tracing::warn!(key, %error, "staged bytes of a refused upload stay until the sweeper removes them");
        }
    }

    /// Publishes the job of an upload, waits as long as the client prefers, and returns the status: 200 or 202.
    async fn publish_and_wait(&self, admitted: &Admitted, prefer: Prefer) -> Result<StatusCode, ApiError> {
        let max_wait = prefer.wait_time(&self.settings);
        if max_wait.is_zero() {
            self.publisher.publish(&admitted.message).await;
            return Ok(StatusCode::ACCEPTED);
        }
        let waiter = self.backends.queue.wait_for_outcome(admitted.message.id);
        self.publisher.publish(&admitted.message).await;
        match waiter.outcome(max_wait).await {
            Some(Outcome::Ready) => Ok(StatusCode::OK),
            Some(Outcome::Rejected(reason)) => Err(ApiError::Rejected(reason)),
            Some(Outcome::Failed(reason)) => Err(ApiError::Failed(reason)),
            None => self.status(admitted.id).await,
        }
    }

    /// Returns the status code for the state of an upload: 200 or 202.
    async fn status(&self, id: UploadId) -> Result<StatusCode, ApiError> {
        let Some(upload) = self.backends.records.upload(id).await? else { return Ok(StatusCode::ACCEPTED) };
        match (upload.state, upload.reason) {
            (UploadState::Expired, Some(reason)) if reason.code == ReasonCode::Deleted => {
                Err(ApiError::Rejected(reason))
            }
            (UploadState::Ready | UploadState::Expired, _) => Ok(StatusCode::OK),
            (UploadState::Rejected, Some(reason)) => Err(ApiError::Rejected(reason)),
            (UploadState::Failed, Some(reason)) => Err(ApiError::Failed(reason)),
            _ => Ok(StatusCode::ACCEPTED),
        }
    }
}
