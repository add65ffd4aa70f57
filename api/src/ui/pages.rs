//! Renders the page and its files.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::Media;
use serde::Deserialize;

use crate::auth::authenticator::Authenticator;
use crate::auth::cookies::SessionCookies;
use crate::auth::realm_names::RealmNames;
use crate::dropbox::picture_id::parse_picture_id;
use crate::dropbox::settings::UploadSettings;
use crate::dropbox::unclaimed_pictures::UnclaimedPictures;
use crate::error::{ApiError, ErrorMessage};
use crate::http::html::{escape_html, html_response, render_template};
use crate::http::settings::HttpSettings;
use crate::ui::login_csrf;

#[derive(Deserialize)]
pub(crate) struct PageQuery {
    picture: Option<String>,
}

/// `GET /`
pub(crate) async fn index(
    State(pages): State<Arc<PageRenderer>>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Response {
    pages.render_index(&headers, query.picture.as_deref().unwrap_or_default(), None).await
}

/// Renders the page, and the login page for visitors.
pub(crate) struct PageRenderer {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) realm: Arc<RealmNames>,
    pub(crate) cookies: Arc<SessionCookies>,
    pub(crate) pictures: Arc<UnclaimedPictures>,
    pub(crate) uploads: Arc<UploadSettings>,
    pub(crate) http: Arc<HttpSettings>,
}

impl PageRenderer {
    /// Renders the page for the current user, with the picture that is named, if any, and with what failed.
    pub(super) async fn render_index(&self, headers: &HeaderMap, picture: &str, failure: Option<ApiError>) -> Response {
        let caller = match self.authenticator.authenticate(headers).await {
            Ok(caller) => caller,
            Err(error @ ApiError::Backend(_)) => return error.into_response(),
            Err(_) => return self.render_login(headers, failure),
        };
        let mut failure = failure;
        let mut found = false;
        if !picture.is_empty() && failure.is_none() {
            let lookup = async { self.pictures.find(&caller, parse_picture_id(picture)?).await };
            match lookup.await {
                Ok(_) => found = true,
                Err(error) => failure = Some(error),
            }
        } else if let Ok(id) = parse_picture_id(picture) {
            found = self.pictures.find(&caller, id).await.is_ok();
        }
        let Some(session) = &caller.cookie_session else { return self.render_login(headers, failure) };
        let picture = if found { picture } else { "" };
        let prefix = self.http.path_prefix.as_str();
        let source = |size: u32| match found {
            true => format!("src=\"{prefix}/api/dropbox/pictures/{}?size={size}\"", escape_html(picture)),
            false => String::new(),
        };
        let (status, message) = error_text(failure);
        let fed = &self.realm.fedmember;
        let page = render_template(
            include_str!("index.html"),
            &[
                ("prefix", prefix),
                ("user", &escape_html(&format!("{}.{fed}", session.user_id))),
                ("name", &escape_html(&session.name)),
                ("csrf_field", &escape_html(&format!("X-Csrf-Token_{fed}"))),
                ("csrf", &escape_html(&self.cookies.csrf_token(session))),
                ("accept", &Media::supported_pictures().map(Media::mime).collect::<Vec<_>>().join(",")),
                ("formats", &Media::list_supported_pictures("or")),
                ("limit", &self.uploads.max_bytes.to_string()),
                ("picture", &escape_html(picture)),
                ("source", &source(512)),
                ("source_75", &source(75)),
                ("source_25", &source(25)),
                ("hidden", if found { "" } else { "hidden" }),
                ("message", &escape_html(&message)),
            ],
        );
        html_response(status, page)
    }

    pub(super) fn render_login(&self, headers: &HeaderMap, failure: Option<ApiError>) -> Response {
        let (status, message) = error_text(failure);
        let (token, cookie) = match login_csrf::login_token(&self.realm, &self.cookies, headers) {
            Ok(token) => token,
            Err(error) => return error.into_response(),
        };
        let prefix = self.http.path_prefix.clone();
        let values = [("prefix", prefix), ("message", escape_html(&message)), ("token", token)];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut response = html_response(status, render_template(include_str!("login.html"), &values));
        response.headers_mut().append(header::SET_COOKIE, cookie);
        response
    }
}

/// Returns an error as a status and a sentence. A server error is logged here, as everywhere.
fn error_text(failure: Option<ApiError>) -> (StatusCode, String) {
    let Some(error) = failure else { return (StatusCode::OK, String::new()) };
    let response = error.into_response();
    let message = response.extensions().get::<ErrorMessage>().map_or_else(String::new, |message| message.0.clone());
    (response.status(), message)
}

/// `GET /page/page.css`
pub(crate) async fn style() -> impl IntoResponse {
    asset("text/css; charset=utf-8", include_bytes!("page.css"))
}

/// `GET /page/page.js`
pub(crate) async fn script() -> impl IntoResponse {
    asset("text/javascript; charset=utf-8", include_bytes!("page.js"))
}

/// `GET /page/icon.png`
pub(crate) async fn icon() -> impl IntoResponse {
    asset("image/png", include_bytes!("icon.png"))
}

pub(super) fn asset(kind: &'static str, bytes: &'static [u8]) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], bytes)
}
