//! One call of the documents API: in which version it was made, about what, and in which format it is answered.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use upload::{File, FileVersion, RenditionNameRules};

use super::error::DocumentError;
use super::request_path::RequestPath;
use super::response_format::ResponseFormat;
use crate::client_ip::ClientIp;
use crate::error::ApiError;
use crate::state::AppState;

/// A call, without its body.
pub(crate) struct DocumentRequest {
    pub(crate) state: AppState,
    pub(crate) response_format: ResponseFormat,
    pub(crate) method: Method,
    uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) client_ip: std::net::IpAddr,
    grammar: Option<RenditionNameRules>,
    /// The id in the address: a file's, or a link's.
    pub(crate) id: String,
    /// The answer is a picture of ours, for an `<img>`, which sends no token against forgery.
    pub(crate) is_image: bool,
}

impl FromRequestParts<AppState> for DocumentRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let ClientIp(peer) = ClientIp::from_request_parts(parts, state).await?;
        let RequestPath { grammar, id, .. } = parts.extensions.remove().unwrap_or_default();
        let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
        Ok(Self {
            state: state.clone(),
            response_format: ResponseFormat::from_accept(&headers),
            method,
            uri,
            headers,
            client_ip: peer,
            grammar,
            id,
            is_image: false,
        })
    }
}

impl DocumentRequest {
    /// What names of renditions may be in this version.
    pub(crate) fn grammar(&self) -> Result<RenditionNameRules, DocumentError> {
        let unknown = || ApiError::NotFound("there are versions 1.1 and 1.2 of this API".to_owned());
        Ok(self.grammar.ok_or_else(unknown)?)
    }

    /// Whether it may change something.
    pub(crate) fn is_write(&self) -> bool {
        !self.method.is_safe()
    }

    /// The first parameter of this name in the address, where it says something. U+0000 in it is an error.
    pub(crate) fn query_param(&self, name: &str) -> Result<Option<String>, DocumentError> {
        let query = self.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let value = pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()));
        match value {
            Some(value) if value.contains('\0') => {
                Err(DocumentError::invalid_value(name, "the character U+0000 is not taken"))
            }
            value => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// What the call is, for telling it from others with the same key.
    pub(crate) fn target(&self) -> String {
        format!("{} {}", self.method, self.uri.path())
    }

    /// The version that the address asks for, or the latest.
    pub(crate) async fn requested_version(&self, file: &File) -> Result<FileVersion, DocumentError> {
        let number = match self.query_param("version")? {
            None => file.latest_version,
            Some(text) => text.parse().map_err(|_| DocumentError::version_not_found())?,
        };
        let version = self.state.backends.records.file_version(&file.id, number).await?;
        version.ok_or_else(DocumentError::version_not_found)
    }
}
