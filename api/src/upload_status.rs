//! The state and the events of an upload: `GET /uploads/{id}`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::{Event, Upload, UploadKind, Variant};
use jiff::Timestamp;
use records::Records;
use serde::Serialize;

use crate::auth::auth_user::AuthUser;
use crate::auth::authenticator::Authenticator;
use crate::auth::permissions::Permissions;
use crate::auth::policy_client::Action;
use crate::auth::realm_names::RealmNames;
use crate::auth::request_limits::RequestLimits;
use crate::documents::authorize::DocumentAccess;
use crate::dropbox::crop_fields::ShownCrop;
use crate::dropbox::picture_id::parse_picture_id;
use crate::error::{ApiError, as_sentence};
use crate::http::client_ip::ClientIp;
use crate::http::path_params::PathParams;
use crate::http::settings::HttpSettings;
use crate::openapi::error_responses::{Problems, TargetErrors, UserErrors};
use crate::openapi::path_parameters::PicturePath;

/// The state of an upload
#[derive(utoipa::ToSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the names of `UploadState`")]
pub(crate) enum UploadStateName {
    Accepted,
    Ready,
    Rejected,
    Failed,
    Expired,
}

/// An upload, its variants and its events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct UploadStatus {
    /// The PictureID
    #[schema(example = 1001)]
    id: i64,
    #[schema(value_type = UploadStateName)]
    state: &'static str,
    /// The last event
    #[schema(example = "ready")]
    stage: String,
    /// The id of the user who uploaded it
    #[schema(example = "jane")]
    owner: String,
    /// The file name that the client sent
    #[schema(example = "jellyfish.png")]
    label: String,
    /// Why it was rejected or failed: a stable code, for programs
    code: Option<String>,
    /// Why it was rejected or failed: a sentence, for people
    why: Option<String>,
    created_at: Timestamp,
    /// When it fails if it is still being processed
    deadline: Timestamp,
    /// When it expires if it is not claimed
    expires_at: Option<Timestamp>,
    /// When processing ended
    settled_at: Option<Timestamp>,
    /// In pixels
    width: Option<u32>,
    /// In pixels
    height: Option<u32>,
    /// The media type as judged by the content
    #[schema(example = "image/png")]
    media: &'static str,
    /// The size of the upload, in bytes
    bytes: u64,
    /// The digest of the upload, in hexadecimal digits
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-f]+$")]
    sha256: String,
    claimed: Option<UploadClaim>,
    /// What is shown of the picture. Null until it is ready, and for files
    crop: Option<ShownCrop>,
    variants: Vec<UploadedVariant>,
    events: Vec<UploadEvent>,
}

/// The claim of a picture.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UploadClaim {
    /// `<service>/<unique>.<federation member>`
    #[schema(example = "users/jane.acme")]
    resource: String,
    /// The id of the user who claimed it
    by: String,
    at: Timestamp,
}

/// A rendered variant of a picture.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UploadedVariant {
    name: String,
    #[schema(example = "image/png")]
    media: &'static str,
    /// In pixels
    width: u32,
    /// In pixels
    height: u32,
    /// The size, in bytes
    bytes: u64,
    #[schema(format = "uri-reference")]
    href: String,
}

/// Something that happened to an upload.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UploadEvent {
    at: Timestamp,
    /// The event: staged, queued, attempt, rendered, ready, rejected, claimed, expired, …
    #[schema(example = "staged")]
    what: String,
    /// Details for people. It may be empty
    detail: String,
}

impl From<Event> for UploadEvent {
    fn from(event: Event) -> Self {
        Self { at: event.at, what: event.kind.to_string(), detail: event.public_detail().to_owned() }
    }
}

/// `GET /uploads/{id}`: returns the state of an upload to its uploader, to site administrators, to the holder of the link
/// by which it was uploaded and, once it is claimed, to the users of the resource.
#[utoipa::path(
    get,
    path = "/uploads/{id}",
    tag = "pictures",
    operation_id = "getUpload",
    params(PicturePath),
    responses(
        (status = 200, description = "The state of the upload and its events", body = UploadStatus),
        Problems::<(UserErrors, TargetErrors)>,
    ),
    security(("session" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn get(
    State(viewers): State<Arc<UploadViewers>>,
    ClientIp(client_ip): ClientIp,
    PathParams(id): PathParams<String>,
    headers: HeaderMap,
) -> Result<Json<UploadStatus>, ApiError> {
    let upload = viewers.find(&headers, client_ip, &id).await?;
    UploadStatus::read(&viewers.records, &viewers.realm, &viewers.http.path_prefix, upload).await.map(Json)
}

/// Decides who sees the status of an upload: its uploader, site administrators, users of the resource that claimed it,
/// and the holder of the link by which it was uploaded.
pub(crate) struct UploadViewers {
    pub(crate) records: Records,
    pub(crate) realm: Arc<RealmNames>,
    pub(crate) http: Arc<HttpSettings>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) request_limits: Arc<RequestLimits>,
    pub(crate) document_access: Arc<DocumentAccess>,
}

impl UploadViewers {
    /// Finds an upload that the caller may see.
    async fn find(&self, headers: &HeaderMap, client_ip: IpAddr, id: &str) -> Result<Upload, ApiError> {
        let links = self.document_access.link_grants(headers, client_ip).await?;
        let session = self.authenticator.authenticate_read(headers).await;
        let caller = match session {
            Ok(caller) => {
                self.request_limits.count_user(&caller)?;
                Some(caller)
            }
            Err(error @ ApiError::Backend(_)) => return Err(error),
            Err(error) if links.is_empty() => return Err(error),
            Err(_) => None,
        };
        let id = parse_picture_id(id)?;
        let unknown = || ApiError::NotFound(format!("there is no upload {id}"));
        let upload = self.records.upload(id).await?.ok_or_else(unknown)?;
        if let Some(caller) = caller
            && self.is_visible_to_user(&caller, &upload).await?
        {
            return Ok(upload);
        }
        if !links.is_empty()
            && let Some((file, grant)) = self.records.upload_grant(&upload).await?
            && links.contains(&grant)
            && self.records.file_role(&file, &grant).await?.is_some()
        {
            return Ok(upload);
        }
        Err(unknown())
    }

    async fn is_visible_to_user(&self, caller: &AuthUser, upload: &Upload) -> Result<bool, ApiError> {
        if caller.owns(upload) {
            return Ok(true);
        }
        match &upload.claim {
            // A user who may claim pictures for the resource may also see what became of them.
            Some(claim) => self.permissions.is_permitted(caller, Action::Claim, &claim.resource).await,
            None => Ok(false),
        }
    }
}

impl UploadStatus {
    /// Reads the events and variants of an upload, for its status response.
    /// `path_prefix` is what addresses begin with.
    pub(crate) async fn read(
        records: &Records,
        realm: &RealmNames,
        path_prefix: &str,
        upload: Upload,
    ) -> Result<Self, ApiError> {
        let events = records.events(upload.id).await?;
        let events: Vec<UploadEvent> = events.into_iter().map(UploadEvent::from).collect();
        // The variants of a file's upload are shown with that file, to users who have a right to the file.
        let variants = match upload.kind {
            UploadKind::Dropbox => records.variants(upload.id, upload.generation).await?,
            UploadKind::Rendition | UploadKind::File => Vec::new(),
        };
        let place = picture_address(realm, path_prefix, &upload);
        // The whole picture is shown only to users who may crop it, so not after the claim.
        let shown = variants.iter().filter(|variant| upload.claim.is_none() || !variant.name.fits());
        let variants = shown.map(|variant| UploadedVariant::new(&place, variant)).collect();
        let size = upload.width.zip(upload.height).filter(|_| upload.kind == UploadKind::Dropbox);
        let crop = size.map(|size| ShownCrop::new(upload.crop, size));
        let (code, why) = upload.reason.map(|reason| (reason.code.to_string(), as_sentence(reason.message))).unzip();
        let claimed = upload.claim.map(|claim| {
            let resource = format!("{}.{}", claim.resource, realm.fedmember);
            UploadClaim { resource, by: claim.by, at: claim.at }
        });
        Ok(Self {
            id: upload.id.get(),
            state: upload.state.as_str(),
            stage: events.last().map(|event| event.what.clone()).unwrap_or_default(),
            owner: upload.owner,
            label: upload.filename,
            code,
            why,
            created_at: upload.created_at,
            deadline: upload.deadline,
            expires_at: upload.expires_at.filter(|_| claimed.is_none()),
            settled_at: upload.settled_at,
            width: upload.width,
            height: upload.height,
            media: upload.media.mime(),
            bytes: upload.bytes,
            sha256: upload.sha256,
            claimed,
            crop,
            variants,
            events,
        })
    }
}

/// Returns the address at which a picture is shown.
fn picture_address(realm: &RealmNames, path_prefix: &str, upload: &Upload) -> String {
    match &upload.claim {
        Some(claim) => format!("{path_prefix}/api/{}.{}/avatar", claim.resource, realm.fedmember),
        None => format!("{path_prefix}/api/dropbox/pictures/{}", upload.id),
    }
}

impl UploadedVariant {
    fn new(place: &str, variant: &Variant) -> Self {
        let href = match variant.name.size() {
            Some(size) if variant.name.fits() => format!("{place}?size={size}&space=picture"),
            Some(size) => format!("{place}?size={size}"),
            None => place.to_owned(),
        };
        Self {
            name: variant.name.to_string(),
            media: variant.name.media().mime(),
            width: variant.width,
            height: variant.height,
            bytes: variant.bytes,
            href,
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::EventKind;

    use super::*;

    #[test]
    fn an_event_has_this_text() {
        let json = |kind| {
            serde_json::to_string(&UploadEvent::from(Event::new(Timestamp::UNIX_EPOCH, kind, "75.png"))).unwrap()
        };
        assert_eq!(
            json(EventKind::VariantRefused),
            r#"{"at":"1970-01-01T00:00:00Z","what":"variant refused","detail":"75.png"}"#
        );
        assert!(!json(EventKind::Dead).contains("75.png"), "the error of an attempt is for operators");
    }
}
