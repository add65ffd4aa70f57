//! The OpenAPI 3.1 document of the API, generated from the handlers, at `/openapi.json`, and in readable form at
//! `/docs`.

pub(crate) mod binary;
pub(crate) mod service_schemas;
mod viewer;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

use crate::auth::RealmNames;

/// What the document says beside its operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Cloakroom",
        description = "Upload service for pictures and files. An upload gets an id, is validated and rendered in the \
                       background, and expires if it is not claimed.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "sessions", description = "Login and logout. A session ends after 30 minutes unless it is renewed."),
        (name = "pictures", description = "Upload of pictures. A picture is visible to its uploader until it is claimed or expires."),
        (name = "avatars", description = "Claims of pictures for resources. Avatars are public."),
        (name = "documents", description = "Files, their versions, custom renditions of them, and links to them. Responses and errors are JSON, or XML if `Accept` prefers it."),
        (name = "services", description = "Calls of other systems, such as a portal that keeps its resources elsewhere. They have a service key."),
        (name = "operations", description = "Probes, metrics and this document."),
    )
)]
struct ApiDoc;

/// Returns a document without operations.
pub(crate) fn description() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

/// Completes a document of operations: the security schemes with the federation member's names for cookies and headers,
/// and summaries.
pub(crate) fn complete(document: &mut utoipa::openapi::OpenApi, names: &RealmNames) {
    let cookie = |name: &str| SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(name)));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("session", cookie(&names.session_cookie));
    let about = "The raw value of the Csrf-Token cookie. In the form of the dropbox, and in no other, a field of this \
                 name before the file does as well.";
    let csrf = ApiKeyValue::with_description(format!("X-Csrf-Token_{}", names.fedmember), about.to_owned());
    components.add_security_scheme("csrf", SecurityScheme::ApiKey(ApiKey::Header(csrf)));
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.add_security_scheme("service", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let header =
        |name: &str, about: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, about)));
    components.add_security_scheme("applink", header("appLinkID", "An applink's id, always with its access token."));
    components.add_security_scheme("accessToken", header("accessToken", "An applink's access token."));
    let about = "A public link's id. One that is protected takes its code in the cookie dAccessCode-<linkID> as well.";
    components.add_security_scheme("publicLink", header("linkID", about));
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
            operation.summary = operation.summary.as_deref().and_then(operation_summary);
            // An operation of the documents API that names no credential accepts any of them.
            if operation.tags.iter().flatten().any(|tag| tag == "documents") && operation.security.is_none() {
                operation.security = Some(any_credential());
            }
        }
    }
}

fn any_credential() -> Vec<SecurityRequirement> {
    let with = |name: &str| SecurityRequirement::new(name, [""; 0]);
    let both = |one: &str, other: &str| with(one).add(other, [""; 0]);
    vec![both("session", "csrf"), with("bearer"), both("applink", "accessToken"), with("publicLink")]
}

/// Returns the summary without the method and path at its beginning, because the document has those already.
fn operation_summary(line: &str) -> Option<String> {
    let (_, about) = line.split_once("`: ")?;
    let mut letters = about.chars().map(|letter| if letter == '\n' { ' ' } else { letter });
    letters.next().map(|first| first.to_uppercase().chain(letters).collect())
}

/// `GET /openapi.json`: this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    operation_id = "openapi",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = inline(serde_json::Value))),
    security(()),
)]
pub(crate) async fn openapi_json(Extension(document): Extension<Arc<utoipa::openapi::OpenApi>>) -> Response {
    Json(document.as_ref()).into_response()
}

/// `GET /docs`
pub(crate) async fn viewer(Extension(document): Extension<Arc<utoipa::openapi::OpenApi>>) -> Response {
    viewer::render(&serde_json::to_value(document.as_ref()).unwrap_or_default())
}
