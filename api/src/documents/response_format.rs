//! The format of responses of the documents API: JSON, or XML if the client prefers it. Both are serialized from the
//! structs in `response_bodies`.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::response_bodies::ItemKind;
use super::xml_serializer;
use crate::error::ApiError;
use crate::http::accept::Accept;

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    Json,
    Xml,
}

impl ResponseFormat {
    /// Selects XML if the client prefers it to JSON. Everything else means JSON.
    pub(crate) fn from_accept(headers: &HeaderMap) -> Self {
        let accept = Accept::from_headers(headers);
        // The old name of XML counts if the new one is not there.
        let xml = accept.named_quality("application/xml").or_else(|| accept.named_quality("text/xml"));
        let xml = xml.unwrap_or_else(|| accept.quality("application/xml"));
        if xml > accept.quality("application/json") { Self::Xml } else { Self::Json }
    }

    fn mime(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        }
    }

    /// Builds a response with a body. In XML the kind is the name of the root element.
    pub(crate) fn response<T: Serialize>(
        self,
        status: StatusCode,
        kind: ItemKind,
        body: &T,
    ) -> Result<Response, ApiError> {
        let text = match self {
            Self::Json => serde_json::to_string(body).map_err(|error| error.to_string()),
            Self::Xml => xml_serializer::to_string(kind.as_str(), body).map_err(|error| error.to_string()),
        };
        let text = text.map_err(|error| ApiError::Internal(format!("a response was not serialized: {error}")))?;
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_likes() {
        for (accept, format) in [
            ("", ResponseFormat::Json),
            ("*/*", ResponseFormat::Json),
            ("application/xml", ResponseFormat::Xml),
            ("application/json", ResponseFormat::Json),
            ("application/json, application/xml", ResponseFormat::Json),
            ("application/json;q=0.5, application/xml", ResponseFormat::Xml),
            ("application/xml;q=0.9, */*;q=0.8", ResponseFormat::Xml),
            ("*/*;q=0.8, application/json;q=0.1, application/xml;q=0.5", ResponseFormat::Xml),
            ("application/xml;Q=0.1, application/json;q=0.5", ResponseFormat::Json),
            ("text/html", ResponseFormat::Json),
            ("application/json;q=0, */*", ResponseFormat::Xml),
            ("application/json;q=0, application/xml;q=0", ResponseFormat::Json),
            ("application/xml;q=0, text/xml", ResponseFormat::Json),
            ("text/xml;q=0.9, application/*;q=0.5", ResponseFormat::Xml),
            ("application/json;Q=0.1, application/*", ResponseFormat::Xml),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(ResponseFormat::from_accept(&headers), format, "{accept}");
        }
    }
}
