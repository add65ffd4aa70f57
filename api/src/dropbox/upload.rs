//! Uploads a picture: `POST /api/dropbox/pictures`. `ingest` has the order of the steps.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::UploadId;
use records::{Admission, Admitted, Records, RecordsError};
use storage::Staging;

use crate::auth::authenticator::{Authenticator, CsrfStatus};
use crate::auth::realm_names::RealmNames;
use crate::auth::request_limits::RequestLimits;
use crate::dropbox::picture_field::PictureFieldReader;
use crate::dropbox::settings::UploadSettings;
use crate::error::ApiError;
use crate::http::multipart::MultipartReader;
use crate::in_flight::InFlightGuard;
use crate::ingest::{Ingest, NewUpload, ReceivedFile, UploadLimits, UploadRequest, Uploader};
use crate::openapi::error_responses::{
    BodyErrors, CsrfErrors, IdempotencyErrors, UploadRejectionErrors, WrappedErrors,
};
use crate::openapi::request_headers::{IdempotencyKeyHeader, PreferHeader};
use crate::quota::UploadQuotas;

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
pub(crate) async fn add(
    State(ingest): State<Arc<Ingest>>,
    State(uploads): State<Arc<PictureUploads>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    ingest.run(PictureUpload { services: &uploads, headers: &headers }, &headers, body).await
}

/// What the upload of a picture uses beside [`Ingest`].
pub(crate) struct PictureUploads {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) request_limits: Arc<RequestLimits>,
    pub(crate) realm: Arc<RealmNames>,
    pub(crate) records: Records,
    pub(crate) settings: Arc<UploadSettings>,
}

/// One request that uploads a picture.
struct PictureUpload<'a> {
    services: &'a PictureUploads,
    headers: &'a HeaderMap,
}

impl UploadRequest for PictureUpload<'_> {
    type Error = ApiError;
    type Authorized = CsrfStatus;
    type Parameters = ();

    fn limits(&self) -> UploadLimits {
        UploadLimits {
            what: "the picture",
            too_many: "too many pictures are being uploaded at once",
            max_bytes: self.services.settings.max_bytes.as_u64(),
            // A form may hold two files, of which the second is the picture (see `picture_field`).
            max_files: 2,
        }
    }

    fn target(&self) -> String {
        "POST /api/dropbox/pictures".to_owned()
    }

    async fn authorize(&self) -> Result<(Uploader, CsrfStatus), ApiError> {
        let authenticator = &self.services.authenticator;
        let caller = authenticator.authenticate(self.headers).await?;
        let csrf_status = authenticator.csrf_status_of_write(&caller, self.headers)?;
        self.services.request_limits.count_user(&caller)?;
        let client_key = format!("user:{}", caller.user_id);
        Ok((Uploader { user_id: caller.user_id, is_admin: caller.is_admin, client_key }, csrf_status))
    }

    async fn check_quota(
        &self,
        quotas: &UploadQuotas,
        uploader: &Uploader,
        announced: u64,
    ) -> Result<Option<InFlightGuard>, ApiError> {
        quotas.check_unclaimed(&uploader.user_id, announced).await.map(Some)
    }

    async fn stage(
        &self,
        csrf_status: &CsrfStatus,
        form: MultipartReader,
        staging: &Staging,
    ) -> Result<ReceivedFile<()>, ApiError> {
        let PictureUploads { authenticator, realm, .. } = self.services;
        let reader = PictureFieldReader { staging, limit: self.limits().max_bytes, realm };
        reader.read_picture(form, |token| authenticator.check_csrf_field(csrf_status, token)).await
    }

    async fn admit(&self, _: &CsrfStatus, upload: NewUpload<()>) -> Result<Result<Admitted, ApiError>, RecordsError> {
        let NewUpload { owner, staged, filename, media, idempotency_key, .. } = upload;
        let (deadline, retention) = (self.services.settings.deadline, self.services.settings.retention);
        let admission = Admission { owner, filename, media, staged, deadline, retention, idempotency_key };
        self.services.records.admit(admission).await.map(Ok)
    }

    async fn answer(&self, _: &CsrfStatus, id: UploadId, status: StatusCode) -> Result<Response, ApiError> {
        let mut response = (status, id.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::VARY, HeaderValue::from_static("Prefer"));
        if let Ok(location) = HeaderValue::try_from(format!("/uploads/{id}")) {
            headers.insert(header::LOCATION, location);
        }
        Ok(response)
    }
}
