//! The routes of the documents API.

use axum::middleware;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::DocumentError;
use super::{
    applinks, delete_file, error_middleware, file_info, public_links, renditions, response_bodies, upload_endpoints,
};
use crate::error::ApiError;
use crate::http::other_methods::refuse_other_methods;
use crate::openapi;
use crate::state::AppState;

/// What the OpenAPI document says about this API beside its operations.
#[derive(OpenApi)]
#[openapi(components(schemas(response_bodies::DocumentErrorBody)))]
struct DocumentsDoc;

/// The routes of the documents API. Paths in the handlers are relative to `/documents/api/{version}`.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    let operations = [
        routes!(upload_endpoints::file),
        routes!(file_info::get, delete_file::remove),
        routes!(file_info::versions),
        routes!(renditions::file, upload_endpoints::next_version),
        routes!(renditions::get, upload_endpoints::rendition, renditions::remove),
        routes!(renditions::list),
        routes!(renditions::thumbnail),
        routes!(applinks::refresh),
        routes!(applinks::add),
        routes!(applinks::get, applinks::revoke),
        routes!(public_links::list, public_links::add),
        routes!(public_links::get, public_links::revoke),
    ];
    let operations = operations.into_iter().map(refuse_other_methods::<DocumentError, _>);
    let mut operations = operations.fold(OpenApiRouter::with_openapi(DocumentsDoc::openapi()), OpenApiRouter::routes);
    openapi::complete_documents(operations.get_openapi_mut());
    let operations = operations
        .fallback(async || DocumentError::from(ApiError::NotFound("there is nothing at this path".to_owned())));
    OpenApiRouter::new()
        .nest("/documents/api/{version}", operations)
        .layer(middleware::from_fn(error_middleware::render_errors))
}
