//! The page's forms, for browsers without a script. Each one does what a call of the dropbox contract does
//! (`docs/contracts/dropbox.md`, 2, 4, 6, 8), and then returns to the page. The CSRF token is a hidden field.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backends::Backends;
use domain::{Resource, Service};
use serde_json::Value;

use super::crop_form;
use super::login_csrf::FormOrigin;
use super::notice::Notice;
use super::pages::{LoginFields, PageRenderer, PageResult};
use crate::auth::access::WriteAccess;
use crate::auth::auth_user::AuthUser;
use crate::auth::authenticator::Authenticator;
use crate::auth::cookies::SessionCookies;
use crate::auth::login::PasswordLogin;
use crate::auth::logout::{log_out, logout_response};
use crate::auth::permissions::Permissions;
use crate::auth::policy_client::Action;
use crate::auth::realm_names::RealmNames;
use crate::auth::request_limits::RequestLimits;
use crate::auth::sessions::Sessions;
use crate::dropbox::avatar;
use crate::dropbox::claim::{ClaimRequest, Claims};
use crate::dropbox::crop::apply_crop;
use crate::dropbox::picture_id::parse_picture_id;
use crate::dropbox::unclaimed_pictures::UnclaimedPictures;
use crate::dropbox::upload::{PictureUploads, add};
use crate::error::ApiError;
use crate::http::client_ip::ClientIp;
use crate::http::json_object::JsonObject;
use crate::http::path_params::PathParams;
use crate::http::settings::HttpSettings;
use crate::http::small_body::{FormField, UnreadBody};
use crate::ingest::Ingest;
use crate::resource::ResourceParam;
use crate::upload_deletion;

/// The longest PictureID, in bytes.
const MAX_PICTURE_ID_BYTES: usize = 32;

fn field<'a>(fields: &'a [FormField], name: &str) -> &'a str {
    fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// Reads forms of the page, and renders it again with what failed.
pub(crate) struct PageForms {
    pub(crate) pages: Arc<PageRenderer>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) request_limits: Arc<RequestLimits>,
    pub(crate) realm: Arc<RealmNames>,
    pub(crate) cookies: Arc<SessionCookies>,
}

impl PageForms {
    /// Authenticates the caller by the session cookie and the CSRF token in a field. Returns the caller and all fields.
    async fn read(&self, headers: &HeaderMap, body: UnreadBody) -> Result<(AuthUser, Vec<FormField>), ApiError> {
        let caller = self.authenticator.authenticate(headers).await?;
        self.request_limits.count_user(&caller)?;
        let fields = body.read_form("the form").await?;
        let token = field(&fields, self.realm.csrf_header.as_str());
        // A form without a script cannot send the token in a header.
        let status = self.authenticator.csrf_status_of_write(&caller, &HeaderMap::new())?;
        self.authenticator.check_csrf_field(&status, Some(token))?;
        Ok((caller, fields))
    }

    /// Redirects to the page that says what was done, with the picture if it is still there. Renders the page with the
    /// error otherwise.
    async fn respond(&self, headers: &HeaderMap, picture: &str, result: Result<Notice, ApiError>) -> Response {
        match result {
            Ok(notice @ (Notice::Uploaded | Notice::Cropped)) => {
                redirect(&format!("/?picture={picture}&done={}", notice.name()), None)
            }
            Ok(notice) => redirect(&format!("/?done={}", notice.name()), None),
            Err(error) => self.pages.render_index(headers, picture, PageResult::Failed(error)).await,
        }
    }
}

/// `POST /page/login`
pub(crate) async fn login(
    State(forms): State<Arc<PageForms>>,
    State(login): State<Arc<PasswordLogin>>,
    State(http): State<Arc<HttpSettings>>,
    ClientIp(address): ClientIp,
    headers: HeaderMap,
    body: UnreadBody,
) -> Response {
    let (mut email, mut picture) = (String::new(), String::new());
    let logged_in = async {
        let origin = FormOrigin::from_headers(&headers, http.trusted_proxies);
        if origin == FormOrigin::CrossSite {
            origin.require_same_site(&forms.realm, &headers, "")?;
        }
        let fields = body.read_form("the login").await?;
        origin.require_same_site(&forms.realm, &headers, field(&fields, "token"))?;
        field(&fields, "email").clone_into(&mut email);
        // Only a number, so that the form cannot lead elsewhere.
        picture = parse_picture_id(field(&fields, "return")).map_or_else(|_| String::new(), |id| id.to_string());
        let (user, session) = login.log_in(address, &email, field(&fields, "password").to_owned()).await?;
        login.response(&forms.cookies, &headers, &user, &session)
    };
    match logged_in.await {
        Ok(response) if picture.is_empty() => redirect("/", Some(&response)),
        Ok(response) => redirect(&format!("/?picture={picture}"), Some(&response)),
        Err(error) => {
            let kept = LoginFields { email: &email, picture: &picture };
            forms.pages.render_login(&headers, &kept, PageResult::Failed(error))
        }
    }
}

/// `POST /page/logout`: ends the session, or all sessions of the caller, and removes the cookies.
pub(crate) async fn logout(
    State(forms): State<Arc<PageForms>>,
    State(sessions): State<Arc<Sessions>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Response {
    let ended = async {
        let (caller, fields) = forms.read(&headers, body).await?;
        log_out(&sessions, &caller, !field(&fields, "everywhere").is_empty()).await?;
        logout_response(&forms.cookies, &headers)
    };
    match ended.await {
        Ok(response) => redirect(&format!("/?done={}", Notice::LoggedOut.name()), Some(&response)),
        Err(error) => forms.pages.render_index(&headers, "", PageResult::Failed(error)).await,
    }
}

/// `POST /page/upload`: uploads a picture as `POST /api/dropbox/pictures` does, and shows it.
pub(crate) async fn upload(
    State(forms): State<Arc<PageForms>>,
    State(ingest): State<Arc<Ingest>>,
    State(uploads): State<Arc<PictureUploads>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let uploaded = match add(State(ingest), State(uploads), headers.clone(), body).await {
        Ok(response) => read_picture_id(response).await,
        Err(error) => Err(error),
    };
    match uploaded {
        Ok(picture) => forms.respond(&headers, &picture, Ok(Notice::Uploaded)).await,
        Err(error) => forms.respond(&headers, "", Err(error)).await,
    }
}

/// Reads the PictureID, which is the whole body of the response to an upload.
async fn read_picture_id(response: Response) -> Result<String, ApiError> {
    let body = axum::body::to_bytes(response.into_body(), MAX_PICTURE_ID_BYTES).await;
    let body = body.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// `POST /page/crop`
pub(crate) async fn crop(
    State(forms): State<Arc<PageForms>>,
    State(pictures): State<Arc<UnclaimedPictures>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Response {
    let mut picture = String::new();
    let cropped = async {
        let (caller, fields) = forms.read(&headers, body).await?;
        picture = field(&fields, "picture").to_owned();
        let crop = crop_form::api_fields(&fields);
        apply_crop(&pictures, &caller, &picture, &crop, &headers).await?;
        Ok(Notice::Cropped)
    };
    let cropped = cropped.await;
    forms.respond(&headers, &picture, cropped).await
}

/// `POST /page/claim`: claims a picture as the caller's own avatar.
pub(crate) async fn claim(
    State(forms): State<Arc<PageForms>>,
    State(permissions): State<Arc<Permissions>>,
    State(claims): State<Arc<Claims>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Response {
    let mut picture = String::new();
    let claimed = async {
        let (caller, fields) = forms.read(&headers, body).await?;
        picture = field(&fields, "picture").to_owned();
        let body = JsonObject(vec![("PictureID".to_owned(), Value::String(picture.clone()))]);
        let own = Resource { service: Service::Users, id: caller.user_id.clone() };
        permissions.authorize(&caller, Action::Claim, &own).await?;
        claims.claim(&own, ClaimRequest::parse(&body)?, &caller.claimant(), &headers).await?;
        Ok(Notice::Claimed)
    };
    let claimed = claimed.await;
    forms.respond(&headers, &picture, claimed).await
}

/// `POST /page/discard`: deletes an unclaimed picture.
pub(crate) async fn discard(
    State(forms): State<Arc<PageForms>>,
    State(backends): State<Backends>,
    State(pictures): State<Arc<UnclaimedPictures>>,
    State(realm): State<Arc<RealmNames>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Response {
    let mut picture = String::new();
    let discarded = async {
        let (caller, fields) = forms.read(&headers, body).await?;
        field(&fields, "picture").clone_into(&mut picture);
        let id = PathParams(picture.clone());
        let services = (State(backends), State(pictures), State(realm));
        upload_deletion::remove(WriteAccess(caller), id, services.0, services.1, services.2, headers.clone()).await?;
        Ok(Notice::Discarded)
    };
    let discarded = discarded.await;
    forms.respond(&headers, &picture, discarded).await
}

/// `POST /page/avatar/remove`: removes the caller's own avatar.
pub(crate) async fn remove_avatar(
    State(forms): State<Arc<PageForms>>,
    State(permissions): State<Arc<Permissions>>,
    State(backends): State<Backends>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Response {
    let removed = async {
        let (caller, _) = forms.read(&headers, body).await?;
        let own = ResourceParam(Resource { service: Service::Users, id: caller.user_id.clone() });
        avatar::remove(WriteAccess(caller), own, State(permissions), State(backends), headers.clone()).await?;
        Ok(Notice::AvatarRemoved)
    };
    let removed = removed.await;
    forms.respond(&headers, "", removed).await
}

/// Redirects to another page, with the cookies that a response sets.
fn redirect(location: &str, cookies_from: Option<&Response>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    for cookie in cookies_from.iter().flat_map(|from| from.headers().get_all(header::SET_COOKIE)) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
