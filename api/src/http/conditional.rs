//! Conditional requests, RFC 9110, section 13.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use domain::ExpectedVersion;
use jiff::Timestamp;
use jiff::civil;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use crate::error::ApiError;

/// The current version of what a write would change. `V` is the type by which the records identify it.
pub(crate) struct CurrentVersion<V> {
    pub(crate) version: V,
    /// The ETags of all its representations. A client may have any of them.
    pub(crate) tags: Vec<String>,
    /// When this version was made, if that is known.
    pub(crate) modified_at: Option<Timestamp>,
}

/// Returns the ETag of a content with this digest.
pub(crate) fn etag(sha256: &str) -> String {
    format!("\"{sha256}\"")
}

/// The validators of a representation (RFC 9110, 8.8).
#[derive(Clone, Debug)]
pub(crate) struct Validators {
    pub(crate) tag: String,
    /// When the representation was last changed, if that is known. A date in a header has whole seconds, and the
    /// representation may change twice in one second. So a date is a weak validator (8.8.2.2).
    pub(crate) modified_at: Option<Timestamp>,
}

impl Validators {
    /// Evaluates the conditions of a `GET` or `HEAD` in the order of RFC 9110, 13.2.2. Returns whether the client has
    /// the representation already, so that the response is 304.
    ///
    /// `If-Match` is first, because a client could otherwise combine a range of these bytes with other bytes. A header
    /// with a date is ignored if its counterpart with ETags is sent too, or if the time of the last change is not known
    /// (13.1.3, 13.1.4).
    ///
    /// # Errors
    /// 412, if the representation is not the one that the client expects.
    pub(crate) fn is_not_modified(&self, headers: &HeaderMap) -> Result<bool, ApiError> {
        let modified_after = |name| {
            // A date in a header has whole seconds, so the fraction of a second is ignored.
            Some(self.modified_at?.as_second() > http_date(headers, name)?.as_second())
        };
        match matches_if_match(headers, |theirs| theirs == self.tag) {
            Some(false) => return Err(ApiError::PreconditionFailed),
            Some(true) => {}
            None if modified_after(header::IF_UNMODIFIED_SINCE) == Some(true) => return Err(ApiError::ModifiedSince),
            None => {}
        }
        if headers.contains_key(header::IF_NONE_MATCH) {
            return Ok(matches_if_none_match(headers, &self.tag));
        }
        Ok(modified_after(header::IF_MODIFIED_SINCE) == Some(false))
    }

    /// Adds `ETag`. Adds `Last-Modified` if the time of the last change is known.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let modified_at =
            self.modified_at.and_then(|at| rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok());
        for (name, value) in [(header::ETAG, Some(self.tag.clone())), (header::LAST_MODIFIED, modified_at)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
    }
}

/// Returns the date in a header, in one of the three forms of RFC 9110, 5.6.7. None if the header is missing, is
/// repeated or is no date.
fn http_date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let mut values = headers.get_all(name).iter();
    let (Some(date), None) = (values.next(), values.next()) else { return None };
    let date = date.to_str().ok()?.trim();
    if let Ok(date) = rfc2822::DateTimeParser::new().parse_timestamp(date) {
        return Some(date);
    }
    let obsolete = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let date = obsolete.iter().find_map(|form| civil::DateTime::strptime(form, date).ok())?;
    date.to_zoned(TimeZone::UTC).ok().map(|date| date.timestamp())
}

/// Returns whether `If-Match` is `*` or has an ETag that `is_current` accepts. None if the request has no `If-Match`.
fn matches_if_match(headers: &HeaderMap, is_current: impl Fn(&str) -> bool) -> Option<bool> {
    headers.get(header::IF_MATCH)?;
    let values = headers.get_all(header::IF_MATCH).iter();
    let mut sent_tags = values.flat_map(|value| value.to_str().unwrap_or_default().split(',')).map(str::trim);
    // Cloakroom's ETags are strong, and `If-Match` uses the strong comparison, so a weak tag never matches.
    Some(sent_tags.any(|sent| sent == "*" || is_current(sent)))
}

/// Returns whether a write has a condition. If so, the current version of what it changes has to be known.
pub(crate) fn has_write_condition(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_UNMODIFIED_SINCE)
}

/// Evaluates the conditions of a write (RFC 9110, 13.2.2): `If-Match`, or else `If-Unmodified-Since`. Returns the
/// version that the write expects. The records check it in the transaction of the write, because the version may change
/// before that.
///
/// A date that is not valid is ignored, as 13.1.4 requires. A date is also ignored if the time of the last change is
/// not known. `If-Match: *` holds for every version that exists.
pub(crate) fn expected_version<V>(headers: &HeaderMap, current: CurrentVersion<V>) -> ExpectedVersion<V> {
    let current_if = |holds| if holds { ExpectedVersion::Exactly(current.version) } else { ExpectedVersion::Outdated };
    if matches_if_match(headers, |_| false) == Some(true) {
        return ExpectedVersion::Any;
    }
    if let Some(matches) = matches_if_match(headers, |theirs| current.tags.iter().any(|tag| tag == theirs)) {
        return current_if(matches);
    }
    match (http_date(headers, header::IF_UNMODIFIED_SINCE), current.modified_at) {
        // A date in a header has whole seconds, so the fraction of a second is ignored.
        (Some(since), Some(modified)) => current_if(modified.as_second() <= since.as_second()),
        _ => ExpectedVersion::Any,
    }
}

/// The error for a write whose condition does not hold.
pub(crate) fn write_condition_error(headers: &HeaderMap) -> ApiError {
    if headers.contains_key(header::IF_MATCH) { ApiError::PreconditionFailed } else { ApiError::ModifiedSince }
}

/// Returns whether `If-None-Match` is `*` or has this ETag.
fn matches_if_none_match(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|theirs| theirs.trim().trim_start_matches("W/"))
        .any(|theirs| theirs == tag || theirs == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_evaluates_its_conditions_in_the_order_of_the_rfc() {
        let (before, at) = ("Sat, 21 Nov 2026 11:59:59 GMT", "Sat, 21 Nov 2026 12:00:00 GMT");
        let validators = Validators { tag: etag("a"), modified_at: Some("2026-11-21T12:00:00.7Z".parse().unwrap()) };
        for (headers, expected) in [
            (&[][..], Some(false)),
            (&[("if-none-match", "\"x\", W/\"a\"")], Some(true)),
            (&[("if-none-match", "\"x\"")], Some(false)),
            (&[("if-modified-since", at)], Some(true)),
            (&[("if-modified-since", before)], Some(false)),
            (&[("if-modified-since", "Saturday, 21-Nov-26 12:00:00 GMT")], Some(true)),
            (&[("if-modified-since", "Saturday, 21-Nov-26 11:59:59 GMT")], Some(false)),
            (&[("if-modified-since", "Sat Nov 21 12:00:00 2026")], Some(true)),
            (&[("if-modified-since", "Sun Nov  1 12:00:00 2026")], Some(false)),
            (&[("if-modified-since", "today")], Some(false)),
            (&[("if-modified-since", at), ("if-modified-since", at)], Some(false)),
            (&[("if-none-match", "\"x\""), ("if-modified-since", at)], Some(false)),
            (&[("if-none-match", "\"a\""), ("if-modified-since", before)], Some(true)),
            (&[("if-unmodified-since", at)], Some(false)),
            (&[("if-unmodified-since", before)], None),
            (&[("if-unmodified-since", at), ("if-modified-since", at)], Some(true)),
            (&[("if-match", "\"x\""), ("if-none-match", "\"a\"")], None),
            (&[("if-match", "\"a\""), ("if-unmodified-since", before)], Some(false)),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(validators.is_not_modified(&map).ok(), expected, "{headers:?}");
        }
        let mut sent = HeaderMap::new();
        validators.add_to(&mut sent);
        assert_eq!((sent["etag"].to_str().unwrap(), sent["last-modified"].to_str().unwrap()), ("\"a\"", at));
        let unknown = Validators { modified_at: None, ..validators };
        let since = HeaderMap::from_iter([(header::IF_MODIFIED_SINCE, HeaderValue::from_static(at))]);
        assert!(!unknown.is_not_modified(&since).unwrap());
    }

    #[test]
    fn a_write_expects_the_version_for_which_its_condition_holds() {
        use ExpectedVersion::{Any, Exactly, Outdated};
        let modified_at = Some("2026-11-21T12:00:00.7Z".parse().unwrap());
        for (headers, expected) in [
            (&[][..], Any),
            (&[("if-match", "\"b\"")], Exactly(7)),
            (&[("if-match", "\"x\" , \"a\"")], Exactly(7)),
            (&[("if-match", "*")], Any),
            (&[("if-match", "\"x\"")], Outdated),
            (&[("if-match", "W/\"a\"")], Outdated),
            (&[("if-match", "")], Outdated),
            (&[("if-unmodified-since", "Sat, 21 Nov 2026 12:00:00 GMT")], Exactly(7)),
            (&[("if-unmodified-since", "Sat, 21 Nov 2026 11:59:59 GMT")], Outdated),
            (&[("if-unmodified-since", "yesterday")], Any),
            (&[("if-match", "\"a\""), ("if-unmodified-since", "Sat, 21 Nov 2026 11:59:59 GMT")], Exactly(7)),
            (&[("if-match", "\"x\""), ("if-unmodified-since", "Sat, 21 Nov 2026 12:00:00 GMT")], Outdated),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            let current = CurrentVersion { version: 7, tags: vec![etag("a"), etag("b")], modified_at };
            assert_eq!(expected_version(&map, current), expected, "{headers:?}");
            assert_eq!(has_write_condition(&map), !headers.is_empty());
        }
        let unknown = CurrentVersion { version: 7, tags: Vec::new(), modified_at: None };
        let long_ago = HeaderValue::from_static("Sat, 21 Nov 2020 11:59:59 GMT");
        let since = HeaderMap::from_iter([(header::IF_UNMODIFIED_SINCE, long_ago)]);
        assert_eq!(expected_version(&since, unknown), Any);
    }
}
