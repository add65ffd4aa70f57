//! Applinks: `POST …/applinks/file/{fileId}`, `PUT …/applinks/token`, and taking one back. The id and a token are the
//! credential; the tokens are sealed, and what the link gives stands in its row.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use upload::{Applink, Assigned, FileRole};

use super::answer::Node;
use super::call::Call;
use super::described::{ApplinkForm, ApplinkMade, Done, NotTaken, Refused, TokenMade};
use super::parameters::Parameters;
use super::refusal::{Deed, Refusal};
use super::tokens::{self, Token};
use super::visitor::header;
use super::{fresh_link_id, link_role};
use crate::desk::Desk;
use crate::once::Known;
use crate::receive::small;

/// `POST …/applinks/file/{fileId}`: a link for an application.
#[utoipa::path(
    post,
    path = "/documents/api/{version}/applinks/file/{id}",
    tag = "documents",
    operation_id = "createApplink",
    request_body(content = ApplinkForm),
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The file's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same content gets the first answer again for 24 hours"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = ApplinkMade),
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
    call.told_as("applink", Some(&id), result)
}

async fn made(call: &Call, id: &str, body: Body) -> Result<Response, Refusal> {
    let visit = call.enter(id, Deed::SHARE, FileRole::Manager, true).await?;
    let desk = &call.desk;
    let mut once = desk.once(call.headers(), &visit.visitor.key, call.target()).await?;
    let text = small::text(desk, call.headers(), body, "the applink").await?;
    let parameters = Parameters::parse(&text)?;
    let assigned = parameters.text("assignedUser")?.ok_or_else(|| Refusal::missing("assignedUser"))?;
    let assigned = match Assigned::of(vec![assigned.to_owned()]) {
        Assigned::Users(_) => Assigned::Users(vec![super::known_user(desk, assigned, "assignedUser").await?]),
        many => many,
    };
    let role = link_role(&parameters)?;
    let mut noted = None;
    if let Some(once) = &mut once {
        match once.known(&[&text]).await? {
            Known::New(key) => noted = Some(key),
            Known::Answer(response) => return Ok(response),
            Known::Admitted(_) => {}
        }
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
    Ok(match (once, noted) {
        (Some(once), Some(noted)) => once.answered(noted, response).await?,
        _ => response,
    })
}

/// `PUT …/applinks/token`: a new access token, for AppLinkID, AccessToken and RefreshToken in the head.
#[utoipa::path(
    put,
    path = "/documents/api/{version}/applinks/token",
    tag = "documents",
    operation_id = "refreshApplink",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("RefreshToken" = Option<String>, Header, description = "The link's"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = TokenMade),
        Refused,
    ),
    security(("applink" = [], "accessToken" = [])),
)]
pub(crate) async fn refresh(State(desk): State<Desk>, Path(version): Path<String>, request: Request<Body>) -> Response {
    let call = Call::bare(desk, &version, request).await;
    let result = async {
        call.grammar()?;
        let needed = |name: &str, called| header(call.headers(), name).ok_or_else(|| Refusal::missing(called));
        let id = needed("applinkid", "appLinkID")?;
        let access = needed("accesstoken", "accessToken")?;
        let refresh = needed("refreshtoken", "refreshToken")?;
        call.desk.count_for(&format!("applink:{id:.64}"))?;
        let now = call.desk.places.records.clock().now();
        let link = call.desk.places.records.applink(id).await?.ok_or_else(Refusal::bad_link)?;
        // The one it replaces may have ended; it must have been one.
        tokens::read(&call.desk, &link, access, Token::Access).await.ok_or_else(Refusal::bad_link)?;
        let times = tokens::read(&call.desk, &link, refresh, Token::Refresh).await.ok_or_else(Refusal::bad_link)?;
        if times.is_over(now) {
            return Err(Refusal::bad_link());
        }
        let members = vec![
            ("accessToken", tokens::make(&call.desk, &link, Token::Access)?.into()),
            ("type", "applink".into()),
            ("errorCode", "0".into()),
        ];
        Ok(call.format.answer(StatusCode::OK, "applink", members))
    };
    let result = result.await;
    call.told_as("applink", None, result)
}

/// `DELETE …/applinks/{appLinkID}`: takes an applink back, at once.
#[utoipa::path(
    delete,
    path = "/documents/api/{version}/applinks/{id}",
    tag = "documents",
    operation_id = "revokeApplink",
    params(
        ("version" = String, Path, description = "1.1 or 1.2; they differ in what a rendition may be called"),
        ("id" = String, Path, description = "The applink's id"),
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
        call.grammar()?;
        super::visitor::Visitor::of(&call, true).await?;
        let link = call.desk.places.records.applink(&id).await?.ok_or_else(Refusal::no_link)?;
        call.enter(link.file.as_str(), Deed::SHARE, FileRole::Manager, true).await?;
        if !call.desk.places.records.revoke_applink(&id).await? {
            return Err(Refusal::no_link());
        }
        let members = vec![("errorCode", "0".into()), ("id", link.file.as_str().into()), ("type", "applink".into())];
        Ok(call.format.answer(StatusCode::OK, "applink", members))
    };
    let result = result.await;
    call.told_as("applink", None, result)
}
