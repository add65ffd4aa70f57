//! Public links: making them, looking at them, taking them back. The password of a protected one is hashed and never
//! given back.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::DateTime;
use upload::{Assigned, FileRole, PublicLink};

use super::answer::Node;
use super::call::Call;
use super::described::{
    AtFile, Done, InVersion, NotTaken, Once, PublicLinkForm, PublicLinkInformation, PublicLinkList, Refused,
};
use super::info::{People, time};
use super::parameters::Parameters;
use super::refusal::{Deed, Refusal};
use super::visitor::LONGEST_PASSWORD;
use super::{fresh_link_id, link_role};
use crate::desk::Desk;
use crate::once::Known;
use crate::receive::small;

/// In characters.
const SHORTEST_PASSWORD: usize = 8;
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
    params(AtFile, Once),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = PublicLinkInformation),
        Refused,
        NotTaken,
    ),
)]
pub(crate) async fn add(call: Call, body: Body) -> Result<Response, Refusal> {
    let visit = call.enter(Deed::SHARE, FileRole::Manager).await?;
    let desk = &call.desk;
    let mut once = desk.once(&call.headers, &visit.visitor.key, call.target()).await?;
    let text = small::text(desk, &call.headers, body, "the public link").await?;
    let parameters = Parameters::parse(&text)?;
    let assigned = assigned(desk, &parameters).await?;
    let role = link_role(&parameters)?;
    let name = parameters.bounded("linkName", LONGEST_NAME)?.to_owned();
    let expires_at = expiration(&parameters, desk.places.records.clock().now())?;
    let password = password(&parameters)?;
    if let Known::Answer(response) = once.known(&[&text]).await? {
        return Ok(response);
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
    Ok(once.answered(response).await?)
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
    // The last day of the year 9999, by which many mean never, is one more than our clock has.
    let never = || text.strip_suffix('Z')?.parse::<DateTime>().ok().filter(|at| at.year() == 9999);
    let at = text.parse::<Timestamp>().ok().or_else(|| never().map(|_| Timestamp::MAX));
    let at = at.ok_or_else(|| Refusal::invalid("expirationTime", "it is written YYYY-MM-DDThh:mm:ssZ"))?;
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
    params(AtFile),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = PublicLinkList),
        Refused,
    ),
)]
pub(crate) async fn list(call: Call) -> Result<Response, Refusal> {
    let visit = call.enter(Deed::LINKS, FileRole::Manager).await?;
    let mut people = People::new(&call.desk);
    let mut items = Vec::new();
    for link in call.desk.places.records.public_links(&visit.file.id).await? {
        items.push(Node::Object(members(&mut people, &link).await?));
    }
    Ok(call.format.all(&visit.file.id, items))
}

/// `GET …/publiclinks/{linkId}`: one public link.
#[utoipa::path(
    get,
    path = "/documents/api/{version}/publiclinks/{id}",
    tag = "documents",
    operation_id = "getPublicLink",
    params(
        InVersion,
        ("id" = String, Path, description = "The public link's id"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = PublicLinkInformation),
        Refused,
    ),
)]
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let link = mine(&call, Deed::LINKS).await?;
    let mut all = vec![("errorCode", "0".into())];
    all.extend(members(&mut People::new(&call.desk), &link).await?);
    Ok(call.format.answer(StatusCode::OK, "publiclink", all))
}

/// `DELETE …/publiclinks/{linkId}`: takes a public link back, at once.
#[utoipa::path(
    delete,
    path = "/documents/api/{version}/publiclinks/{id}",
    tag = "documents",
    operation_id = "revokePublicLink",
    params(
        InVersion,
        ("id" = String, Path, description = "The public link's id"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = Done),
        Refused,
    ),
)]
pub(crate) async fn revoke(call: Call) -> Result<Response, Refusal> {
    let link = mine(&call, Deed::UNSHARE).await?;
    if !call.desk.places.records.revoke_public_link(&link.id).await? {
        return Err(Refusal::no_link());
    }
    Ok(call.format.done(StatusCode::OK, "publiclink", &link.file))
}

/// The link in the address, to a file that the caller may share. Who nobody knows is told so, whether or not there is
/// such a link.
async fn mine(call: &Call, deed: Deed) -> Result<PublicLink, Refusal> {
    let visitor = call.visitor().await?;
    let link = call.desk.places.records.public_link(&call.id).await?.ok_or_else(Refusal::no_link)?;
    call.let_in(visitor, &link.file, deed, FileRole::Manager).await?;
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
