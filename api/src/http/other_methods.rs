//! 405 for the methods that a path does not support. The `Allow` list is made of the operations that are routed at the
//! path, so that it cannot differ from them (RFC 9110, 15.5.6).

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::PathItem;
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt};

use crate::error::ApiError;

/// Answers `OPTIONS` at the path of these operations with the methods in `Allow` (RFC 9110, 9.3.7), and every other
/// method with 405, as an error of type `E`. Layers that render errors must be added to
/// the result, so that they render this error too.
pub(crate) fn refuse_other_methods<E, S>(operations: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    E: From<ApiError> + IntoResponse,
    S: Clone + Send + Sync + 'static,
{
    let allow = operations.1.paths.values().map(supported_methods).collect::<String>();
    operations.map(|router| {
        router.fallback(move |method: Method| {
            let allow = allow.clone();
            async move {
                if method == Method::OPTIONS {
                    return (StatusCode::NO_CONTENT, [(header::ALLOW, format!("{allow}, OPTIONS"))]).into_response();
                }
                E::from(ApiError::MethodNotAllowed(allow)).into_response()
            }
        })
    })
}

/// Answers `OPTIONS` at a page. The methods in `Allow` are those that axum lists in its response 405.
pub(crate) async fn answer_options(request: Request, next: Next) -> Response {
    let is_options = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if is_options && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

/// Lists the methods of a path as `Allow` does. `HEAD` is answered wherever `GET` is.
fn supported_methods(item: &PathItem) -> String {
    let methods = [
        ("GET, HEAD", &item.get),
        ("PUT", &item.put),
        ("POST", &item.post),
        ("DELETE", &item.delete),
        ("PATCH", &item.patch),
        ("OPTIONS", &item.options),
    ];
    let methods: Vec<&str> =
        methods.iter().filter_map(|(name, operation)| operation.is_some().then_some(*name)).collect();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;
    use utoipa_axum::router::OpenApiRouter;
    use utoipa_axum::routes;

    use super::*;

    #[utoipa::path(get, path = "/thing")]
    async fn read() {}

    #[utoipa::path(delete, path = "/thing")]
    async fn remove() {}

    #[utoipa::path(put, path = "/other")]
    async fn replace() {}

    #[test]
    fn allow_lists_the_routed_methods() {
        let of =
            |operations: UtoipaMethodRouter| operations.1.paths.values().map(supported_methods).collect::<String>();
        assert_eq!(of(routes!(read, remove)), "GET, HEAD, DELETE");
        assert_eq!(of(routes!(remove, read)), "GET, HEAD, DELETE");
        assert_eq!(of(routes!(replace)), "PUT");
    }

    #[tokio::test]
    async fn axum_keeps_our_allow_header() {
        let error = || async { ApiError::MethodNotAllowed("GET, HEAD, DELETE".to_owned()) };
        let routes: UtoipaMethodRouter = routes!(read, remove);
        let router: Router = OpenApiRouter::new().routes(routes.map(|router| router.fallback(error))).into();
        let request = Request::post("/thing").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        let allow: Vec<_> = response.headers().get_all("allow").iter().collect();
        assert_eq!(allow, ["GET, HEAD, DELETE"]);
    }
}
