//! Request bodies that are small enough to be read whole: JSON and forms.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::http::body::BoundedBody;
use crate::http::content_encoding::refuse_content_encoding;
use crate::http::settings::HttpSettings;

/// The longest small body, in bytes.
const MAX_BODY_BYTES: u64 = 64 << 10;

/// The error for a text with U+0000. PostgreSQL cannot store this character. It would refuse the statement, which would
/// look like a database failure.
pub(crate) const NUL_NOT_ALLOWED: &str = "the character U+0000 is not allowed in a text; leave it out";

/// The name of a form field and its value.
pub(crate) type FormField = (String, String);

/// The body of a request, not read yet, so that a handler can check the caller first.
pub(crate) struct UnreadBody {
    headers: HeaderMap,
    body: Body,
    http: Arc<HttpSettings>,
}

impl<S: Sync> FromRequest<S> for UnreadBody
where
    Arc<HttpSettings>: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let (head, body) = request.into_parts();
        Ok(Self { headers: head.headers, body, http: FromRef::from_ref(state) })
    }
}

impl UnreadBody {
    /// Reads a JSON body. `what` names the body in errors.
    pub(crate) async fn read_json<T: DeserializeOwned>(self, what: &'static str) -> Result<T, ApiError> {
        let body = self.read_json_bytes(what).await?;
        if contains_nul(&body) {
            return Err(ApiError::malformed("bad_json", format!("{what}: {NUL_NOT_ALLOWED}")));
        }
        serde_json::from_slice(&body).map_err(|error| ApiError::malformed("bad_json", format!("{what}: {error}")))
    }

    /// Reads a JSON body without parsing it. `what` names the body in errors.
    pub(crate) async fn read_json_bytes(self, what: &'static str) -> Result<Vec<u8>, ApiError> {
        let kind = media_type(&self.headers);
        // Vendor types, such as application/vnd.akana.v81+json, are JSON as well.
        if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
            return Err(ApiError::UnsupportedMediaType(format!(
                "{what} must be sent as application/json, not as \"{kind}\""
            )));
        }
        self.read_whole(what).await
    }

    /// Reads a form (`application/x-www-form-urlencoded`) as pairs.
    pub(crate) async fn read_form(self, what: &'static str) -> Result<Vec<FormField>, ApiError> {
        let kind = media_type(&self.headers);
        if kind != "application/x-www-form-urlencoded" {
            let why = format!("{what} must be sent as application/x-www-form-urlencoded, not as \"{kind}\"");
            return Err(ApiError::UnsupportedMediaType(why));
        }
        let body = self.read_whole(what).await?;
        let fields: Vec<FormField> = form_urlencoded::parse(&body).into_owned().collect();
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            return Err(ApiError::malformed("bad_form", format!("{what}: {NUL_NOT_ALLOWED}")));
        }
        Ok(fields)
    }

    async fn read_whole(self, what: &'static str) -> Result<Vec<u8>, ApiError> {
        refuse_content_encoding(&self.headers)?;
        let declared = content_length(&self.headers);
        let mut bounded_body = BoundedBody::new(self.body, MAX_BODY_BYTES, &self.http);
        if let Some(received) = declared.filter(|declared| *declared > MAX_BODY_BYTES) {
            bounded_body.drain_after_error();
            return Err(ApiError::TooLarge { what, limit: MAX_BODY_BYTES, received });
        }
        let mut content = Vec::new();
        while let Some(piece) = bounded_body.next().await {
            match piece {
                Ok(piece) => content.extend_from_slice(&piece),
                Err(error) => {
                    bounded_body.drain_after_error();
                    return Err(error.into());
                }
            }
        }
        Ok(content)
    }
}

/// Returns whether a text in this JSON contains U+0000. JSON permits no raw control character in a text, so only
/// escapes are searched.
pub(crate) fn contains_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.starts_with(b"u0000") {
            return true;
        }
        // The escaped character is skipped, because it may be a backslash that begins no escape.
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

/// Returns the media type without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Returns the length of the body that the client announced.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u0000_is_found_in_its_escaped_form() {
        for (json, found) in [
            (r#"{"a":"\u0000"}"#, true),
            (r#"{"\u0000":1}"#, true),
            (r#"["x\n\\\u0000"]"#, true),
            (r#"["\\u0000"]"#, false),
            (r#"["\u00001"]"#, true),
            (r#"["\u0001","u0000"]"#, false),
            (r#"["\"#, false),
            ("", false),
        ] {
            assert_eq!(contains_nul(json.as_bytes()), found, "{json}");
        }
    }
}
