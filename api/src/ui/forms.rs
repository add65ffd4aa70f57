//! The page's forms, for browsers without a script. Each one does what a call of the dropbox contract does
//! (`docs/contracts/dropbox.md`, 2, 4, 6, 8), and then returns to the page. The CSRF token is a hidden field.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Resource, Service};
use serde_json::{Map, Value};

use super::login_csrf::FormOrigin;
use super::pages::{render_index, render_login};
use crate::auth::auth_user::AuthUser;
use crate::auth::csrf::check as check_csrf;
use crate::auth::login as login_endpoint;
use crate::auth::logout::{log_out, logout_response};
use crate::auth::policy_client::Action;
use crate::dropbox::claim::ClaimRequest;
use crate::dropbox::crop::apply_crop;
use crate::error::ApiError;
use crate::http::client_ip::ClientIp;
use crate::http::small_body;
use crate::state::AppState;

type FormFields = Vec<(String, String)>;

fn field<'a>(fields: &'a FormFields, name: &str) -> &'a str {
    fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// `POST /page/login`
pub(crate) async fn login(
    State(state): State<AppState>,
    ClientIp(address): ClientIp,
    request: Request<Body>,
) -> Response {
    let headers = request.headers().clone();
    let login = async {
        let origin = FormOrigin::from_headers(&headers, state.http.trusted_proxies);
        if origin == FormOrigin::CrossSite {
            origin.require_same_site(&state, &headers, "")?;
        }
        let fields = small_body::read_form(&state, request, "the login").await?;
        origin.require_same_site(&state, &headers, field(&fields, "token"))?;
        login_endpoint::log_in(&state, address, field(&fields, "email"), field(&fields, "password").to_owned()).await
    };
    match login.await {
        Ok((user, session)) => match login_endpoint::login_response(&state, &headers, &user, &session) {
            Ok(response) => redirect("/", &response),
            Err(error) => render_login(&state, &headers, Some(error)),
        },
        Err(error) => render_login(&state, &headers, Some(error)),
    }
}

/// `POST /page/logout`: ends the session, or all sessions of the caller, and removes the cookies.
pub(crate) async fn logout(State(state): State<AppState>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let ended = async {
        let (caller, fields) = read_csrf_form(&state, request).await?;
        log_out(&state, &caller, !field(&fields, "everywhere").is_empty()).await?;
        logout_response(&state, &headers)
    };
    let ended = ended.await;
    match ended {
        Ok(response) => redirect("/", &response),
        Err(error) => render_index(&state, &headers, "", Some(error)).await,
    }
}

/// `POST /page/crop`
pub(crate) async fn crop(State(state): State<AppState>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let mut picture = String::new();
    let cropped = async {
        let (caller, fields) = read_csrf_form(&state, request).await?;
        picture = field(&fields, "picture").to_owned();
        let side = field(&fields, "side");
        let [x, y, w, h] = match field(&fields, "whole") {
            "" => [field(&fields, "x"), field(&fields, "y"), side, side],
            _ => ["0", "0", "512", "512"],
        };
        let crop = [("x", x), ("y", y), ("w", w), ("h", h)].map(|(key, value)| (key.to_owned(), value.to_owned()));
        apply_crop(&state, &caller, &picture, &crop).await
    };
    let cropped = cropped.await;
    match cropped {
        Ok(id) => redirect(&format!("/?picture={id}"), &StatusCode::OK.into_response()),
        Err(error) => render_index(&state, &headers, &picture, Some(error)).await,
    }
}

/// `POST /page/claim`: claims a picture as the caller's own avatar.
pub(crate) async fn claim(State(state): State<AppState>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let mut picture = String::new();
    let claimed = async {
        let (caller, fields) = read_csrf_form(&state, request).await?;
        picture = field(&fields, "picture").to_owned();
        let body = Map::from_iter([("PictureID".to_owned(), Value::String(picture.clone()))]);
        let own = Resource { service: Service::Users, id: caller.user_id.clone() };
        state.authorize(&caller, Action::Claim, &own).await?;
        state.claim(&own, ClaimRequest::parse(&body)?, &caller.claimant()).await
    };
    let claimed = claimed.await;
    match claimed {
        Ok(_) => redirect("/", &StatusCode::OK.into_response()),
        Err(error) => render_index(&state, &headers, &picture, Some(error)).await,
    }
}

/// Authenticates the caller by the session cookie and the CSRF token in a field. Returns the caller and the other
/// fields.
async fn read_csrf_form(state: &AppState, request: Request<Body>) -> Result<(AuthUser, FormFields), ApiError> {
    let caller = AuthUser::authenticate(state, request.headers()).await?;
    state.check_rate_limit(&caller)?;
    let fields = small_body::read_form(state, request, "the form").await?;
    if let (Some(session), true) = (&caller.cookie_session, state.realm.csrf_writes) {
        let token = field(&fields, state.realm_names.csrf_header.as_str());
        check_csrf(token, session, &state.signing_keys, state.backends.records.clock().now())
            .map_err(ApiError::Csrf)?;
    }
    Ok((caller, fields))
}

/// Redirects to another page, with the cookies that a response set.
fn redirect(location: &str, cookies_from: &Response) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    for cookie in cookies_from.headers().get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
