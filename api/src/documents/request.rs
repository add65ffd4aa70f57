//! A request to the documents API: its API version, its target, and the format of the response.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use domain::{File, FileVersion, RenditionNameRules};
use records::Records;

use super::error::DocumentError;
use super::request_path::RequestPath;
use super::response_format::ResponseFormat;
use crate::error::ApiError;
use crate::http::client_ip::ClientIp;
use crate::http::request_head::RequestHead;
use crate::http::settings::HttpSettings;

/// A request without its body.
pub(crate) struct DocumentRequest {
    pub(crate) response_format: ResponseFormat,
    pub(crate) head: RequestHead,
    pub(crate) client_ip: std::net::IpAddr,
    /// The settings that addresses in responses depend on.
    pub(crate) http: Arc<HttpSettings>,
    grammar: Option<RenditionNameRules>,
    /// The id in the path, of a file or of a link.
    pub(crate) id: String,
    /// Whether the response is a picture for an `<img>` element, which sends no CSRF token.
    pub(crate) is_image: bool,
}

impl<S: Sync> FromRequestParts<S> for DocumentRequest
where
    Arc<HttpSettings>: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let ClientIp(client_ip) = ClientIp::from_request_parts(parts, state).await?;
        let RequestPath { grammar, id, .. } = parts.extensions.remove().unwrap_or_default();
        let head = RequestHead::from_request_parts(parts, state).await?;
        let response_format = ResponseFormat::from_accept(&head.headers);
        let http = FromRef::from_ref(state);
        Ok(Self { response_format, head, client_ip, http, grammar, id, is_image: false })
    }
}

impl DocumentRequest {
    /// Returns the rules for names of renditions in the API version of the path. Fails if there is no such version.
    pub(crate) fn grammar(&self) -> Result<RenditionNameRules, DocumentError> {
        let unknown = || ApiError::NotFound("there are versions 1.1 and 1.2 of this API".to_owned());
        Ok(self.grammar.ok_or_else(unknown)?)
    }

    /// Returns whether the request may change something.
    pub(crate) fn is_write(&self) -> bool {
        !self.head.method.is_safe()
    }

    /// Returns the first query parameter with this name, if it is not empty. U+0000 in it is an error.
    pub(crate) fn query_param(&self, name: &str) -> Result<Option<String>, DocumentError> {
        let query = self.head.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let value = pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()));
        match value {
            Some(value) if value.contains('\0') => {
                Err(DocumentError::invalid_value(name, "the character U+0000 is not allowed"))
            }
            value => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// Returns the method and path, which distinguish this request from others with the same idempotency key.
    pub(crate) fn target(&self) -> String {
        format!("{} {}", self.head.method, self.head.uri.path())
    }

    /// Returns the version that the query names, or the latest version.
    pub(crate) async fn requested_version(&self, records: &Records, file: &File) -> Result<FileVersion, DocumentError> {
        let number = match self.query_param("version")? {
            None => file.latest_version,
            Some(text) => text.parse().map_err(|_| DocumentError::version_not_found())?,
        };
        let version = records.file_version(&file.id, number).await?;
        version.ok_or_else(DocumentError::version_not_found)
    }
}
