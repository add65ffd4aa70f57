//! Login and session renewal: `POST /api/login` and `POST /api/login/renewToken`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use records::{Records, Role, User};
use serde::{Deserialize, Serialize};

use super::password;
use crate::auth::attempt_limiter::{AttemptLimiter, AttemptLimits};
use crate::auth::authenticator::Authenticator;
use crate::auth::cookies::SessionCookies;
use crate::auth::password::Passwords;
use crate::auth::realm_names::RealmNames;
use crate::auth::session_token::Session;
use crate::auth::sessions::Sessions;
use crate::auth::user_admin::MAX_EMAIL_BYTES;
use crate::error::ApiError;
use crate::http::client_ip::ClientIp;
use crate::http::client_network::ClientNetwork;
use crate::http::small_body::UnreadBody;
use crate::openapi::error_responses::{BodyErrors, CsrfErrors, LoginErrors, Problems};

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
    State(login): State<Arc<PasswordLogin>>,
    State(cookies): State<Arc<SessionCookies>>,
    ClientIp(address): ClientIp,
    headers: HeaderMap,
    body: UnreadBody,
) -> Result<Response, ApiError> {
    let Credentials { email, password } = body.read_json("the login").await?;
    let (user, session) = login.log_in(address, &email, password).await?;
    login.response(&cookies, &headers, &user, &session)
}

/// Logs users in by e-mail address and password.
pub(crate) struct PasswordLogin {
    records: Records,
    realm: Arc<RealmNames>,
    sessions: Arc<Sessions>,
    passwords: Passwords,
    attempts: AttemptLimiter,
}

impl PasswordLogin {
    pub(crate) fn new(
        records: Records,
        realm: Arc<RealmNames>,
        sessions: Arc<Sessions>,
        passwords: Passwords,
        limits: AttemptLimits,
    ) -> Self {
        Self { records, realm, sessions, passwords, attempts: AttemptLimiter::new(limits) }
    }

    /// Logs a user in, unless there were too many attempts at the account or from the client's network.
    pub(crate) async fn log_in(
        &self,
        address: IpAddr,
        email: &str,
        password: String,
    ) -> Result<(User, Session), ApiError> {
        let now = self.records.clock().now();
        let too_many_attempts = |retry_after| ApiError::TooManyRequests {
            code: "too_many_logins",
            message: format!("too many attempts to log in; try again in {retry_after} seconds"),
            retry_after,
        };
        let network = ClientNetwork::from(address);
        self.attempts.count_network(network, now).map_err(too_many_attempts)?;
        // No user has a longer e-mail address or a longer password. A longer e-mail address must not be counted,
        // because its count would be kept in memory for a while.
        if email.len() > MAX_EMAIL_BYTES || password.len() > password::MAX_PASSWORD_BYTES {
            return Err(refuse_login());
        }
        let account = email.to_lowercase();
        let attempt = self.attempts.count_account(network, &account, now).map_err(too_many_attempts)?;
        let user = self.records.user_by_email(&account).await?.filter(|user| !user.disabled);
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        if !self.passwords.verify(password, hash).await? {
            return Err(refuse_login());
        }
        let user = user.ok_or(ApiError::WrongCredentials)?;
        self.attempts.record_success(attempt, now);
        let session = self.sessions.begin(&user).await?;
        metrics::counter!("cloakroom_logins_total", "outcome" => "ok").increment(1);
        Ok((user, session))
    }

    /// Returns the response to a login: the user as JSON, with the session cookie and the CSRF cookie.
    pub(crate) fn response(
        &self,
        cookies: &SessionCookies,
        headers: &HeaderMap,
        user: &User,
        session: &Session,
    ) -> Result<Response, ApiError> {
        let role = match user.role {
            Role::Admin => LoginRole::Admin,
            Role::Member => LoginRole::Member,
        };
        let body = LoginResponse {
            id: format!("{}.{}", user.id, self.realm.fedmember),
            name: &user.name,
            email: &user.email,
            role,
            expires_at: session.expires_at,
        };
        let mut response = Json(body).into_response();
        cookies.set(&mut response, headers, session)?;
        Ok(response)
    }
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
pub(crate) async fn renew(
    State(authenticator): State<Arc<Authenticator>>,
    State(sessions): State<Arc<Sessions>>,
    State(login): State<Arc<PasswordLogin>>,
    State(cookies): State<Arc<SessionCookies>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = authenticator.authenticate_write(&headers).await?;
    let session = caller
        .cookie_session
        .ok_or(ApiError::NotLoggedIn("only a session in a cookie can be renewed; send the session cookie"))?;
    let (user, renewed) = sessions.renew(&session).await?;
    login.response(&cookies, &headers, &user, &renewed)
}
