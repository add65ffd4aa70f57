//! Handing something in for a file: a custom rendition, a new file, a new version. One way for all three, by which rights
//! are looked at before a byte of the body is read, and on any error nothing stays in staging.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use upload::{
    FileAdmission, FileId, FileRole, Media, NoRenditionName, Place, PlaceTaken, RecordsError, RenditionName, Right,
    Staged, UploadId,
};

use super::call::Call;
use super::described::{
    AtFile, Done, FileForm, FileInformation, InVersion, NotTaken, Once, Refused, RenditionForm, Waiting,
};
use super::form::Form;
use super::info;
use super::parameters::Parameters;
use super::refusal::{Deed, Refusal};
use super::visitor::Visitor;
use crate::desk::Desk;
use crate::once::Known;
use crate::problem::ApiError;
use crate::receive::flow::Flow;
use crate::receive::prefer::Prefer;
use crate::receive::{small, walk};

/// The longest description of a rendition, in characters.
const DESCRIPTION: usize = 1000;
/// What may stand around a file in a body: other parts, headers, boundaries.
const ROOM_FOR_THE_REST: u64 = 1 << 20;

/// Who hands in what, decided before the body is read.
struct Task {
    visitor: Visitor,
    right: Right,
    /// What a refusal of the worker's is called.
    deed: Deed,
    /// The part of the form in which the file comes.
    part: &'static str,
    limit: u64,
    goal: Goal,
}

/// What it is to become.
enum Goal {
    /// A rendition of the version with this row number.
    Rendition(FileId, i64),
    NewFile(FileId),
    NextVersion(FileId),
}

impl Goal {
    fn file(&self) -> &FileId {
        match self {
            Self::Rendition(file, _) | Self::NewFile(file) | Self::NextVersion(file) => file,
        }
    }
}

/// `POST …/files/{fileId}/data/rendition`: uploads a custom rendition of the latest version.
#[utoipa::path(
    post,
    path = "/documents/api/{version}/files/{id}/data/rendition",
    tag = "documents",
    operation_id = "uploadRendition",
    request_body(content = RenditionForm, content_type = "multipart/form-data"),
    params(AtFile, Waiting, Once),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = Done),
        (status = 202, description = "Taken, and not ready yet: see Location", body = Done),
        Refused,
        NotTaken,
    ),
)]
pub(crate) async fn rendition(call: Call, body: Body) -> Result<Response, Refusal> {
    let task = async {
        let visit = call.enter(Deed::ADD, FileRole::Contributor).await?;
        // Pinned now: a version that comes while the bytes flow does not change what they are a rendition of.
        let pinned = call.desk.places.records.file_version(&visit.file.id, visit.file.latest).await?;
        let pinned = pinned.ok_or_else(Refusal::no_version)?;
        let limit = call.desk.documents.max_rendition_bytes.as_u64();
        let goal = Goal::Rendition(visit.file.id, pinned.id);
        Ok(Task { visitor: visit.visitor, right: visit.right, deed: Deed::ADD, part: "file", limit, goal })
    };
    receive(&call, body, task).await
}

/// `POST …/files/data`: a new file.
#[utoipa::path(
    post,
    path = "/documents/api/{version}/files/data",
    tag = "documents",
    operation_id = "uploadFile",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    params(InVersion, Waiting, Once),
    responses(
        (status = 201, description = "The file", body = FileInformation),
        (status = 202, description = "Taken, and not ready yet: see Location", body = Done),
        Refused,
        NotTaken,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn file(call: Call, body: Body) -> Result<Response, Refusal> {
    let task = async {
        let visitor = call.visitor().await?;
        let right = visitor.rights.iter().find(|right| matches!(right, Right::User(_))).cloned();
        let right = right.ok_or(ApiError::NotLoggedIn("a link leads to one file; a new one needs a session"))?;
        let limit = call.desk.documents.max_file_bytes.as_u64();
        let goal = Goal::NewFile(FileId::fresh());
        Ok(Task { visitor, right, deed: Deed::NEW_FILE, part: "primaryFile", limit, goal })
    };
    receive(&call, body, task).await
}

/// `POST …/files/{fileId}/data`: a new version, which begins without custom renditions.
#[utoipa::path(
    post,
    path = "/documents/api/{version}/files/{id}/data",
    tag = "documents",
    operation_id = "uploadFileVersion",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    params(AtFile, Waiting, Once),
    responses(
        (status = 201, description = "The file", body = FileInformation),
        (status = 202, description = "Taken, and not ready yet: see Location", body = Done),
        Refused,
        NotTaken,
    ),
)]
pub(crate) async fn next_version(call: Call, body: Body) -> Result<Response, Refusal> {
    let task = async {
        let visit = call.enter(Deed::NEW_VERSION, FileRole::Contributor).await?;
        let limit = call.desk.documents.max_file_bytes.as_u64();
        let goal = Goal::NextVersion(visit.file.id);
        let (visitor, right) = (visit.visitor, visit.right);
        Ok(Task { visitor, right, deed: Deed::NEW_VERSION, part: "primaryFile", limit, goal })
    };
    receive(&call, body, task).await
}

async fn receive(
    call: &Call,
    body: Body,
    task: impl Future<Output = Result<Task, Refusal>>,
) -> Result<Response, Refusal> {
    let limit = call.desk.documents.max_rendition_bytes.max(call.desk.documents.max_file_bytes).as_u64();
    let flow = Flow::new(body, limit + ROOM_FOR_THE_REST, &call.desk.http);
    let answer = async { Box::pin(hand_in(call, &flow, task.await?)).await }.await;
    if flow.received() > 0 || !call.headers.contains_key(header::EXPECT) {
        flow.linger();
    }
    answer
}

async fn hand_in(call: &Call, flow: &Flow, task: Task) -> Result<Response, Refusal> {
    let desk = &call.desk;
    desk.accept_upload(small::declared_length(&call.headers).unwrap_or_default()).await?;
    let mut once = desk.once(&call.headers, &task.visitor.key, call.target()).await?;
    let boundary = walk::boundary(&call.headers)?;
    let declared = small::declared_length(&call.headers);
    if let Some(received) = declared.filter(|declared| *declared > task.limit + ROOM_FOR_THE_REST) {
        return Err(ApiError::TooLarge { what: "the file", limit: task.limit, received }.into());
    }
    let coming = declared.unwrap_or(task.limit).min(task.limit);
    let quota = desk.check_quota(&task.visitor.who, task.visitor.admin, coming).await?;
    let _room = desk.room.try_acquire().map_err(|_| ApiError::Busy("too many files are being handed in at once"))?;
    let walk = walk::Walk::new(flow, boundary);
    let form = Form::read(walk, &desk.places.staging, task.part, task.limit).await?;
    let text = form.parameters.unwrap_or_default();
    let place = place(call, &task.goal, &text)?;
    let (intake, label) = form.file.ok_or_else(|| Refusal::missing(task.part))?;
    let staged = intake.finish().await?;
    let key = staged.key.clone();
    let handed = async {
        let noted = match once.known(&[staged.sha256.as_bytes(), label.as_bytes(), &text]).await? {
            Known::New(noted) => noted,
            Known::Answer(response) => return Ok(Admittance::Known(response)),
            Known::Admitted(id) => {
                let status = desk.standing(id).await.map_err(|error| worded(&task, error))?;
                return Ok(Admittance::Known(answer(call, &task, id, status).await?));
            }
        };
        let admission = admission(desk, &task, place, label, staged, noted);
        let taken = place_name(&admission);
        let admitted = match desk.places.records.admit_into_file(admission).await {
            Err(error) if error.is_outcome_unknown() => return Ok(Admittance::Unknown(error)),
            admitted => admitted?,
        };
        match admitted {
            Ok(admitted) => Ok(Admittance::New(admitted)),
            Err(PlaceTaken::Name) => Err(taken.map_or_else(Refusal::no_version, |name| Refusal::taken(&name))),
            Err(PlaceTaken::Full) => Err(Refusal::full(desk.documents.most_renditions)),
        }
    };
    let handed = handed.await;
    if !matches!(handed, Ok(Admittance::New(_) | Admittance::Unknown(_))) {
        desk.places.staging.remove(&key).await?;
    }
    let admitted = match handed? {
        Admittance::Known(response) => return Ok(response),
        Admittance::New(admitted) => admitted,
        Admittance::Unknown(error) => return Err(error.into()),
    };
    drop(quota);
    let prefer = Prefer::of(&call.headers);
    let status = desk.outcome(&admitted, prefer).await.map_err(|error| worded(&task, error))?;
    let mut response = answer(call, &task, admitted.id, status).await?;
    response.headers_mut().extend(prefer.applied(&desk.uploads));
    Ok(once.answered(response).await?)
}

/// What admitting came to.
enum Admittance {
    /// It had been answered before.
    Known(Response),
    New(upload::Admitted),
    /// Perhaps it was admitted: its staged bytes stay, and the sweeper removes them if no upload needs them.
    Unknown(RecordsError),
}

fn place(call: &Call, goal: &Goal, text: &[u8]) -> Result<Place, Refusal> {
    let parameters = if text.is_empty() { Parameters::default() } else { Parameters::parse(text)? };
    Ok(match goal {
        Goal::NewFile(file) => Place::NewFile(file.clone()),
        Goal::NextVersion(file) => Place::NextVersion(file.clone()),
        Goal::Rendition(_, version) => {
            let (grammar, name) = (call.grammar()?, parameters.text("name"));
            let name = name.map_err(|_| Refusal::name(NoRenditionName::Invalid, grammar))?.unwrap_or_default();
            let name = RenditionName::parse(name, grammar).map_err(|no| Refusal::name(no, grammar))?;
            let description = parameters.bounded("description", DESCRIPTION)?.to_owned();
            let most = call.desk.documents.most_renditions;
            Place::Rendition { version: *version, name, description, most }
        }
    })
}

fn place_name(admission: &FileAdmission) -> Option<RenditionName> {
    match &admission.place {
        Place::Rendition { name, .. } => Some(name.clone()),
        Place::NewFile(_) | Place::NextVersion(_) => None,
    }
}

fn admission(
    desk: &Desk,
    task: &Task,
    place: Place,
    label: String,
    staged: Staged,
    once: Option<upload::OnceKey>,
) -> FileAdmission {
    let media = staged.media.unwrap_or(Media::Other);
    metrics::counter!("cloakroom_uploads_total", "media" => media.name()).increment(1);
    FileAdmission {
        owner: task.visitor.who.clone(),
        right: task.right.clone(),
        place,
        label,
        media,
        staged,
        deadline: desk.uploads.deadline,
        once,
    }
}

/// The worker's no, in the words of the contract where it is about rights.
fn worded(task: &Task, error: ApiError) -> Refusal {
    match error {
        ApiError::Rejected(reason) if reason.code == "not_permitted" => {
            Refusal::privileges(task.deed, &task.visitor.name, task.goal.file())
        }
        other => other.into(),
    }
}

/// 200, or 201 with the information about the version that came of it; 202 with the bare answer where the worker is not
/// done.
async fn answer(call: &Call, task: &Task, id: UploadId, status: StatusCode) -> Result<Response, Refusal> {
    let records = &call.desk.places.records;
    let version = match &task.goal {
        Goal::Rendition(..) => None,
        // Not the latest, which may be another's by now; and a key that was used before leads to the file that came of
        // it, not to the one that this request would have made.
        Goal::NewFile(_) | Goal::NextVersion(_) => records.version_of(id).await?,
    };
    let file = version.as_ref().map_or(task.goal.file(), |(file, _)| file);
    if let (StatusCode::OK, Some((file, number))) = (status, &version)
        && let (Some(file), Some(version)) = (records.file(file).await?, records.file_version(file, *number).await?)
    {
        return info::answer(call, StatusCode::CREATED, &file, &version, None).await;
    }
    let mut response = call.format.done(status, "file", file);
    if status == StatusCode::ACCEPTED
        && let Ok(location) = HeaderValue::try_from(format!("/uploads/{id}"))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
