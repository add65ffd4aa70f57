//! Routes, and what all responses have in common.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tracing::Instrument;

use crate::auth::{login, logout};
use crate::documents::registered_files;
use crate::dropbox::html_wrapper::wrap_in_html;
use crate::error::{ApiError, as_plain_text};
use crate::pictures::{avatar, picture};
use crate::server::OverClientLimit;
use crate::state::AppState;
use crate::{claim, crop, documents, dropbox, health, openapi, service_api, ui, upload_status};

pub(crate) fn router(state: AppState) -> Router {
    let dropbox = Router::new()
        .route(
            "/api/dropbox/pictures",
            post(dropbox::add).fallback(async || ApiError::MethodNotAllowed("POST")).layer(
                // The message is rendered first, then the page around it.
                tower::ServiceBuilder::new()
                    .layer(middleware::from_fn(wrap_in_html))
                    .layer(middleware::map_response(as_plain_text)),
            ),
        )
        .route(
            "/api/dropbox/pictures/{id}",
            get(picture::get)
                .put(crop::put)
                .fallback(async || ApiError::MethodNotAllowed("GET, HEAD, PUT"))
                .layer(middleware::map_response(as_plain_text)),
        );
    let rest = Router::new()
        .route("/api/login", post(login::login).fallback(async || ApiError::MethodNotAllowed("POST")))
        .route("/api/login/renewToken", post(login::renew).fallback(async || ApiError::MethodNotAllowed("POST")))
        .route("/api/logout", post(logout::logout).fallback(async || ApiError::MethodNotAllowed("POST")))
        .route(
            "/api/logout/everywhere",
            post(logout::logout_everywhere).fallback(async || ApiError::MethodNotAllowed("POST")),
        )
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
        .route("/uploads/{id}", get(upload_status::get).fallback(async || ApiError::MethodNotAllowed("GET, HEAD")))
        .route(
            "/service/{service}/{id}",
            get(service_api::get)
                .put(service_api::register)
                .fallback(async || ApiError::MethodNotAllowed("GET, HEAD, PUT")),
        )
        .route(
            "/service/{service}/{id}/users/{user}",
            put(service_api::grant)
                .delete(service_api::revoke)
                .fallback(async || ApiError::MethodNotAllowed("PUT, DELETE")),
        )
        .route(
            "/service/{service}/{id}/claim/{user}",
            put(service_api::claim).fallback(async || ApiError::MethodNotAllowed("PUT")),
        )
        .route(
            "/service/uploads/{id}",
            get(service_api::get_upload).fallback(async || ApiError::MethodNotAllowed("GET, HEAD")),
        )
        .route(
            "/service/files/{id}",
            get(registered_files::get)
                .put(registered_files::register)
                .fallback(async || ApiError::MethodNotAllowed("GET, HEAD, PUT")),
        )
        .route(
            "/service/files/{id}/users/{user}",
            put(registered_files::share)
                .delete(registered_files::unshare)
                .fallback(async || ApiError::MethodNotAllowed("PUT, DELETE")),
        )
        .route("/openapi.json", get(openapi::openapi_json))
        .route("/docs", get(openapi::viewer))
        .route("/", get(ui::index))
        .route("/page/page.css", get(ui::style))
        .route("/page/page.js", get(ui::script))
        .route("/page/icon.png", get(ui::icon))
        .route("/page/login", post(ui::login))
        .route("/page/logout", post(ui::logout))
        .route("/page/crop", post(ui::crop))
        .route("/page/claim", post(ui::claim))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(async || ApiError::NotFound("there is nothing at this address".to_owned()));
    dropbox.merge(rest).merge(documents::routes()).layer(middleware::from_fn(observe_request)).with_state(state)
}

/// Wraps every request: opens a span, counts and times the request, and sets the headers that every response has.
async fn observe_request(request: Request, next: Next) -> Response {
    let started_at = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
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
    if let Some(trace) = request.headers().get(instrument::TRACEPARENT).and_then(|trace| trace.to_str().ok()) {
        instrument::continue_trace(&span, trace);
    }
    let mut response = if request.extensions().get::<OverClientLimit>().is_some() {
        ApiError::TooManyRequests {
            code: "too_many_connections",
            message: "this address has too many requests in progress; wait for some to end".to_owned(),
            retry_after: 1,
        }
        .into_response()
    } else {
        next.run(request).instrument(span.clone()).await
    };
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let _entered = span.enter();
    tracing::debug!(status, ms = started_at.elapsed().as_millis(), "{method} {route} {status}");
    let labels = [("route", route), ("method", method.to_owned()), ("status", status.to_string())];
    metrics::counter!("cloakroom_http_requests_total", &labels).increment(1);
    metrics::histogram!("cloakroom_http_seconds", &labels).record(started_at.elapsed());
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

/// Returns the method name for labels and spans. Any token is a valid HTTP method, and each one used as a label would
/// create a time series that stays. OpenTelemetry's conventions for HTTP use this name for unknown methods.
fn method_label(method: &Method) -> &'static str {
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
