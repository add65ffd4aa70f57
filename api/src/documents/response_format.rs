//! The format of responses of the documents API: JSON, or XML if the client prefers it. Both are serialized from the
//! structs in `response_bodies`.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::response_bodies::ItemKind;
use super::xml_serializer;
use crate::error::ApiError;
use crate::http::accept::Accept;
use crate::http::idempotency::OtherFormat;

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    Json,
    Xml,
}

impl ResponseFormat {
    /// Selects XML if the client prefers it to JSON. Otherwise selects JSON.
    pub(crate) fn from_accept(headers: &HeaderMap) -> Self {
        let accept = Accept::from_headers(headers);
        // The old name of the type, `text/xml`, counts if the client does not name `application/xml`.
        let named = accept.named_quality("application/xml").or_else(|| accept.named_quality("text/xml"));
        let xml_quality = named.unwrap_or_else(|| accept.quality("application/xml"));
        if xml_quality > accept.quality("application/json") { Self::Xml } else { Self::Json }
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
        let mut response = (status, self.serialize(kind, body)?).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }

    /// Builds a response that may be repeated for an idempotency key. Unlike the response of [`Self::response`], it has
    /// its body in the other format as well.
    pub(crate) fn repeatable_response<T: Serialize>(
        self,
        status: StatusCode,
        kind: ItemKind,
        body: &T,
    ) -> Result<Response, ApiError> {
        let mut response = self.response(status, kind, body)?;
        let other = if self == Self::Json { Self::Xml } else { Self::Json };
        let other_format = OtherFormat { media_type: other.mime().to_owned(), body: other.serialize(kind, body)? };
        response.extensions_mut().insert(other_format);
        Ok(response)
    }

    /// Changes a response to this format, if it has this format as its other format.
    pub(crate) fn select(self, mut response: Response) -> Response {
        let other_format = response.extensions_mut().remove::<OtherFormat>();
        let Some(other_format) = other_format.filter(|other| other.media_type == self.mime()) else { return response };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime()));
        headers.remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(other_format.body);
        response
    }

    fn serialize<T: Serialize>(self, kind: ItemKind, body: &T) -> Result<String, ApiError> {
        let text = match self {
            Self::Json => serde_json::to_string(body).map_err(|error| error.to_string()),
            Self::Xml => xml_serializer::to_string(kind.as_str(), body).map_err(|error| error.to_string()),
        };
        text.map_err(|error| ApiError::Internal(format!("a response was not serialized: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_the_format_that_it_prefers() {
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
