//! One call of the documents API: in which version it was made, about what, and in which format it is answered.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use upload::{File, FileVersion, Grammar};

use super::address::Address;
use super::answer::Format;
use super::refusal::Refusal;
use crate::desk::Desk;
use crate::peer::Peer;
use crate::problem::ApiError;

/// A call, without its body.
pub(crate) struct Call {
    pub(crate) desk: Desk,
    pub(crate) format: Format,
    pub(crate) method: Method,
    uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: std::net::IpAddr,
    grammar: Option<Grammar>,
    /// The id in the address: a file's, or a link's.
    pub(crate) id: String,
    /// The answer is a picture of ours, for an `<img>`, which sends no token against forgery.
    pub(crate) shows: bool,
}

impl FromRequestParts<Desk> for Call {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Infallible> {
        let Peer(peer) = Peer::from_request_parts(parts, desk).await?;
        let Address { grammar, id, .. } = parts.extensions.remove().unwrap_or_default();
        let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
        Ok(Self {
            desk: desk.clone(),
            format: Format::of(&headers),
            method,
            uri,
            headers,
            peer,
            grammar,
            id,
            shows: false,
        })
    }
}

impl Call {
    /// What names of renditions may be in this version.
    pub(crate) fn grammar(&self) -> Result<Grammar, Refusal> {
        let unknown = || ApiError::NotFound("there are versions 1.1 and 1.2 of this API".to_owned());
        Ok(self.grammar.ok_or_else(unknown)?)
    }

    /// Whether it may change something.
    pub(crate) fn writes(&self) -> bool {
        !self.method.is_safe()
    }

    /// The first parameter of this name in the address, where it says something. U+0000 in it is an error.
    pub(crate) fn query(&self, name: &str) -> Result<Option<String>, Refusal> {
        let query = self.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let value = pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()));
        match value {
            Some(value) if value.contains('\0') => Err(Refusal::invalid(name, "the character U+0000 is not taken")),
            value => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// What the call is, for telling it from others with the same key.
    pub(crate) fn target(&self) -> String {
        format!("{} {}", self.method, self.uri.path())
    }

    /// The version that the address asks for, or the latest.
    pub(crate) async fn version(&self, file: &File) -> Result<FileVersion, Refusal> {
        let number = match self.query("version")? {
            None => file.latest,
            Some(text) => text.parse().map_err(|_| Refusal::no_version())?,
        };
        let version = self.desk.places.records.file_version(&file.id, number).await?;
        version.ok_or_else(Refusal::no_version)
    }
}
