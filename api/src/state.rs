//! The services of the API. A handler takes the ones that it uses, such as `State(sessions): State<Arc<Sessions>>`.

use std::sync::Arc;

use axum::extract::FromRef;
use backends::Backends;
use metrics_exporter_prometheus::PrometheusHandle;
use records::Records;
use storage::Blobs;

use crate::auth::authenticator::Authenticator;
use crate::auth::cookies::SessionCookies;
use crate::auth::login::PasswordLogin;
use crate::auth::oidc::TokenVerifier;
use crate::auth::password::Passwords;
use crate::auth::permissions::Permissions;
use crate::auth::policy_client::PolicyClient;
use crate::auth::realm_names::RealmNames;
use crate::auth::request_limits::RequestLimits;
use crate::auth::service_keys::ServiceKeys;
use crate::auth::sessions::Sessions;
use crate::auth::signing_keys::SigningKeys;
use crate::documents::access_codes::AccessCodes;
use crate::documents::applink_tokens::ApplinkTokens;
use crate::documents::authorize::DocumentAccess;
use crate::documents::file_upload::FileUploads;
use crate::documents::links::Links;
use crate::documents::principal::PrincipalResolver;
use crate::documents::settings::DocumentSettings;
use crate::dropbox::claim::Claims;
use crate::dropbox::unclaimed_pictures::UnclaimedPictures;
use crate::dropbox::upload::PictureUploads;
use crate::dropbox::variant_server::VariantServer;
use crate::http::cross_origin::CrossOrigin;
use crate::http::idempotency::Idempotency;
use crate::http::settings::HttpSettings;
use crate::ingest::Ingest;
use crate::job_publisher::JobPublisher;
use crate::open_error::OpenError;
use crate::readiness::Readiness;
use crate::settings::ApiSettings;
use crate::ui::forms::PageForms;
use crate::ui::pages::PageRenderer;
use crate::upload_status::UploadViewers;

/// All services. Clones share them.
#[derive(Clone, FromRef)]
pub(crate) struct AppState {
    pub(crate) http: Arc<HttpSettings>,
    pub(crate) realm: Arc<RealmNames>,
    pub(crate) backends: Backends,
    pub(crate) records: Records,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) cross_origin: Arc<CrossOrigin>,

    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) cookies: Arc<SessionCookies>,
    pub(crate) login: Arc<PasswordLogin>,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) service_keys: Arc<ServiceKeys>,
    pub(crate) request_limits: Arc<RequestLimits>,

    pub(crate) idempotency: Arc<Idempotency>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) picture_uploads: Arc<PictureUploads>,
    pub(crate) file_uploads: Arc<FileUploads>,
    pub(crate) document_settings: Arc<DocumentSettings>,

    pub(crate) unclaimed_pictures: Arc<UnclaimedPictures>,
    pub(crate) variants: Arc<VariantServer>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) document_access: Arc<DocumentAccess>,
    pub(crate) upload_viewers: Arc<UploadViewers>,
    pub(crate) links: Arc<Links>,
    pub(crate) pages: Arc<PageRenderer>,
    pub(crate) page_forms: Arc<PageForms>,
}

/// What the services are built on.
pub(crate) struct Foundations<'a> {
    pub(crate) settings: &'a ApiSettings,
    pub(crate) backends: Backends,
    pub(crate) signing_keys: SigningKeys,
    /// For the portal's own systems.
    pub(crate) client: reqwest::Client,
    pub(crate) publisher: JobPublisher,
    pub(crate) metrics: PrometheusHandle,
}

impl AppState {
    /// Builds all services.
    ///
    /// # Errors
    /// A setting that is invalid.
    pub(crate) fn build(foundations: Foundations<'_>) -> Result<Self, OpenError> {
        let Foundations { settings, backends, signing_keys, client, publisher, metrics } = foundations;
        let ApiSettings { http, realm: realm_settings, uploads, documents, .. } = settings;
        let (http, uploads, documents) =
            (Arc::new(http.clone()), Arc::new(uploads.clone()), Arc::new(documents.clone()));
        let realm = Arc::new(RealmNames::from_fedmember(&realm_settings.fedmember)?);
        let (records, queue) = (backends.records.clone(), backends.queue.clone());
        let (clock, blobs) = (records.clock().clone(), Arc::new(backends.blobs.clone()));
        let passwords = Passwords::new();

        let sessions = Sessions::new(records.clone(), Arc::clone(&realm), signing_keys.clone(), realm_settings);
        let sessions = Arc::new(sessions);
        let authenticator = Arc::new(Authenticator::new(
            records.clone(),
            Arc::clone(&realm),
            (Arc::clone(&sessions), signing_keys.clone()),
            TokenVerifier::open(&realm_settings.oidc, &client)?,
            realm_settings,
        ));
        let cookies = SessionCookies::new(Arc::clone(&realm), signing_keys.clone(), realm_settings, &http);
        let cookies = Arc::new(cookies);
        let login = PasswordLogin::new(
            records.clone(),
            Arc::clone(&realm),
            Arc::clone(&sessions),
            passwords.clone(),
            realm_settings.login_limits(),
        );
        let policy_client = PolicyClient::open(&realm_settings.policy, &client);
        let permissions = Arc::new(Permissions::new(records.clone(), Arc::clone(&realm), policy_client));
        let request_limits = Arc::new(RequestLimits::new(uploads.max_requests_per_minute, clock.clone()));

        let idempotency = Arc::new(Idempotency::new(records.clone(), signing_keys.clone()));
        let ingest = Ingest::new(
            backends.clone(),
            Arc::clone(&http),
            Arc::clone(&uploads),
            Arc::clone(&idempotency),
            publisher.clone(),
        );
        let picture_uploads = PictureUploads {
            authenticator: Arc::clone(&authenticator),
            request_limits: Arc::clone(&request_limits),
            realm: Arc::clone(&realm),
            records: records.clone(),
            settings: Arc::clone(&uploads),
        };

        let applink_tokens = Arc::new(ApplinkTokens::new(signing_keys, clock.clone()));
        let document_access = Arc::new(DocumentAccess::new(PrincipalResolver {
            records: records.clone(),
            authenticator: Arc::clone(&authenticator),
            request_limits: Arc::clone(&request_limits),
            applink_tokens: Arc::clone(&applink_tokens),
            access_codes: AccessCodes::new(passwords.clone(), documents.access_code_limits(realm_settings), clock),
        }));
        let file_uploads = FileUploads {
            access: Arc::clone(&document_access),
            records: records.clone(),
            settings: Arc::clone(&documents),
            uploads: Arc::clone(&uploads),
        };
        let upload_viewers = UploadViewers {
            records: records.clone(),
            realm: Arc::clone(&realm),
            http: Arc::clone(&http),
            authenticator: Arc::clone(&authenticator),
            permissions: Arc::clone(&permissions),
            request_limits: Arc::clone(&request_limits),
            document_access: Arc::clone(&document_access),
        };
        let links = Links { records: records.clone(), realm: Arc::clone(&realm), applink_tokens, passwords };

        let pictures = UnclaimedPictures::new(records.clone(), queue.clone(), Arc::clone(&uploads));
        let unclaimed_pictures = Arc::new(pictures);
        let variants = VariantServer::new(
            records.clone(),
            (queue, publisher),
            Arc::clone(&blobs),
            uploads.default_wait,
            http.presigned_url_lifetime,
        );
        let pages = Arc::new(PageRenderer {
            authenticator: Arc::clone(&authenticator),
            realm: Arc::clone(&realm),
            cookies: Arc::clone(&cookies),
            pictures: Arc::clone(&unclaimed_pictures),
            uploads,
            http: Arc::clone(&http),
        });
        let page_forms = PageForms {
            pages: Arc::clone(&pages),
            authenticator: Arc::clone(&authenticator),
            request_limits: Arc::clone(&request_limits),
            realm: Arc::clone(&realm),
            cookies: Arc::clone(&cookies),
        };
        Ok(Self {
            http,
            blobs,
            metrics,
            readiness: Arc::new(Readiness::new(backends.clone())),
            backends,
            cross_origin: Arc::new(CrossOrigin::new(&realm_settings.cors, realm_settings.document_domain)),
            authenticator,
            sessions,
            cookies,
            login: Arc::new(login),
            permissions,
            service_keys: Arc::new(ServiceKeys(realm_settings.service.key_digests()?)),
            request_limits,
            idempotency,
            ingest: Arc::new(ingest),
            picture_uploads: Arc::new(picture_uploads),
            file_uploads: Arc::new(file_uploads),
            document_settings: documents,
            unclaimed_pictures,
            variants: Arc::new(variants),
            claims: Arc::new(Claims::new(records.clone(), Arc::clone(&realm))),
            document_access,
            upload_viewers: Arc::new(upload_viewers),
            links: Arc::new(links),
            pages,
            page_forms: Arc::new(page_forms),
            realm,
            records,
        })
    }
}
