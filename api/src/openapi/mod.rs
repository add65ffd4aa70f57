//! The OpenAPI 3.1 document of the API, generated from the handlers, at `/openapi.json`, and in readable form at
//! `/docs`.

pub(crate) mod binary;
pub(crate) mod content_responses;
pub(crate) mod documented_responses;
pub(crate) mod error_kind;
pub(crate) mod error_responses;
pub(crate) mod path_parameters;
pub(crate) mod request_headers;
mod viewer;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, PathItem, RefOr, Server};
use utoipa::{OpenApi, PartialSchema};

use crate::auth::realm_names::RealmNames;
use crate::error::Problem;
use crate::http::settings::HttpSettings;

/// What the document says beside its operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Cloakroom",
        description = "Upload service for pictures and files. An upload gets an id, is validated and rendered in the \
                       background, and expires if it is not claimed.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Problem)),
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
/// summaries, and the prefix of all paths.
pub(crate) fn complete(document: &mut utoipa::openapi::OpenApi, names: &RealmNames, path_prefix: &str) {
    if !path_prefix.is_empty() {
        document.servers = Some(vec![Server::new(path_prefix)]);
    }
    let components = document.components.get_or_insert_default();
    for (name, scheme) in security_schemes(names) {
        components.add_security_scheme(name, scheme);
    }
    for item in document.paths.paths.values_mut() {
        for operation in operations_of(item) {
            operation.summary = operation.summary.as_deref().and_then(operation_summary);
        }
    }
}

/// Completes the operations of the documents API: each JSON body may also be XML, and each operation that names no
/// credential accepts any of them.
pub(crate) fn complete_documents(document: &mut utoipa::openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        if let Some(operation) = &mut item.get {
            operation.security.get_or_insert_with(|| any_credential(SecurityRequirement::new("session", [""; 0])));
        }
        for operation in operations_of(item) {
            operation.security.get_or_insert_with(|| {
                any_credential(SecurityRequirement::new("session", [""; 0]).add("csrf", [""; 0]))
            });
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    add_xml(response);
                }
            }
        }
    }
}

fn add_xml(response: &mut utoipa::openapi::Response) {
    let Some(RefOr::T(json)) = response.content.get("application/json") else { return };
    let xml = ContentBuilder::new().schema(json.schema.clone()).build();
    response.content.entry("application/xml".to_owned()).or_insert(xml.into());
    let vary = HeaderBuilder::new().schema(Some(String::schema())).description(Some("`Accept`")).build();
    response.headers.insert("Vary".to_owned(), vary.into());
}

/// The operations of a path.
fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

fn security_schemes(names: &RealmNames) -> [(&'static str, SecurityScheme); 7] {
    let cookie = "The session. Requests that change something need a CSRF token too.";
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(names.session_cookie.as_str(), cookie));
    let csrf = "The raw value of the CSRF cookie. In the form of `addPicture`, and in no other, a field of this name \
                before the picture may have it instead. Reads need it only if `realm.csrf_reads` is on.";
    let bearer = |about: &str| {
        let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about));
        SecurityScheme::Http(http.build())
    };
    let header =
        |name: &str, about: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, about)));
    let link = "The id of a public link. If the link has a password, the cookie `dAccessCode-<linkID>` has it.";
    [
        ("session", SecurityScheme::ApiKey(cookie)),
        ("csrf", header(names.csrf_header.as_str(), csrf)),
        ("bearer", bearer("A session, a token that the operator issued, or a token of the identity provider.")),
        ("service", bearer("A service key.")),
        ("applink", header("appLinkID", "The id of an applink. It is sent with the access token of the applink.")),
        ("accessToken", header("accessToken", "The access token of an applink.")),
        ("publicLink", header("linkID", link)),
    ]
}

/// The credentials of the documents API, any of which suffices.
fn any_credential(session: SecurityRequirement) -> Vec<SecurityRequirement> {
    let with = |name: &str| SecurityRequirement::new(name, [""; 0]);
    vec![session, with("bearer"), with("applink").add("accessToken", [""; 0]), with("publicLink")]
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
pub(crate) async fn viewer(
    State(http): State<Arc<HttpSettings>>,
    State(realm): State<Arc<RealmNames>>,
    Extension(document): Extension<Arc<utoipa::openapi::OpenApi>>,
) -> Response {
    viewer::render(&serde_json::to_value(document.as_ref()).unwrap_or_default(), &realm, &http.path_prefix)
}
