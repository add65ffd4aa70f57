//! The page's forms, for browsers without a script: each does what a call of the contract does and comes back to the
//! page. The CSRF token is a hidden field.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use upload::{Resource, Service};

use super::same_site::Sender;
use super::{login_page, view};
use crate::claim::Wish;
use crate::crop::apply;
use crate::desk::Desk;
use crate::peer::Peer;
use crate::problem::ApiError;
use crate::receive::small;
use crate::who::logout::{end, logged_out};
use crate::who::{Action, Caller, check_csrf, login as who};

type Fields = Vec<(String, String)>;

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// `POST /page/login`
pub(crate) async fn login(State(desk): State<Desk>, Peer(address): Peer, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let entered = async {
        let sender = Sender::of(&headers, desk.http.proxies);
        if sender == Sender::OtherSite {
            sender.check(&desk, &headers, "")?;
        }
        let fields = small::form(&desk, request, "the login").await?;
        sender.check(&desk, &headers, field(&fields, "token"))?;
        who::enter(&desk, address, field(&fields, "email"), field(&fields, "password").to_owned()).await
    };
    match entered.await {
        Ok((user, session)) => match who::logged_in(&desk, &headers, &user, &session) {
            Ok(answer) => back("/", &answer),
            Err(error) => login_page(&desk, &headers, Some(error)),
        },
        Err(error) => login_page(&desk, &headers, Some(error)),
    }
}

/// `POST /page/logout`: ends the session, or all sessions of the caller, and removes the cookies.
pub(crate) async fn logout(State(desk): State<Desk>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let ended = async {
        let (caller, fields) = allowed(&desk, request).await?;
        end(&desk, &caller, !field(&fields, "everywhere").is_empty()).await?;
        logged_out(&desk, &headers)
    };
    let ended = ended.await;
    match ended {
        Ok(gone) => back("/", &gone),
        Err(error) => view(&desk, &headers, "", Some(error)).await,
    }
}

/// `POST /page/crop`
pub(crate) async fn crop(State(desk): State<Desk>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let mut picture = String::new();
    let cropped = async {
        let (caller, fields) = allowed(&desk, request).await?;
        picture = field(&fields, "picture").to_owned();
        let side = field(&fields, "side");
        let [x, y, w, h] = match field(&fields, "whole") {
            "" => [field(&fields, "x"), field(&fields, "y"), side, side],
            _ => ["0", "0", "512", "512"],
        };
        let crop = [("x", x), ("y", y), ("w", w), ("h", h)].map(|(key, value)| (key.to_owned(), value.to_owned()));
        apply(&desk, &caller, &picture, &crop).await
    };
    let cropped = cropped.await;
    match cropped {
        Ok(id) => back(&format!("/?picture={id}"), &StatusCode::OK.into_response()),
        Err(error) => view(&desk, &headers, &picture, Some(error)).await,
    }
}

/// `POST /page/claim`: as the caller's own avatar.
pub(crate) async fn claim(State(desk): State<Desk>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let mut picture = String::new();
    let claimed = async {
        let (caller, fields) = allowed(&desk, request).await?;
        picture = field(&fields, "picture").to_owned();
        let body = Map::from_iter([("PictureID".to_owned(), Value::String(picture.clone()))]);
        let own = Resource { service: Service::Users, id: caller.user.clone() };
        desk.authorize(&caller, Action::Claim, &own).await?;
        desk.claim(&own, Wish::parse(&body)?, &caller.claimant()).await
    };
    let claimed = claimed.await;
    match claimed {
        Ok(_) => back("/", &StatusCode::OK.into_response()),
        Err(error) => view(&desk, &headers, &picture, Some(error)).await,
    }
}

/// The caller whose token came as a field, and the other fields.
async fn allowed(desk: &Desk, request: Request<Body>) -> Result<(Caller, Fields), ApiError> {
    let caller = Caller::of(desk, request.headers()).await?;
    desk.count_request(&caller)?;
    let fields = small::form(desk, request, "the form").await?;
    if let (Some(session), true) = (&caller.cookie, desk.realm.csrf_writes) {
        let token = field(&fields, desk.names.csrf_header.as_str());
        check_csrf(token, session, &desk.keys, desk.places.records.clock().now()).map_err(ApiError::Csrf)?;
    }
    Ok((caller, fields))
}

/// To another page, with the cookies that an answer set.
fn back(place: &str, answer: &Response) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    for cookie in answer.headers().get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}
