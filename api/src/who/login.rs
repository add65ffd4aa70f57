//! Logging in, and staying so: `POST /api/login` and `POST /api/login/renewToken`.

use std::net::IpAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use upload::{Role, User};

use super::caller::Caller;
use super::csrf;
use super::password;
use super::people::LONGEST_EMAIL;
use super::session::Session;
use crate::desk::Desk;
use crate::forwarded;
use crate::peer::{Network, Peer};
use crate::problem::{ApiError, Problem};
use crate::receive::small;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
}

/// Who is logged in now.
#[derive(Serialize, utoipa::ToSchema)]
struct LoggedIn<'a> {
    id: String,
    name: &'a str,
    email: &'a str,
    role: &'a str,
    expires_at: jiff::Timestamp,
}

/// `POST /api/login`: logs somebody in by address and password.
#[utoipa::path(
    post,
    path = "/api/login",
    tag = "people",
    operation_id = "login",
    request_body(content = Credentials),
    responses(
        (status = 200, description = "Logged in; both cookies are set", body = LoggedIn),
        (status = 400, description = "What was sent makes no sense; the detail says what and what to send instead", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large; the limit and what was received are named", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The type is not taken", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The caller has had their share; see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn login(
    State(desk): State<Desk>,
    Peer(address): Peer,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let Credentials { email, password } = small::json(&desk, request, "the login").await?;
    let (user, session) = enter(&desk, address, &email, password).await?;
    logged_in(&desk, &headers, &user, &session)
}

/// Lets somebody in who knows the password, unless they, or somebody at their address, tried too often.
pub(crate) async fn enter(
    desk: &Desk,
    address: IpAddr,
    email: &str,
    password: String,
) -> Result<(User, Session), ApiError> {
    let now = desk.places.records.clock().now();
    let too_often = |retry_after| ApiError::TooMany {
        code: "too_many_logins",
        why: format!("too many attempts to log in; try again in {retry_after} seconds"),
        retry_after,
    };
    let network = Network::from(address);
    desk.logins.count_network(network, now).map_err(too_often)?;
    // Nobody has such an address or password, and what is counted is kept for a while.
    if email.len() > LONGEST_EMAIL || password.len() > password::LONGEST {
        return Err(refused());
    }
    let account = email.to_lowercase();
    let attempt = desk.logins.count(network, &account, now).map_err(too_often)?;
    let user = desk.places.records.user_by_email(&account).await?.filter(|user| !user.disabled);
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    if !desk.passwords.verify(password, hash).await? {
        return Err(refused());
    }
    let user = user.ok_or(ApiError::WrongCredentials)?;
    desk.logins.right(attempt, now);
    let session = desk.begin_session(&user).await?;
    metrics::counter!("cloakroom_logins_total", "outcome" => "ok").increment(1);
    Ok((user, session))
}

fn refused() -> ApiError {
    metrics::counter!("cloakroom_logins_total", "outcome" => "refused").increment(1);
    ApiError::WrongCredentials
}

/// `POST /api/login/renewToken`: renews a session, up to its absolute end.
#[utoipa::path(
    post,
    path = "/api/login/renewToken",
    tag = "people",
    operation_id = "renewToken",
    responses(
        (status = 200, description = "The session and its CSRF token last longer; both cookies are set", body = LoggedIn),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn renew(State(desk): State<Desk>, headers: HeaderMap) -> Result<Response, ApiError> {
    let caller = Caller::writer(&desk, &headers).await?;
    let session = caller.cookie.ok_or(ApiError::NotLoggedIn("only the session in the cookie can be renewed"))?;
    let (user, renewed) = desk.renew_session(&session).await?;
    logged_in(&desk, &headers, &user, &renewed)
}

/// Both cookies, and who is logged in as JSON.
pub(crate) fn logged_in(
    desk: &Desk,
    headers: &HeaderMap,
    user: &User,
    session: &Session,
) -> Result<Response, ApiError> {
    let no_key = || ApiError::Ours("there is no key to sign a session with".to_owned());
    let value = session.seal(&desk.names.fed, &desk.keys).ok_or_else(no_key)?;
    let token = csrf::token(session, &desk.keys).ok_or_else(no_key)?;
    let role = match user.role {
        Role::Admin => "admin",
        Role::Member => "member",
    };
    let body = LoggedIn {
        id: format!("{}.{}", user.id, desk.names.fed),
        name: &user.name,
        email: &user.email,
        role,
        expires_at: session.expires,
    };
    let mut response = Json(body).into_response();
    let age = u64::try_from(session.expires.duration_since(session.issued).as_secs()).unwrap_or_default();
    for (name, value, hidden) in [(&desk.names.session_cookie, value, true), (&desk.names.csrf_cookie, token, false)] {
        let cookie = desk.set_cookie(headers, &Cookie { name, value: &value, hidden, age });
        response.headers_mut().append(header::SET_COOKIE, cookie?);
    }
    Ok(response)
}

/// A cookie to be set.
pub(crate) struct Cookie<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    /// Whether scripts cannot read it.
    pub(crate) hidden: bool,
    /// How long the browser keeps it, in seconds; 0 removes it.
    pub(crate) age: u64,
}

impl Desk {
    /// Whether cookies for the client that sent `headers` bear `Secure`.
    pub(crate) fn secure_cookies(&self, headers: &HeaderMap) -> bool {
        let https = forwarded::https(headers, self.http.proxies);
        self.realm.secure_cookies.decide(https, self.http.listen.parse().ok())
    }

    /// The `Set-Cookie` line of a cookie for the client that sent `headers`.
    pub(crate) fn set_cookie(&self, headers: &HeaderMap, cookie: &Cookie<'_>) -> Result<HeaderValue, ApiError> {
        let Cookie { name, value, hidden, age } = cookie;
        let hidden = if *hidden { "; HttpOnly" } else { "" };
        let secure = if self.secure_cookies(headers) { "; Secure" } else { "" };
        let line = format!("{name}={value}; Path=/; Max-Age={age}{hidden}{secure}; SameSite=Lax");
        HeaderValue::try_from(line).map_err(|error| ApiError::Ours(format!("a cookie: {error}")))
    }
}
