//! Routes, and what all responses have in common.

use std::sync::Arc;
use std::time::Instant;

use domain::ordered_id;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tracing::Instrument;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::auth::bearer_token::bearer_token;
use crate::auth::{login, logout};
use crate::dropbox::html_wrapper::wrap_in_html;
use crate::dropbox::plain_text_errors::as_plain_text;
use crate::dropbox::{avatar, claim, crop, picture, upload};
use crate::error::ApiError;
use crate::http::cross_origin::add_cross_origin_headers;
use crate::http::message_checks::check_message;
use crate::http::other_methods::{answer_options, refuse_other_methods};
use crate::http::path_prefix::{prefix_location, remove_prefix};
use crate::http::server::OverClientLimit;
use crate::openapi::documented_responses::DocumentedResponses;
use crate::service_api::{files, resources};
use crate::state::AppState;
use crate::{documents, health, openapi, ui, upload_deletion, upload_list, upload_status};

/// Builds the router, and the OpenAPI document of its operations.
pub(crate) fn router(state: AppState) -> Router {
    let http = Arc::clone(&state.http);
    let service = tower::ServiceBuilder::new()
        .map_request(move |request: axum::extract::Request| remove_prefix(request, &http.path_prefix))
        .service(routes_without_prefix(state));
    // A layer of the router itself would see the request only after it was routed, too late to change the path.
    Router::new().fallback_service(service)
}

/// Builds the router for paths without `http.path_prefix`.
fn routes_without_prefix(state: AppState) -> Router {
    let (router, mut document) = operations().split_for_parts();
    openapi::complete(&mut document, &state.realm, &state.http.path_prefix);
    // Not `#[cfg]`, so that a release build compiles the same code.
    let router = if cfg!(debug_assertions) {
        let documented = DocumentedResponses::new(&document);
        router.layer(middleware::from_fn_with_state(Arc::new(documented), check_documented))
    } else {
        router
    };
    router
        .merge(pages())
        .fallback(async || ApiError::NotFound("there is nothing at this path".to_owned()))
        .layer(Extension(Arc::new(document)))
        .layer(middleware::from_fn_with_state(Arc::clone(&state.http), prefix_location))
        .layer(middleware::from_fn(observe_request))
        .layer(middleware::from_fn_with_state(Arc::clone(&state.cross_origin), add_cross_origin_headers))
        .with_state(state)
}

/// The operations of the API: everything but the pages for browsers.
fn operations() -> OpenApiRouter<AppState> {
    // The routes whose errors are problem documents (RFC 9457).
    let problem_routes = [
        routes!(login::login),
        routes!(login::renew),
        routes!(logout::logout),
        routes!(logout::logout_everywhere),
        routes!(claim::put),
        routes!(avatar::current),
        routes!(avatar::version),
        routes!(avatar::remove),
        routes!(upload_list::list),
        routes!(upload_status::get, upload_deletion::remove),
        routes!(resources::get, resources::register),
        routes!(resources::grant, resources::revoke),
        routes!(resources::claim),
        routes!(resources::get_upload),
        routes!(files::get, files::register),
        routes!(files::restore),
        routes!(files::share, files::unshare),
        routes!(openapi::openapi_json),
        routes!(health::livez),
        routes!(health::readyz),
        routes!(health::metrics),
    ];
    let problem_routes = problem_routes.into_iter().map(refuse_other_methods::<ApiError, _>);
    problem_routes
        .fold(OpenApiRouter::with_openapi(openapi::description()), OpenApiRouter::routes)
        .merge(dropbox_operations())
        .merge(documents::routes())
}

/// The pages for browsers. They are not part of the API, so the OpenAPI document leaves them out.
fn pages() -> Router<AppState> {
    Router::new()
        .route("/docs", get(openapi::viewer))
        .route("/", get(ui::pages::index))
        .route("/page/{file}", get(ui::assets::get))
        .route("/page/login", post(ui::forms::login))
        .route("/page/logout", post(ui::forms::logout))
        .route("/page/upload", post(ui::forms::upload))
        .route("/page/crop", post(ui::forms::crop))
        .route("/page/claim", post(ui::forms::claim))
        .route("/page/discard", post(ui::forms::discard))
        .route("/page/avatar/remove", post(ui::forms::remove_avatar))
        .route("/documents/embed/link/app/{link}/fileview/{file}", get(ui::applink_page::show))
        .layer(middleware::from_fn(answer_options))
}

/// The operations whose errors are plain text (`docs/contracts/dropbox.md`, 1.4).
fn dropbox_operations() -> OpenApiRouter<AppState> {
    // `as_plain_text` renders an error as its message, and `wrap_in_html` then renders the page around the message.
    let text_in_html =
        tower::ServiceBuilder::new().layer(middleware::from_fn(wrap_in_html)).layer(middleware::from_fn(as_plain_text));
    let pictures = refuse_other_methods::<ApiError, _>(routes!(upload::add)).layer(text_in_html);
    let picture = refuse_other_methods::<ApiError, _>(routes!(picture::get, crop::put));
    OpenApiRouter::new().routes(pictures).routes(picture.layer(middleware::from_fn(as_plain_text)))
}

/// Panics in a debug build if the response is not in the OpenAPI document, so that the test that got it fails.
async fn check_documented(
    State(documented): State<Arc<DocumentedResponses>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    // A request to a path that does not exist has no matched path.
    let undocumented = path.and_then(|path| {
        documented.undocumented((path.as_str().to_owned(), method), response.status(), response.headers())
    });
    debug_assert!(undocumented.is_none(), "{}", undocumented.unwrap_or_default());
    response
}

/// Wraps every request: opens a span, counts and times the request, and sets the headers that every response has.
///
/// Refuses a request whose `Host` or `Transfer-Encoding` is invalid, and a request of a client that has too many
/// requests in progress.
async fn observe_request(request: Request, next: Next) -> Response {
    let started_at = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let id = ordered_id().simple().to_string();
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
    let has_bearer = bearer_token(request.headers()).is_some();
    let mut response = if let Err(error) = check_message(request.version(), request.headers()) {
        error.into_response()
    } else if request.extensions().get::<OverClientLimit>().is_some() {
        ApiError::TooManyRequests {
            code: "too_many_connections",
            message: "this address has too many requests in progress; wait for some to end".to_owned(),
            retry_after: 1,
        }
        .into_response()
    } else {
        next.run(request).instrument(span.clone()).await
    };
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    let _entered = span.enter();
    tracing::debug!(
        status = status.as_u16(),
        ms = started_at.elapsed().as_millis(),
        "{method} {route} {}",
        status.as_u16()
    );
    let labels = [("route", route), ("method", method.to_owned()), ("status", status.as_str().to_owned())];
    metrics::counter!("cloakroom_http_requests_total", &labels).increment(1);
    metrics::histogram!("cloakroom_http_seconds", &labels).record(started_at.elapsed());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110, 15.5.2 requires a challenge. By RFC 6750, 3.1 it has an error code only if the request had a token.
        let invalid_token = "Bearer realm=\"cloakroom\", error=\"invalid_token\"";
        let challenge = if has_bearer { invalid_token } else { "Bearer realm=\"cloakroom\"" };
        default_header(headers, header::WWW_AUTHENTICATE, challenge);
    }
    default_header(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default_header(headers, header::REFERRER_POLICY, "no-referrer");
    default_header(headers, header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    default_header(headers, header::CACHE_CONTROL, "no-store");
    response
}

/// Returns the name of a method for labels and spans. An unknown method is named `_OTHER`, as in OpenTelemetry's
/// conventions for HTTP. Its own name is not used, because clients can invent any number of methods, and each name
/// would create a time series that stays.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::path_prefix::OWN_SEGMENTS;

    /// Returns the paths that a router has routes for. They are parsed from its `Debug` text, because nothing else
    /// lists them.
    fn routed_paths(router: &Router<AppState>) -> BTreeSet<String> {
        let text = format!("{router:?}");
        let paths = text.split("RouteId(").filter_map(|part| part.split_once("): \"")?.1.split('"').next());
        paths.filter(|path| !path.contains("{*")).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn every_route_is_documented_or_a_page() {
        let (router, document) = operations().split_for_parts();
        let mut routed = routed_paths(&router);
        // axum routes the fallback of a router at `/`. The fallback of the documents API is at the prefix of that API.
        assert!(routed.remove("/") && routed.remove("/documents/api/{version}"));
        let documented: BTreeSet<String> = document.paths.paths.keys().cloned().collect();
        assert_eq!(routed, documented);
        assert!(documented.len() > 30);
        let pages = routed_paths(&pages());
        let paths = documented.iter().chain(&pages);
        let first: BTreeSet<&str> = paths.filter_map(|path| path.split('/').nth(1)).collect();
        assert_eq!(first, OWN_SEGMENTS.into_iter().collect(), "http.path_prefix must not begin with these");
        let expected = [
            "/",
            "/docs",
            "/documents/embed/link/app/{link}/fileview/{file}",
            "/page/avatar/remove",
            "/page/claim",
            "/page/crop",
            "/page/discard",
            "/page/login",
            "/page/logout",
            "/page/upload",
            "/page/{file}",
        ];
        assert_eq!(pages.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}
