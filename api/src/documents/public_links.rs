//! Public links: making them, looking at them, taking them back. The password of a protected one is hashed and never
//! given back.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use upload::{Assigned, FileRole, PublicLink};

use super::answer::Node;
use super::call::Call;
use super::described::{Done, NotTaken, PublicLinkForm, PublicLinkInformation, PublicLinkList, Refused};
use super::info::{People, time};
use super::parameters::Parameters;
use super::refusal::{Deed, Refusal};
use super::{fresh_link_id, link_role};
use crate::desk::Desk;
use crate::once::Known;
use crate::receive::small;

/// In characters.
const SHORTEST_PASSWORD: usize = 8;
/// In characters.
pub(super) const LONGEST_PASSWORD: usize = 50;
/// In characters.
const LONGEST_NAME: usize = 256;
/// The most users that one link can be for.
const MOST_USERS: usize = 100;

/// `POST …/publiclinks/file/{fileId}`: a link for people.
#[utoipa::path(
    post,
    path = "/documents/api/{version}/publiclinks/file/{id}",
    tag = "documents",
    operation_id = "createPublicLink",
    request_body(content = PublicLinkForm),
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The file's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same content gets the first answer again for 24 hours"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = PublicLinkInformation),
        Refused,
        NotTaken,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn add(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let (call, body) = Call::of(desk, &version, request).await;
    let result = Box::pin(made(&call, &id, body)).await;
    call.told_as("publiclink", Some(&id), result)
}

async fn made(call: &Call, id: &str, body: Body) -> Result<Response, Refusal> {
    let visit = call.enter(id, Deed::SHARE, FileRole::Manager, true).await?;
    let desk = &call.desk;
    let mut once = desk.once(call.headers(), &visit.visitor.key, call.target()).await?;
    let text = small::text(desk, call.headers(), body, "the public link").await?;
    let parameters = Parameters::parse(&text)?;
    let assigned = assigned(desk, &parameters).await?;
    let role = link_role(&parameters)?;
    let name = parameters.bounded("linkName", LONGEST_NAME)?.to_owned();
    let expires_at = expiration(&parameters, desk.places.records.clock().now())?;
    let password = password(&parameters)?;
    let mut noted = None;
    if let Some(once) = &mut once {
        match once.known(&[&text]).await? {
            Known::New(key) => noted = Some(key),
            Known::Answer(response) => return Ok(response),
            Known::Admitted(_) => {}
        }
    }
    let password_hash = match password {
        Some(password) => Some(desk.passwords.hash(password).await?),
        None => None,
    };
    let link = PublicLink {
        id: fresh_link_id()?,
        file: visit.file.id,
        name,
        assigned,
        role,
        password_hash,
        expires_at,
        created_by: visit.visitor.who,
        created_at: desk.places.records.clock().now(),
    };
    desk.places.records.add_public_link(&link).await?;
    let mut all = vec![("errorCode", "0".into())];
    all.extend(members(&mut People::new(desk), &link).await?);
    let response = call.format.answer(StatusCode::OK, "publiclink", all);
    Ok(match (once, noted) {
        (Some(once), Some(noted)) => once.answered(noted, response).await?,
        _ => response,
    })
}

async fn assigned(desk: &Desk, parameters: &Parameters) -> Result<Assigned, Refusal> {
    let words = parameters.texts("assignedUsers")?;
    if words.is_empty() {
        return Err(Refusal::missing("assignedUsers"));
    }
    if words.len() > MOST_USERS {
        return Err(Refusal::invalid("assignedUsers", &format!("a link is for at most {MOST_USERS} users")));
    }
    match Assigned::of(words) {
        Assigned::Users(words) => {
            let mut users = Vec::with_capacity(words.len());
            for word in &words {
                users.push(super::known_user(desk, word, "assignedUsers").await?);
            }
            Ok(Assigned::Users(users))
        }
        many => Ok(many),
    }
}

fn expiration(parameters: &Parameters, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = parameters.text("expirationTime")? else { return Ok(None) };
    let at: Timestamp =
        text.parse().map_err(|_| Refusal::invalid("expirationTime", "it is written YYYY-MM-DDThh:mm:ssZ"))?;
    if at <= now {
        return Err(Refusal::invalid("expirationTime", "it has passed"));
    }
    Ok(Some(at))
}

fn password(parameters: &Parameters) -> Result<Option<String>, Refusal> {
    let Some(password) = parameters.text("password")? else { return Ok(None) };
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&password.chars().count()) {
        let why = format!("it has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters");
        return Err(Refusal::invalid("password", &why));
    }
    Ok(Some(password.to_owned()))
}

/// `GET …/publiclinks/file/{fileId}`: the public links of a file.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/publiclinks/file/{id}",
    tag = "documents",
    operation_id = "listPublicLinks",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The file's id"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = PublicLinkList),
        Refused,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn list(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        let visit = call.enter(&id, Deed::SHARE, FileRole::Manager, false).await?;
        let mut people = People::new(&call.desk);
        let mut items = Vec::new();
        for link in call.desk.places.records.public_links(&visit.file.id).await? {
            items.push(Node::Object(members(&mut people, &link).await?));
        }
        let members = vec![
            ("errorCode", "0".into()),
            ("id", visit.file.id.as_str().into()),
            ("type", "file".into()),
            ("count", items.len().to_string().into()),
            ("items", Node::List(items)),
        ];
        Ok(call.format.answer(StatusCode::OK, "file", members))
    };
    let result = result.await;
    call.told(&id, result)
}

/// `GET …/publiclinks/{linkId}`: one public link.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/publiclinks/{id}",
    tag = "documents",
    operation_id = "getPublicLink",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The public link's id"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = PublicLinkInformation),
        Refused,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn get(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        let link = mine(&call, &id, false).await?;
        let mut all = vec![("errorCode", "0".into())];
        all.extend(members(&mut People::new(&call.desk), &link).await?);
        Ok(call.format.answer(StatusCode::OK, "publiclink", all))
    };
    let result = result.await;
    call.told_as("publiclink", None, result)
}

/// `DELETE …/publiclinks/{linkId}`: takes a public link back, at once.
#[utoipa::path(
    delete,
    path = "/documents/api/{version}/publiclinks/{id}",
    tag = "documents",
    operation_id = "revokePublicLink",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The public link's id"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = Done),
        Refused,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = []), ("applink" = [], "accessToken" = []), ("publicLink" = [])),
)]
pub(crate) async fn revoke(
    State(desk): State<Desk>,
    Path((version, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        let link = mine(&call, &id, true).await?;
        if !call.desk.places.records.revoke_public_link(&id).await? {
            return Err(Refusal::no_link());
        }
        let members = vec![("errorCode", "0".into()), ("id", link.file.as_str().into()), ("type", "publiclink".into())];
        Ok(call.format.answer(StatusCode::OK, "publiclink", members))
    };
    let result = result.await;
    call.told_as("publiclink", None, result)
}

/// A link to a file that the caller may share.
async fn mine(call: &Call, id: &str, writes: bool) -> Result<PublicLink, Refusal> {
    call.grammar()?;
    // Who nobody knows is told so, whether or not there is such a link.
    super::visitor::Visitor::of(call, writes).await?;
    let link = call.desk.places.records.public_link(id).await?.ok_or_else(Refusal::no_link)?;
    call.enter(link.file.as_str(), Deed::SHARE, FileRole::Manager, writes).await?;
    Ok(link)
}

async fn members(people: &mut People<'_>, link: &PublicLink) -> Result<Vec<(&'static str, Node)>, Refusal> {
    let mut members = vec![
        ("linkID", link.id.as_str().into()),
        ("linkName", link.name.as_str().into()),
        ("id", link.file.as_str().into()),
        ("type", "publiclink".into()),
        ("role", link.role.as_str().into()),
        ("assignedUsers", link.assigned.words().join(",").into()),
        ("createdBy", people.named(&link.created_by).await?),
        ("createdTime", time(link.created_at)),
    ];
    members.extend(link.expires_at.map(|at| ("expirationTime", time(at))));
    Ok(members)
}
