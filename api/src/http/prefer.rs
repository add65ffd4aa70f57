//! How long a client prefers to wait: `Prefer: wait=N` and `Prefer: respond-async` (RFC 7240). Unknown preferences are
//! ignored, as that RFC requires.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::dropbox::settings::UploadSettings;

/// The preferences that are supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    wait: Option<u64>,
    respond_async: bool,
}

impl Prefer {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split(',')) {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                // If a preference is repeated, the first one counts.
                "wait" if prefer.wait.is_none() => prefer.wait = value.trim().trim_matches('"').parse().ok(),
                "respond-async" => prefer.respond_async = true,
                _ => {}
            }
        }
        prefer
    }

    /// Returns how long to wait for an outcome.
    pub(crate) fn wait_time(self, settings: &UploadSettings) -> Duration {
        match self.wait {
            Some(seconds) => Duration::from_secs(seconds).min(settings.max_wait),
            None if self.respond_async => Duration::ZERO,
            None => settings.default_wait,
        }
    }

    /// Returns the header with the preferences that were applied.
    pub(crate) fn preference_applied(self, settings: &UploadSettings) -> Option<(HeaderName, HeaderValue)> {
        let wait = self.wait.map(|_| format!("wait={}", self.wait_time(settings).as_secs()));
        let respond_async = self.respond_async.then(|| "respond-async".to_owned());
        let applied: Vec<String> = respond_async.into_iter().chain(wait).collect();
        let value = HeaderValue::try_from(applied.join(", ")).ok().filter(|value| !value.is_empty())?;
        Some((HeaderName::from_static("preference-applied"), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_preferences_are_read_and_others_are_ignored() {
        for (text, wait, respond_async) in [
            ("wait=10", Some(10), false),
            ("respond-async, wait=\"3\"", Some(3), true),
            ("Respond-Async; foo=bar", None, true),
            ("return=minimal", None, false),
            ("wait=soon", None, false),
            ("wait=-1, wait", None, false),
        ] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static("prefer"), text.parse().unwrap())]);
            assert_eq!(Prefer::from_headers(&headers), Prefer { wait, respond_async }, "{text}");
        }
    }
}
