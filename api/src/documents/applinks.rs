//! Applinks: `POST …/applinks/file/{fileId}`, `PUT …/applinks/token`, and taking one back. The id and a token are the
//! credential; the tokens are sealed, and what the link gives stands in its row.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use upload::{Applink, Assigned, FileRole};

use super::answer::Node;
use super::call::Call;
use super::described::{ApplinkForm, ApplinkMade, AtFile, Done, InVersion, NotTaken, Once, Refused, TokenMade};
use super::parameters::Parameters;
use super::refusal::{Deed, Refusal};
use super::tokens::{self, Token};
use super::visitor::header;
use super::{fresh_link_id, link_role};
use crate::once::Known;
use crate::receive::small;

/// `POST …/applinks/file/{fileId}`: a link for an application.
#[utoipa::path(
    post,
    path = "/documents/api/{version}/applinks/file/{id}",
    tag = "documents",
    operation_id = "createApplink",
    request_body(content = ApplinkForm),
    params(AtFile, Once),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = ApplinkMade),
        Refused,
        NotTaken,
    ),
)]
pub(crate) async fn add(call: Call, body: Body) -> Result<Response, Refusal> {
    let visit = call.enter(Deed::SHARE, FileRole::Manager).await?;
    let desk = &call.desk;
    let mut once = desk.once(&call.headers, &visit.visitor.key, call.target()).await?;
    let text = small::text(desk, &call.headers, body, "the applink").await?;
    let parameters = Parameters::parse(&text)?;
    let assigned = parameters.text("assignedUser")?.ok_or_else(|| Refusal::missing("assignedUser"))?;
    let assigned = match Assigned::of(vec![assigned.to_owned()]) {
        Assigned::Users(_) => Assigned::Users(vec![super::known_user(desk, assigned, "assignedUser").await?]),
        many => many,
    };
    let role = link_role(&parameters)?;
    if let Known::Answer(response) = once.known(&[&text]).await? {
        return Ok(response);
    }
    let link = Applink { id: fresh_link_id()?, file: visit.file.id, assigned, role, created_by: visit.visitor.who };
    desk.places.records.add_applink(&link).await?;
    let members = vec![
        ("appLinkID", Node::from(link.id.as_str())),
        ("accessToken", tokens::make(desk, &link, Token::Access)?.into()),
        ("appLinkUrl", format!("/documents/embed/link/app/{}/fileview/{}", link.id, link.file).into()),
        ("refreshToken", tokens::make(desk, &link, Token::Refresh)?.into()),
        ("role", role.as_str().into()),
        ("id", link.file.as_str().into()),
        ("type", "applink".into()),
        ("errorCode", "0".into()),
    ];
    let response = call.format.answer(StatusCode::OK, "applink", members);
    Ok(once.answered(response).await?)
}

/// `PUT …/applinks/token`: a new access token, for AppLinkID, AccessToken and RefreshToken in the head.
#[utoipa::path(
    put,
    path = "/documents/api/{version}/applinks/token",
    tag = "documents",
    operation_id = "refreshApplink",
    params(
        InVersion,
        ("RefreshToken" = Option<String>, Header, description = "The link's"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = TokenMade),
        Refused,
    ),
    security(("applink" = [], "accessToken" = [])),
)]
pub(crate) async fn refresh(call: Call) -> Result<Response, Refusal> {
    call.grammar()?;
    let desk = &call.desk;
    let needed = |name: &str, called| header(&call.headers, name).ok_or_else(|| Refusal::missing(called));
    let id = needed("applinkid", "appLinkID")?;
    let access = needed("accesstoken", "accessToken")?;
    let refresh = needed("refreshtoken", "refreshToken")?;
    desk.count_for(&format!("applink:{id:.64}"))?;
    let link = desk.places.records.applink(id).await?.ok_or_else(Refusal::bad_link)?;
    // The one it replaces may have ended; it must have been one.
    tokens::read(desk, &link, access, Token::Access).await.ok_or_else(Refusal::bad_link)?;
    let times = tokens::read(desk, &link, refresh, Token::Refresh).await.ok_or_else(Refusal::bad_link)?;
    if times.is_over(desk.places.records.clock().now()) {
        return Err(Refusal::bad_link());
    }
    let members = vec![
        ("accessToken", tokens::make(desk, &link, Token::Access)?.into()),
        ("type", "applink".into()),
        ("errorCode", "0".into()),
    ];
    Ok(call.format.answer(StatusCode::OK, "applink", members))
}

/// `DELETE …/applinks/{appLinkID}`: takes an applink back, at once.
#[utoipa::path(
    delete,
    path = "/documents/api/{version}/applinks/{id}",
    tag = "documents",
    operation_id = "revokeApplink",
    params(
        InVersion,
        ("id" = String, Path, description = "The applink's id"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = Done),
        Refused,
    ),
)]
pub(crate) async fn revoke(call: Call) -> Result<Response, Refusal> {
    let (visitor, records) = (call.visitor().await?, &call.desk.places.records);
    let link = records.applink(&call.id).await?.ok_or_else(Refusal::no_link)?;
    call.let_in(visitor, &link.file, Deed::UNSHARE, FileRole::Manager).await?;
    if !records.revoke_applink(&link.id).await? {
        return Err(Refusal::no_link());
    }
    Ok(call.format.done(StatusCode::OK, "applink", &link.file))
}
