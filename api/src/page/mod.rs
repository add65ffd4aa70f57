//! The page for people, at `/`: log in, hand a picture in, choose its part, keep it. No build step and nothing from
//! elsewhere; every form works without a script, and the script takes them over where there is one.

mod forms;
mod same_site;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

pub(crate) use forms::{claim, crop, login, logout};

use crate::desk::Desk;
use crate::html::escaped;
use crate::problem::{ApiError, Said};
use crate::receive::picture_id;
use crate::show::picture::waiting_picture;
use crate::who::{Caller, csrf_token};

/// Nothing but what we serve ourselves, no inline script or style, and nobody may frame it. `blob:` is the whole picture
/// that the script keeps while it is cropped.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Deserialize)]
pub(crate) struct Shown {
    picture: Option<String>,
}

/// `GET /`
pub(crate) async fn page(State(desk): State<Desk>, Query(shown): Query<Shown>, headers: HeaderMap) -> Response {
    view(&desk, &headers, shown.picture.as_deref().unwrap_or_default(), None).await
}

/// The page for whoever is there, with a picture where one is named, and with what went wrong.
async fn view(desk: &Desk, headers: &HeaderMap, picture: &str, trouble: Option<ApiError>) -> Response {
    let caller = match Caller::of(desk, headers).await {
        Ok(caller) => caller,
        Err(error @ ApiError::Place(_)) => return error.into_response(),
        Err(_) => return login_page(desk, headers, trouble),
    };
    let mut trouble = trouble;
    let mut there = false;
    if !picture.is_empty() && trouble.is_none() {
        let found = async { waiting_picture(desk, &caller, picture_id(picture)?).await };
        match found.await {
            Ok(_) => there = true,
            Err(error) => trouble = Some(error),
        }
    } else if let Ok(id) = picture_id(picture) {
        there = waiting_picture(desk, &caller, id).await.is_ok();
    }
    let Some(session) = &caller.cookie else { return login_page(desk, headers, trouble) };
    let picture = if there { picture } else { "" };
    let source = |size: u32| match there {
        true => format!("src=\"/api/dropbox/pictures/{}?size={size}\"", escaped(picture)),
        false => String::new(),
    };
    let (status, message) = told(trouble);
    let page = fill(
        include_str!("counter.html"),
        &[
            ("user", &escaped(&format!("{}.{}", session.user, desk.names.fed))),
            ("name", &escaped(&session.name)),
            ("csrf_field", &escaped(&format!("X-Csrf-Token_{}", desk.names.fed))),
            ("csrf", &escaped(&csrf_token(session, &desk.keys).unwrap_or_default())),
            ("limit", &desk.uploads.max_bytes.to_string()),
            ("picture", &escaped(picture)),
            ("source", &source(512)),
            ("source_75", &source(75)),
            ("source_25", &source(25)),
            ("hidden", if there { "" } else { "hidden" }),
            ("message", &escaped(&message)),
        ],
    );
    html(status, page)
}

fn login_page(desk: &Desk, headers: &HeaderMap, trouble: Option<ApiError>) -> Response {
    let (status, message) = told(trouble);
    let (token, kept) = match same_site::token(desk, headers) {
        Ok(made) => made,
        Err(error) => return error.into_response(),
    };
    let values = [("message", escaped(&message)), ("token", token)];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut response = html(status, fill(include_str!("login.html"), &values));
    response.headers_mut().append(header::SET_COOKIE, kept);
    response
}

/// An error as a status and a sentence; logged, where it is ours, as everywhere.
fn told(trouble: Option<ApiError>) -> (StatusCode, String) {
    let Some(error) = trouble else { return (StatusCode::OK, String::new()) };
    let response = error.into_response();
    let message = response.extensions().get::<Said>().map(|said| said.0.clone());
    (response.status(), message.unwrap_or_default())
}

/// Puts values into a template: `{{name}}`. They are HTML by now.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() + 1024);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        page.push_str(values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// A page of ours.
pub(crate) fn html(status: StatusCode, page: String) -> Response {
    let mut response = (status, page).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // With "no-referrer", which other answers have, a browser sends the origin of this page's own forms as "null".
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
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

fn asset(kind: &'static str, bytes: &'static [u8]) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], bytes)
}
