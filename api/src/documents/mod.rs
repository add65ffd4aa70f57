//! The documents API, `/documents/api/1.1` and `/1.2`: files, their versions and custom renditions, links to them.
//!
//! ```text
//! request_path, error_middleware   parse the path before every request, render errors after it
//! request, principal, authorize    format, credentials, file, role, in this order
//! upload, upload_form              form ─► staging ─► records ─► queue ─► the outcome from the worker, for renditions,
//!                                  files and versions alike
//! renditions, file_response, file_info    what exists, and its bytes
//! applinks, public_links, applink_tokens  delegation of permissions
//! response_bodies, response_format, xml, error   responses and errors, in JSON or XML
//! parameters, error_responses      what the OpenAPI document says about requests and errors
//! registered_files                 files of other systems, registered by those systems
//! ```
//!
//! The wire rules are those of the rendition contract (`docs/contracts/renditions.md`). Errors have the form of that
//! contract (4.3 and 4.4, see [`error`]), not the problem documents of the rest of the API.

pub(crate) mod access_code_cache;
mod applink_tokens;
pub(crate) mod applinks;
mod authorize;
mod error;
mod error_middleware;
mod error_responses;
pub(crate) mod file_info;
mod file_response;
mod json_params;
mod parameters;
mod principal;
pub(crate) mod public_links;
pub(crate) mod registered_files;
pub(crate) mod renditions;
mod request;
mod request_path;
mod response_bodies;
mod response_format;
pub(crate) mod settings;
pub(crate) mod upload;
mod upload_form;
mod xml;

use axum::middleware;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::FileRole;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::http::other_methods::refuse_other_methods;
use crate::openapi;
use crate::state::AppState;
use error::DocumentError;
use json_params::JsonParams;

/// What the OpenAPI document says about this API beside its operations.
#[derive(OpenApi)]
#[openapi(components(schemas(response_bodies::DocumentErrorBody)))]
struct DocumentsDoc;

/// The routes of the documents API. Paths in the handlers are relative to `/documents/api/{version}`.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    let operations = [
        routes!(upload::file),
        routes!(file_info::get),
        routes!(file_info::versions),
        routes!(renditions::file, upload::next_version),
        routes!(renditions::get, upload::rendition, renditions::remove),
        routes!(renditions::list),
        routes!(renditions::thumbnail),
        routes!(applinks::refresh),
        routes!(applinks::add),
        routes!(applinks::revoke),
        routes!(public_links::list, public_links::add),
        routes!(public_links::get, public_links::revoke),
    ];
    let operations = operations.into_iter().map(refuse_other_methods::<DocumentError>);
    let mut operations = operations.fold(OpenApiRouter::with_openapi(DocumentsDoc::openapi()), OpenApiRouter::routes);
    openapi::complete_documents(operations.get_openapi_mut());
    let operations = operations
        .fallback(async || DocumentError::from(ApiError::NotFound("there is nothing at this path".to_owned())));
    OpenApiRouter::new()
        .nest("/documents/api/{version}", operations)
        .layer(middleware::from_fn(error_middleware::render_errors))
}

/// Generates a link id that cannot be guessed.
fn generate_link_id() -> Result<String, DocumentError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| ApiError::Internal(format!("no random numbers: {error}")))?;
    Ok(format!("L{}", BASE64.encode(random)))
}

/// Parses the role that a link gives. Viewer if the parameters name no role.
fn parse_link_role(parameters: &JsonParams) -> Result<FileRole, DocumentError> {
    let Some(role) = parameters.text("role")? else { return Ok(FileRole::Viewer) };
    let role = role.parse().ok().filter(|role| *role <= FileRole::Contributor);
    role.ok_or_else(|| DocumentError::invalid_value("role", "a link gives viewer, downloader or contributor"))
}

/// Finds a known user. `word` is the user's id with or without the federation member.
async fn find_user(state: &AppState, word: &str, field: &str) -> Result<String, DocumentError> {
    let unknown = || DocumentError::invalid_value(field, "there is no such user");
    let id = state.parse_user_id(word).map_err(|_| unknown())?;
    let user = state.backends.records.user(&id).await?.filter(|user| !user.disabled);
    user.map(|user| user.id).ok_or_else(unknown)
}
