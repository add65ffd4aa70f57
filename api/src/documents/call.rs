//! One call of the documents API: in which version it was made, in which format it is answered, and who may go on. The
//! order of what is looked at is the contract's: credentials, file, role, and only then the rest of the request.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use upload::{File, FileId, FileRole, FileVersion, Grammar, Right};

use super::answer::Format;
use super::refusal::{Deed, Refusal};
use super::visitor::Visitor;
use crate::desk::Desk;
use crate::peer::Peer;

/// A call, without its body.
pub(crate) struct Call {
    pub(crate) desk: Desk,
    /// None where there is no such version.
    grammar: Option<Grammar>,
    pub(crate) format: Format,
    pub(crate) head: Parts,
    pub(crate) peer: std::net::IpAddr,
}

/// Somebody at a file, who may do what they came for.
pub(crate) struct Visit {
    pub(crate) file: File,
    pub(crate) visitor: Visitor,
    /// What gives them the role.
    pub(crate) right: Right,
}

impl Call {
    /// Takes a request apart.
    pub(crate) async fn of(desk: Desk, version: &str, request: Request<Body>) -> (Self, Body) {
        let (mut head, body) = request.into_parts();
        let grammar = match version {
            "1.1" => Some(Grammar::V1_1),
            "1.2" => Some(Grammar::V1_2),
            _ => None,
        };
        let format = Format::of(&head.headers);
        let Ok(Peer(peer)) = Peer::from_request_parts(&mut head, &desk).await;
        (Self { desk, grammar, format, head, peer }, body)
    }

    /// The same for a request whose body says nothing.
    pub(crate) async fn bare(desk: Desk, version: &str, request: Request<Body>) -> Self {
        Self::of(desk, version, request).await.0
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// What names of renditions may be in this version.
    pub(crate) fn grammar(&self) -> Result<Grammar, Refusal> {
        self.grammar.ok_or_else(|| {
            crate::problem::ApiError::NotFound("there are versions 1.1 and 1.2 of this API".to_owned()).into()
        })
    }

    /// The first parameter of this name in the address.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.head.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// What the call is, for telling it from others with the same key.
    pub(crate) fn target(&self) -> String {
        format!("{} {}", self.head.method, self.head.uri.path())
    }

    /// An answer, or a refusal about the file that the call is about.
    pub(crate) fn told(&self, id: &str, result: Result<Response, Refusal>) -> Response {
        self.told_as("file", Some(id), result)
    }

    /// The same about anything.
    pub(crate) fn told_as(&self, kind: &'static str, id: Option<&str>, result: Result<Response, Refusal>) -> Response {
        result.unwrap_or_else(|refusal| refusal.told(self.format, kind, id))
    }

    /// Lets in whoever has at least this role at the file.
    pub(crate) async fn enter(&self, id: &str, deed: Deed, least: FileRole, writes: bool) -> Result<Visit, Refusal> {
        self.grammar()?;
        let visitor = Visitor::of(self, writes).await?;
        let id: FileId = id.parse().map_err(|_| Refusal::no_file())?;
        let records = &self.desk.places.records;
        let file = records.file(&id).await?.ok_or_else(Refusal::no_file)?;
        // The credentials in the contract's order: the first that is enough counts.
        for right in &visitor.rights {
            if records.file_role(&id, right).await?.is_some_and(|role| role >= least) {
                let right = right.clone();
                return Ok(Visit { file, visitor, right });
            }
        }
        Err(Refusal::privileges(deed, &visitor.name, &id))
    }

    /// The version that the address asks for, or the latest.
    pub(crate) async fn version(&self, file: &File) -> Result<FileVersion, Refusal> {
        let number = match self.query("version").filter(|text| !text.is_empty()) {
            None => file.latest,
            Some(text) => text.parse().map_err(|_| Refusal::no_version())?,
        };
        let version = self.desk.places.records.file_version(&file.id, number).await?;
        version.ok_or_else(Refusal::no_version)
    }
}
