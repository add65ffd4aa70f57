//! Renders the pages of `/`: the page of the user's pictures, and the login page for visitors.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Media, Upload};
use records::UploadFilter;
use serde::Deserialize;

use super::crop_form;
use super::notice::Notice;
use super::upload_rows::upload_rows;
use crate::auth::auth_user::AuthUser;
use crate::auth::authenticator::Authenticator;
use crate::auth::cookies::SessionCookies;
use crate::auth::realm_names::RealmNames;
use crate::auth::session_token::Session;
use crate::dropbox::picture_id::parse_picture_id;
use crate::dropbox::settings::UploadSettings;
use crate::dropbox::unclaimed_pictures::UnclaimedPictures;
use crate::error::{ApiError, ErrorMessage, as_sentence};
use crate::http::html::{escape_html, html_response, render_template};
use crate::http::settings::HttpSettings;
use crate::ui::login_csrf;

/// The most pictures in the list. The script shows more.
const MAX_ROWS: u64 = 20;

/// The query of the page.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    /// The picture to show.
    picture: Option<String>,
    /// What a form has done.
    done: Option<String>,
}

/// `GET /`
pub(crate) async fn index(
    State(pages): State<Arc<PageRenderer>>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Response {
    let notice = query.done.and_then(|name| name.parse().ok());
    pages.render_index(&headers, query.picture.as_deref().unwrap_or_default(), PageResult::Done(notice)).await
}

/// What happened before the page is rendered.
pub(super) enum PageResult {
    /// Nothing failed.
    Done(Option<Notice>),
    /// A form failed.
    Failed(ApiError),
}

impl PageResult {
    /// Returns the status of the page, what was done, and what failed. A server error is logged here, as everywhere.
    fn into_texts(self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Done(notice) => (StatusCode::OK, notice.map_or("", Notice::text), String::new()),
            Self::Failed(error) => {
                let response = error.into_response();
                let message = response.extensions().get::<ErrorMessage>();
                let message = message.map_or_else(String::new, |message| as_sentence(message.0.clone()));
                (response.status(), "", message)
            }
        }
    }
}

/// What the login page keeps of the form that was sent.
#[derive(Default)]
pub(super) struct LoginFields<'a> {
    pub(super) email: &'a str,
    /// The picture to return to.
    pub(super) picture: &'a str,
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
    /// Renders the page for the current user, with the picture that is named, if any, and with what happened.
    pub(super) async fn render_index(&self, headers: &HeaderMap, picture: &str, result: PageResult) -> Response {
        let caller = match self.authenticator.authenticate(headers).await {
            Ok(caller) => caller,
            Err(error @ ApiError::Backend(_)) => return error.into_response(),
            Err(_) => return self.render_login(headers, &LoginFields { picture, ..Default::default() }, result),
        };
        let Some(session) = &caller.cookie_session else {
            return self.render_login(headers, &LoginFields { picture, ..Default::default() }, result);
        };
        let (found, result) = match (self.find_picture(&caller, picture).await, result) {
            (Ok(found), result) => (found, result),
            // What failed first is the reason.
            (Err(_), failed @ PageResult::Failed(_)) => (None, failed),
            (Err(error), PageResult::Done(_)) => (None, PageResult::Failed(error)),
        };
        let records = self.pictures.records();
        let own = UploadFilter { owner: Some(caller.user_id.clone()), ..Default::default() };
        let uploads = match records.list_uploads(&own, None, MAX_ROWS).await {
            Ok(uploads) => uploads,
            Err(error) => return ApiError::from(error).into_response(),
        };
        let (status, notice, message) = result.into_texts();
        let prefix = self.http.path_prefix.as_str();
        let source = |query: &str| match &found {
            Some(upload) => format!("src=\"{prefix}/api/dropbox/pictures/{}?{query}\"", upload.id),
            None => String::new(),
        };
        let hidden = if found.is_some() { "" } else { "hidden" };
        let mut values = vec![
            ("header", self.render_page(include_str!("header.html"), session, Vec::new())),
            ("dialogs", include_str!("dialogs.html").to_owned()),
            ("accept", Media::supported_pictures().map(Media::mime).collect::<Vec<_>>().join(",")),
            ("formats", Media::list_supported_pictures("or")),
            ("limit", self.uploads.max_bytes.to_string()),
            ("max_bytes", self.uploads.max_bytes.as_u64().to_string()),
            ("now", records.clock().now().as_millisecond().to_string()),
            ("picture", found.as_ref().map_or_else(String::new, |upload| upload.id.to_string())),
            ("label", escape_html(found.as_ref().map_or("", |upload| &upload.filename))),
            ("source_whole", source("size=512&amp;space=picture")),
            ("source", source("size=75")),
            ("hidden", hidden.to_owned()),
            ("uploads", upload_rows(prefix, &uploads)),
            ("notice", notice.to_owned()),
            ("message", escape_html(&message)),
        ];
        values.extend(crop_form::template_values(found.as_ref()));
        html_response(status, self.render_page(include_str!("index.html"), session, values))
    }

    /// Renders a template with these values and with those of the session.
    pub(super) fn render_page(
        &self,
        template: &str,
        session: &Session,
        mut values: Vec<(&'static str, String)>,
    ) -> String {
        let fed = &self.realm.fedmember;
        values.extend([
            ("prefix", self.http.path_prefix.clone()),
            ("user", escape_html(&format!("{}.{fed}", session.user_id))),
            ("name", escape_html(&session.name)),
            ("csrf_field", escape_html(&format!("X-Csrf-Token_{fed}"))),
            ("csrf_cookie", escape_html(&self.realm.csrf_cookie)),
            ("csrf", escape_html(&self.cookies.csrf_token(session))),
        ]);
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        render_template(template, &values)
    }

    /// Finds the picture of this number. An empty number is no picture.
    async fn find_picture(&self, caller: &AuthUser, number: &str) -> Result<Option<Upload>, ApiError> {
        if number.is_empty() {
            return Ok(None);
        }
        self.pictures.find(caller, parse_picture_id(number)?).await.map(Some)
    }

    pub(super) fn render_login(&self, headers: &HeaderMap, fields: &LoginFields<'_>, result: PageResult) -> Response {
        let (status, notice, message) = result.into_texts();
        let (token, cookie) = match login_csrf::login_token(&self.realm, &self.cookies, headers) {
            Ok(token) => token,
            Err(error) => return error.into_response(),
        };
        let focus = |wanted: bool| if wanted { "autofocus" } else { "" };
        let values = [
            ("prefix", self.http.path_prefix.clone()),
            ("notice", notice.to_owned()),
            ("message", escape_html(&message)),
            ("token", token),
            ("email", escape_html(fields.email)),
            ("return", escape_html(fields.picture)),
            ("focus_email", focus(fields.email.is_empty()).to_owned()),
            ("focus_password", focus(!fields.email.is_empty()).to_owned()),
        ];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut response = html_response(status, render_template(include_str!("login.html"), &values));
        response.headers_mut().append(header::SET_COOKIE, cookie);
        response
    }
}
