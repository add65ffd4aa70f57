//! The OpenAPI 3.1 document of the API, generated from the handlers, at `/openapi.json`, and in readable form at
//! `/docs`.

pub(crate) mod binary;
pub(crate) mod service_schemas;
mod viewer;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

use crate::auth::{RealmNames, login, logout};
use crate::state::AppState;
use crate::{claim, crop, documents, dropbox, health, pictures, service_api, upload_status};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Cloakroom",
        description = "Hand a picture in at the counter, get a number, come back and claim it.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        login::login,
        login::renew,
        logout::logout,
        logout::logout_everywhere,
        dropbox::add,
        pictures::picture::get,
        crop::put,
        upload_status::get,
        claim::put,
        pictures::avatar::current,
        pictures::avatar::version,
        pictures::avatar::remove,
        service_api::register,
        service_api::get,
        service_api::grant,
        service_api::revoke,
        service_api::claim,
        service_api::get_upload,
        documents::registered_files::register,
        documents::registered_files::get,
        documents::registered_files::share,
        documents::registered_files::unshare,
        documents::upload::rendition,
        documents::upload::file,
        documents::upload::next_version,
        documents::file_info::get,
        documents::file_info::versions,
        documents::renditions::list,
        documents::renditions::get,
        documents::renditions::remove,
        documents::renditions::thumbnail,
        documents::renditions::file,
        documents::applinks::add,
        documents::applinks::refresh,
        documents::applinks::revoke,
        documents::public_links::add,
        documents::public_links::list,
        documents::public_links::get,
        documents::public_links::revoke,
        health::livez,
        health::readyz,
        health::metrics,
    ),
    tags(
        (name = "people", description = "Logging in. A session lasts half an hour unless it is renewed."),
        (name = "pictures", description = "Handing pictures in, and seeing them until they are claimed or expire."),
        (name = "avatars", description = "Claiming a picture for a resource, and showing it to everybody."),
        (name = "documents", description = "Files, their versions, custom renditions of them, and links to them. Answers and errors are JSON or XML, as the client likes."),
        (name = "systems", description = "For a portal that keeps its resources elsewhere, with a key of its own."),
        (name = "operations", description = "Probes and numbers."),
    )
)]
struct ApiDoc;

/// Builds the document, with the federation member's names for cookies and headers.
fn openapi_document(names: &RealmNames) -> utoipa::openapi::OpenApi {
    let mut document = ApiDoc::openapi();
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
    document
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

/// `GET /openapi.json`
pub(crate) async fn openapi_json(State(state): State<AppState>) -> Json<utoipa::openapi::OpenApi> {
    Json(openapi_document(&state.realm_names))
}

/// `GET /docs`
pub(crate) async fn viewer(State(state): State<AppState>) -> Response {
    viewer::render(&serde_json::to_value(openapi_document(&state.realm_names)).unwrap_or_default())
}
