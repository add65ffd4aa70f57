//! The documents API, `/documents/api/1.1` and `/1.2`: files, their versions and custom renditions, links to them.
//!
//! ```text
//! address   which version, about what; around: before every call, and how a refusal goes out
//! call      in which format; visitor ─► enter: credentials, file, role, in this order
//! upload    form ─► staging ─► records ─► queue ─► the worker's verdict, for renditions, files and versions alike
//! renditions, download, info                      what is there, and its bytes
//! applinks, public_links, tokens                  rights handed on
//! answer, refusal                                 what is said, in JSON or XML
//! registry                                        files of other systems, for those
//! ```
//!
//! The wire rules are the rendition contract's. The rest of the api says problems as documents of their own; here they are
//! said in the words of the contract ([`refusal`]).

mod address;
mod answer;
pub(crate) mod applinks;
mod around;
mod call;
mod described;
mod download;
mod enter;
mod form;
pub(crate) mod info;
pub(crate) mod opened_links;
mod parameters;
pub(crate) mod public_links;
mod ranges;
mod refusal;
pub(crate) mod registry;
pub(crate) mod renditions;
pub(crate) mod settings;
mod tokens;
pub(crate) mod upload;
mod visitor;

use std::future::{Ready, ready};

use ::upload::FileRole;
use axum::routing::{delete, get, post, put};
use axum::{Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::desk::Desk;
use crate::problem::ApiError;
use parameters::Parameters;
use refusal::Refusal;

/// Which address leads where.
pub(crate) fn routes() -> Router<Desk> {
    let calls = Router::new()
        .route("/files/data", post(upload::file).fallback(only("POST")))
        .route("/files/{id}", get(info::get).fallback(only("GET, HEAD")))
        .route("/files/{id}/versions", get(info::versions).fallback(only("GET, HEAD")))
        .route("/files/{id}/data", get(renditions::file).post(upload::next_version).fallback(only("GET, HEAD, POST")))
        .route(
            "/files/{id}/data/rendition",
            get(renditions::get)
                .post(upload::rendition)
                .delete(renditions::remove)
                .fallback(only("GET, HEAD, POST, DELETE")),
        )
        .route("/files/{id}/data/renditions", get(renditions::list).fallback(only("GET, HEAD")))
        .route("/files/{id}/data/thumbnail", get(renditions::thumbnail).fallback(only("GET, HEAD")))
        .route("/applinks/token", put(applinks::refresh).fallback(only("PUT")))
        .route("/applinks/file/{id}", post(applinks::add).fallback(only("POST")))
        .route("/applinks/{id}", delete(applinks::revoke).fallback(only("DELETE")))
        .route(
            "/publiclinks/file/{id}",
            get(public_links::list).post(public_links::add).fallback(only("GET, HEAD, POST")),
        )
        .route(
            "/publiclinks/{id}",
            get(public_links::get).delete(public_links::revoke).fallback(only("GET, HEAD, DELETE")),
        )
        .fallback(async || Refusal::from(ApiError::NotFound("there is nothing at this address".to_owned())));
    Router::new().nest("/documents/api/{version}", calls).layer(middleware::from_fn(around::around))
}

/// The answer to any other method.
fn only(methods: &'static str) -> impl Fn() -> Ready<Refusal> + Clone + Send + Sync {
    move || ready(ApiError::MethodNotAllowed(methods).into())
}

/// A link's id, which nobody guesses.
fn fresh_link_id() -> Result<String, Refusal> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| ApiError::Ours(format!("no random numbers: {error}")))?;
    Ok(format!("L{}", BASE64.encode(random)))
}

/// The role that a link is to give: viewer, unless another is asked for.
fn link_role(parameters: &Parameters) -> Result<FileRole, Refusal> {
    let Some(role) = parameters.text("role")? else { return Ok(FileRole::Viewer) };
    let role = role.parse().ok().filter(|role| *role <= FileRole::Contributor);
    role.ok_or_else(|| Refusal::invalid("role", "a link gives viewer, downloader or contributor"))
}

/// A user whom we know, with or without the federation member.
async fn known_user(desk: &Desk, word: &str, field: &str) -> Result<String, Refusal> {
    let unknown = || Refusal::invalid(field, "there is no such user");
    let id = desk.user_id(word).map_err(|_| unknown())?;
    let user = desk.places.records.user(&id).await?.filter(|user| !user.disabled);
    user.map(|user| user.id).ok_or_else(unknown)
}
