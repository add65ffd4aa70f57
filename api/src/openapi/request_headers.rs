//! Request headers that operations of both contracts have, as the OpenAPI document describes them.

#![expect(dead_code, reason = "describes headers that `prefer` and `idempotency` read")]

use utoipa::IntoParams;

/// How long to wait for the outcome.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct PreferHeader {
    /// `wait=<seconds>` or `respond-async` (RFC 7240): how long to wait until the upload is ready
    #[param(rename = "Prefer", nullable = false, example = "wait=10")]
    prefer: Option<String>,
}

/// The header that makes a request safe to repeat.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IdempotencyKeyHeader {
    /// 1 to 255 printable ASCII characters. For 24 hours, a request with the same key and the same content gets the
    /// first response again
    #[param(rename = "Idempotency-Key", nullable = false, min_length = 1, max_length = 255)]
    key: Option<String>,
}

/// The conditions of a write.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct WriteConditionHeaders {
    /// ETags with commas between them. The write is carried out only if what it changes has one of them
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
    /// A date (RFC 9110, 5.6.7). The write is carried out only if what it changes was not modified later. It is ignored
    /// if `If-Match` is sent
    #[param(rename = "If-Unmodified-Since", nullable = false, example = "Sat, 21 Nov 2026 12:00:00 GMT")]
    if_unmodified_since: Option<String>,
}

/// The ETags that the client has or expects.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct ConditionalHeaders {
    /// ETags with commas between them. The picture is sent only if it has one of them
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
    /// ETags with commas between them. If the picture has one of them, the response is 304
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
}

/// The times of the last change that the client knows or expects.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct DateConditionHeaders {
    /// A date (RFC 9110, 5.6.7). If the content was not modified later, the response is 304. It is ignored if
    /// `If-None-Match` is sent
    #[param(rename = "If-Modified-Since", nullable = false, example = "Sat, 21 Nov 2026 12:00:00 GMT")]
    if_modified_since: Option<String>,
    /// A date (RFC 9110, 5.6.7). The content is sent only if it was not modified later. It is ignored if `If-Match` is
    /// sent
    #[param(rename = "If-Unmodified-Since", nullable = false, example = "Sat, 21 Nov 2026 12:00:00 GMT")]
    if_unmodified_since: Option<String>,
}
