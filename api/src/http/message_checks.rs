//! Checks what every request must have, before anything else of the request is looked at.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Version, header};

use crate::error::ApiError;

/// Checks `Host` and `Transfer-Encoding`. If a proxy and a server read these headers differently, they could take one
/// request for two requests, or send the request to another site.
pub(crate) fn check_message(version: Version, headers: &HeaderMap) -> Result<(), ApiError> {
    check_host(version, headers)?;
    check_transfer_encoding(headers)
}

/// Requires exactly one valid `Host` (RFC 9112, 3.2). HTTP/1.0 does not require one.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), ApiError> {
    let bad = |why: &str| Err(ApiError::malformed("bad_host", why));
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => bad("the request has no Host header; send one"),
        (Some(_), Some(_)) => bad("the request has more than one Host header; send one"),
        (Some(host), None) => {
            let is_valid =
                host.is_empty() || Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'));
            if is_valid { Ok(()) } else { bad("the Host header is not a host with an optional port") }
        }
    }
}

/// Accepts no transfer coding but `chunked` (RFC 9112, 6.1). The HTTP library decodes `chunked` only, so a body in
/// another coding would be taken for the content.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut chunked = false;
    for value in headers.get_all(header::TRANSFER_ENCODING) {
        for coding in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if coding.is_empty() {
                continue;
            }
            if !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(ApiError::UnsupportedTransferCoding(String::from_utf8_lossy(coding).into_owned()));
            }
            if std::mem::replace(&mut chunked, true) {
                return Err(ApiError::malformed("bad_transfer_encoding", "the body is chunked twice; chunk it once"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn check(version: Version, headers: &[(HeaderName, &'static str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        check_message(version, &map).err().map_or(200, |error| error.status().as_u16())
    }

    #[test]
    fn a_request_has_one_valid_host() {
        for (hosts, status) in [
            (&["a.example"][..], 200),
            (&["a.example:8443"], 200),
            (&["[::1]:80"], 200),
            (&["api_1"], 200),
            (&[""], 200),
            (&[], 400),
            (&["a.example", "a.example"], 400),
            (&["a b"], 400),
            (&["a/b"], 400),
            (&["user@a.example"], 400),
        ] {
            let headers: Vec<_> = hosts.iter().map(|host| (header::HOST, *host)).collect();
            assert_eq!(check(Version::HTTP_11, &headers), status, "{hosts:?}");
        }
        assert_eq!(check(Version::HTTP_10, &[]), 200);
    }

    #[test]
    fn a_body_is_chunked_and_nothing_else() {
        for (codings, status) in [
            (&["chunked"][..], 200),
            (&["Chunked"], 200),
            (&["gzip, chunked"], 501),
            (&["gzip", "chunked"], 501),
            (&["identity"], 501),
            (&["chunked, chunked"], 400),
        ] {
            let mut headers: Vec<_> = codings.iter().map(|coding| (header::TRANSFER_ENCODING, *coding)).collect();
            headers.push((header::HOST, "a"));
            assert_eq!(check(Version::HTTP_11, &headers), status, "{codings:?}");
        }
    }
}
