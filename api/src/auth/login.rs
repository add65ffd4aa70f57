//! Login and session renewal: `POST /api/login` and `POST /api/login/renewToken`.

use std::net::IpAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, header};
use axum::response::{IntoResponse, Response};
use records::{Role, User};
use serde::{Deserialize, Serialize};

use super::{csrf, password};
use crate::auth::auth_user::AuthUser;
use crate::auth::session_token::Session;
use crate::auth::user_admin::MAX_EMAIL_BYTES;
use crate::error::ApiError;
use crate::http::client_ip::ClientIp;
use crate::http::network::Network;
use crate::http::{forwarded, small_body};
use crate::openapi::error_responses::{BodyErrors, CsrfErrors, LoginErrors, Problems};
use crate::state::AppState;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "jane@example.com", "password": "correct horse battery staple"}))]
struct Credentials {
    /// The e-mail address
    #[schema(max_length = 254)]
    email: String,
    #[schema(format = Password, max_length = 1024)]
    password: String,
}

/// The role of a user
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum LoginRole {
    Admin,
    Member,
}

/// The user who is logged in.
#[derive(Serialize, utoipa::ToSchema)]
struct LoginResponse<'a> {
    /// `<unique>.<federation member>`
    #[schema(example = "jane.acme")]
    id: String,
    #[schema(example = "Jane Doe")]
    name: &'a str,
    /// The e-mail address
    #[schema(example = "jane@example.com")]
    email: &'a str,
    role: LoginRole,
    /// When the session ends unless it is renewed
    expires_at: jiff::Timestamp,
}

/// `POST /api/login`: logs a user in by e-mail address and password.
#[utoipa::path(
    post,
    path = "/api/login",
    tag = "sessions",
    operation_id = "login",
    request_body(content = Credentials),
    responses(
        (status = 200, description = "Logged in", body = LoginResponse,
            headers(("Set-Cookie" = String, description = "The session cookie and the CSRF cookie, one header each"))),
        Problems::<(LoginErrors, BodyErrors)>,
    ),
    security(()),
)]
pub(crate) async fn login(
    State(state): State<AppState>,
    ClientIp(address): ClientIp,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let Credentials { email, password } = small_body::read_json(&state, request, "the login").await?;
    let (user, session) = log_in(&state, address, &email, password).await?;
    login_response(&state, &headers, &user, &session)
}

/// Logs a user in by address and password, unless there were too many attempts at the account or from the client's
/// network.
pub(crate) async fn log_in(
    state: &AppState,
    address: IpAddr,
    email: &str,
    password: String,
) -> Result<(User, Session), ApiError> {
    let now = state.backends.records.clock().now();
    let too_many_attempts = |retry_after| ApiError::TooManyRequests {
        code: "too_many_logins",
        message: format!("too many attempts to log in; try again in {retry_after} seconds"),
        retry_after,
    };
    let network = Network::from(address);
    state.login_attempts.count_network(network, now).map_err(too_many_attempts)?;
    // No user has an address or password this long. Such an address must not be counted, because counts are kept in
    // memory for a while.
    if email.len() > MAX_EMAIL_BYTES || password.len() > password::MAX_PASSWORD_BYTES {
        return Err(refuse_login());
    }
    let account = email.to_lowercase();
    let attempt = state.login_attempts.count_account(network, &account, now).map_err(too_many_attempts)?;
    let user = state.backends.records.user_by_email(&account).await?.filter(|user| !user.disabled);
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    if !state.passwords.verify(password, hash).await? {
        return Err(refuse_login());
    }
    let user = user.ok_or(ApiError::WrongCredentials)?;
    state.login_attempts.record_success(attempt, now);
    let session = state.begin_session(&user).await?;
    metrics::counter!("cloakroom_logins_total", "outcome" => "ok").increment(1);
    Ok((user, session))
}

fn refuse_login() -> ApiError {
    metrics::counter!("cloakroom_logins_total", "outcome" => "refused").increment(1);
    ApiError::WrongCredentials
}

/// `POST /api/login/renewToken`: renews the session, up to its absolute end.
#[utoipa::path(
    post,
    path = "/api/login/renewToken",
    tag = "sessions",
    operation_id = "renewToken",
    responses(
        (status = 200, description = "The session and its CSRF token are renewed", body = LoginResponse,
            headers(("Set-Cookie" = String, description = "The session cookie and the CSRF cookie, one header each"))),
        Problems::<CsrfErrors>,
    ),
    security(("session" = [], "csrf" = [])),
)]
pub(crate) async fn renew(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let caller = AuthUser::for_write(&state, &headers).await?;
    let session = caller
        .cookie_session
        .ok_or(ApiError::NotLoggedIn("only a session in a cookie can be renewed; send the session cookie"))?;
    let (user, renewed) = state.renew_session(&session).await?;
    login_response(&state, &headers, &user, &renewed)
}

/// The response with both cookies, and the user who is logged in as JSON.
pub(crate) fn login_response(
    state: &AppState,
    headers: &HeaderMap,
    user: &User,
    session: &Session,
) -> Result<Response, ApiError> {
    let no_key = || ApiError::Internal("there is no key to sign a session with".to_owned());
    let value = session.sign(&state.realm_names.fedmember, &state.signing_keys).ok_or_else(no_key)?;
    let token = csrf::token(session, &state.signing_keys).ok_or_else(no_key)?;
    let role = match user.role {
        Role::Admin => LoginRole::Admin,
        Role::Member => LoginRole::Member,
    };
    let body = LoginResponse {
        id: format!("{}.{}", user.id, state.realm_names.fedmember),
        name: &user.name,
        email: &user.email,
        role,
        expires_at: session.expires_at,
    };
    let mut response = Json(body).into_response();
    let max_age = u64::try_from(session.expires_at.duration_since(session.issued_at).as_secs()).unwrap_or_default();
    for (name, value, http_only) in
        [(&state.realm_names.session_cookie, value, true), (&state.realm_names.csrf_cookie, token, false)]
    {
        let cookie = state.set_cookie(headers, &SetCookie { name, value: &value, http_only, max_age });
        response.headers_mut().append(header::SET_COOKIE, cookie?);
    }
    Ok(response)
}

/// A cookie to set in a response.
pub(crate) struct SetCookie<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    /// Whether scripts cannot read it.
    pub(crate) http_only: bool,
    /// How long the browser keeps it, in seconds; 0 removes it.
    pub(crate) max_age: u64,
}

impl AppState {
    /// Whether cookies have the attribute `Secure` for the client that sent `headers`.
    pub(crate) fn secure_cookies(&self, headers: &HeaderMap) -> bool {
        let https = forwarded::is_https(headers, self.http.trusted_proxies);
        self.realm.secure_cookies.is_secure(https, self.http.listen.parse().ok())
    }

    /// Returns the `Set-Cookie` header of a cookie for the client that sent `headers`.
    pub(crate) fn set_cookie(&self, headers: &HeaderMap, cookie: &SetCookie<'_>) -> Result<HeaderValue, ApiError> {
        let SetCookie { name, value, http_only, max_age } = cookie;
        let http_only = if *http_only { "; HttpOnly" } else { "" };
        let secure = if self.secure_cookies(headers) { "; Secure" } else { "" };
        let line = format!("{name}={value}; Path=/; Max-Age={max_age}{http_only}{secure}; SameSite=Lax");
        HeaderValue::try_from(line).map_err(|error| ApiError::Internal(format!("a cookie: {error}")))
    }
}
