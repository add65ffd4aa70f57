//! The scheme and the host in the client's address bar, as the trusted proxies report them: `X-Forwarded-Proto` and
//! `X-Forwarded-Host`, or else the parameters `proto` and `host` of `Forwarded` (RFC 7239).
//!
//! All these headers are ignored unless `http.trusted_proxies` says that there is a trusted proxy.

use axum::http::{HeaderMap, header};

/// Returns whether the client uses https. None if no trusted proxy names http or https.
pub(crate) fn is_https(headers: &HeaderMap, proxies: usize) -> Option<bool> {
    let scheme = forwarded_value(headers, proxies, "x-forwarded-proto", "proto")?;
    if scheme.eq_ignore_ascii_case("https") {
        return Some(true);
    }
    scheme.eq_ignore_ascii_case("http").then_some(false)
}

/// Returns the host, with its port unless that is the scheme's default port: as a trusted proxy reports it, or else the
/// request's `Host`.
pub(crate) fn host(headers: &HeaderMap, proxies: usize) -> Option<String> {
    let host = || headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    forwarded_value(headers, proxies, "x-forwarded-host", "host").or_else(host)
}

/// Returns a value that a trusted proxy set. As with `X-Forwarded-For`, each proxy may append a value, so only the last
/// `proxies` values are trusted. The first of these describes the request as the client sent it.
fn forwarded_value(headers: &HeaderMap, proxies: usize, name: &str, parameter: &str) -> Option<String> {
    if proxies == 0 {
        return None;
    }
    let mut values = list_elements(headers, name);
    if values.is_empty() {
        values = list_elements(headers, "forwarded").iter().map(|element| parameter_of(element, parameter)).collect();
    }
    let at = values.len().saturating_sub(proxies);
    values.into_iter().nth(at).filter(|value| !value.is_empty())
}

/// Splits a header that is a list into its elements.
fn list_elements(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split_unquoted(line, ',')).collect()
}

/// Returns the value of a parameter in an element of `Forwarded`, without quotes. Empty if the parameter is missing.
fn parameter_of(element: &str, name: &str) -> String {
    let value = split_unquoted(element, ';').into_iter().find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    let value = value.unwrap_or_default();
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace('\\', ""),
        None => value,
    }
}

/// Splits at a separator that is not inside quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if c == separator && !quoted {
            parts.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && quoted && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        headers.extend(lines.iter().map(line));
        headers
    }

    #[test]
    fn only_values_of_trusted_proxies_count() {
        for (lines, proxies, expected) in [
            ([("x-forwarded-proto", "https")].as_slice(), 0, None),
            (&[("x-forwarded-proto", "https")], 1, Some(true)),
            (&[("x-forwarded-proto", "http")], 1, Some(false)),
            (&[("x-forwarded-proto", "https, http")], 1, Some(false)),
            (&[("x-forwarded-proto", "https, http")], 2, Some(true)),
            (&[("x-forwarded-proto", "http"), ("x-forwarded-proto", "HTTPS")], 1, Some(true)),
            (&[("x-forwarded-proto", "https")], 2, Some(true)),
            (&[("x-forwarded-proto", "")], 1, None),
            (&[("x-forwarded-proto", "gopher")], 1, None),
            (&[("forwarded", "for=1.2.3.4;Proto=https;by=x")], 1, Some(true)),
            (&[("forwarded", "for=\"[::1]:80, ;\\\"\";proto=\"https\", for=2.2.2.2;proto=http")], 2, Some(true)),
            (&[("forwarded", "for=1.1.1.1")], 1, None),
            (&[("x-forwarded-proto", "https"), ("forwarded", "proto=http")], 1, Some(true)),
            (&[], 1, None),
        ] {
            assert_eq!(is_https(&headers(lines), proxies), expected, "{lines:?} behind {proxies}");
        }
        let all = headers(&[
            ("host", "10.0.0.7:8080"),
            ("x-forwarded-host", "portal.example"),
            ("forwarded", "host=\"other.example:8443\""),
        ]);
        assert_eq!(host(&all, 0).as_deref(), Some("10.0.0.7:8080"));
        assert_eq!(host(&all, 1).as_deref(), Some("portal.example"));
        let standard = headers(&[("host", "10.0.0.7"), ("forwarded", "host=\"other.example:8443\"")]);
        assert_eq!(host(&standard, 1).as_deref(), Some("other.example:8443"));
    }
}
