//! Which address leads where, and what every answer has in common.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tracing::Instrument;

use crate::desk::Desk;
use crate::documents::registry;
use crate::problem::{ApiError, plainly};
use crate::receive::wrap_in_html::wrap_in_html;
use crate::serve::OverLimit;
use crate::show::{avatar, picture};
use crate::who::{login, logout};
use crate::{claim, crop, docs, documents, health, page, receive, service, status};

pub(crate) fn router(desk: Desk) -> Router {
    let dropbox = Router::new()
        .route(
            "/api/dropbox/pictures",
            post(receive::add).fallback(async || ApiError::MethodNotAllowed("POST")).layer(
                // The message first, then the page around it.
                tower::ServiceBuilder::new()
                    .layer(middleware::from_fn(wrap_in_html))
                    .layer(middleware::map_response(plainly)),
            ),
        )
        .route(
            "/api/dropbox/pictures/{id}",
            get(picture::get)
                .put(crop::put)
                .fallback(async || ApiError::MethodNotAllowed("GET, HEAD, PUT"))
                .layer(middleware::map_response(plainly)),
        );
    let rest = Router::new()
        .route("/api/login", post(login::login).fallback(async || ApiError::MethodNotAllowed("POST")))
        .route("/api/login/renewToken", post(login::renew).fallback(async || ApiError::MethodNotAllowed("POST")))
        .route("/api/logout", post(logout::one).fallback(async || ApiError::MethodNotAllowed("POST")))
        .route("/api/logout/everywhere", post(logout::everywhere).fallback(async || ApiError::MethodNotAllowed("POST")))
        .route("/api/{service}/{id}", put(claim::put).fallback(async || ApiError::MethodNotAllowed("PUT")))
        .route(
            "/api/{service}/{id}/avatar",
            get(avatar::current).fallback(async || ApiError::MethodNotAllowed("GET, HEAD")),
        )
        .route(
            "/api/{service}/{id}/avatars/{version}",
            get(avatar::version).fallback(async || ApiError::MethodNotAllowed("GET, HEAD")),
        )
        .route(
            "/api/{service}/{id}/picture",
            delete(avatar::remove).fallback(async || ApiError::MethodNotAllowed("DELETE")),
        )
        .route("/uploads/{id}", get(status::get).fallback(async || ApiError::MethodNotAllowed("GET, HEAD")))
        .route(
            "/service/{service}/{id}",
            get(service::look_up)
                .put(service::register)
                .fallback(async || ApiError::MethodNotAllowed("GET, HEAD, PUT")),
        )
        .route(
            "/service/{service}/{id}/users/{user}",
            put(service::grant).delete(service::revoke).fallback(async || ApiError::MethodNotAllowed("PUT, DELETE")),
        )
        .route(
            "/service/{service}/{id}/claim/{user}",
            put(service::claim).fallback(async || ApiError::MethodNotAllowed("PUT")),
        )
        .route("/service/uploads/{id}", get(service::upload).fallback(async || ApiError::MethodNotAllowed("GET, HEAD")))
        .route(
            "/service/files/{id}",
            get(registry::look_up)
                .put(registry::register)
                .fallback(async || ApiError::MethodNotAllowed("GET, HEAD, PUT")),
        )
        .route(
            "/service/files/{id}/users/{user}",
            put(registry::share).delete(registry::unshare).fallback(async || ApiError::MethodNotAllowed("PUT, DELETE")),
        )
        .route("/openapi.json", get(docs::json))
        .route("/docs", get(docs::viewer))
        .route("/", get(page::page))
        .route("/page/page.css", get(page::style))
        .route("/page/page.js", get(page::script))
        .route("/page/icon.png", get(page::icon))
        .route("/page/login", post(page::login))
        .route("/page/logout", post(page::logout))
        .route("/page/crop", post(page::crop))
        .route("/page/claim", post(page::claim))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(async || ApiError::NotFound("there is nothing at this address".to_owned()));
    dropbox.merge(rest).merge(documents::routes()).layer(middleware::from_fn(around)).with_state(desk)
}

/// Around every request: a span, a count, a time, and the headers that no answer goes without.
async fn around(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = known(request.method());
    let id = uuid::Uuid::now_v7().simple().to_string();
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        method,
        path = request.uri().path(),
        id,
        http.response.status_code = tracing::field::Empty
    );
    if let Some(trace) = request.headers().get(upload::TRACEPARENT).and_then(|trace| trace.to_str().ok()) {
        upload::go_on(&span, trace);
    }
    let mut response = if request.extensions().get::<OverLimit>().is_some() {
        ApiError::TooMany {
            code: "too_many_connections",
            why: "this address has too many requests in progress; wait for some to end".to_owned(),
            retry_after: 1,
        }
        .into_response()
    } else {
        next.run(request).instrument(span.clone()).await
    };
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let _entered = span.enter();
    tracing::debug!(status, ms = begun.elapsed().as_millis(), "{method} {route} {status}");
    let labels = [("route", route), ("method", method.to_owned()), ("status", status.to_string())];
    metrics::counter!("cloakroom_http_requests_total", &labels).increment(1);
    metrics::histogram!("cloakroom_http_seconds", &labels).record(begun.elapsed());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    default_header(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default_header(headers, header::REFERRER_POLICY, "no-referrer");
    default_header(headers, header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    default_header(headers, header::CACHE_CONTROL, "no-store");
    response
}

/// The method as labels and spans name it. Any token is a method, and each that stood in a label would be a series for
/// ever; OpenTelemetry's conventions for HTTP call the unknown ones so.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "_OTHER",
    }
}

fn default_header(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
