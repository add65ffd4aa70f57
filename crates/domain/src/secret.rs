//! A text that must not be logged or displayed: a password, or an address that contains a password.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A secret that is redacted in all output; only [`expose`](Self::expose) returns it.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the code that has to use it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the form for display. In a URL, dots replace the user's name and the password. A text that is no URL
    /// becomes dots.
    fn redacted(&self) -> String {
        match self.0.split_once("://") {
            Some((scheme, rest)) => match rest.rsplit_once('@') {
                Some((_, place)) => format!("{scheme}://…@{}", redact_query_password(place)),
                None => redact_query_password(&self.0),
            },
            // "memory:" is an address too, and not secret.
            None if self.0.is_empty() || self.0.ends_with(':') => self.0.clone(),
            None => "…".to_owned(),
        }
    }
}

/// Redacts the password parameter of an address, because PostgreSQL takes a password there too.
fn redact_query_password(address: &str) -> String {
    let Some((place, parameters)) = address.split_once('?') else { return address.to_owned() };
    let hide = |parameter: &str| match parameter.split_once('=') {
        Some((name, _)) if name.eq_ignore_ascii_case("password") => format!("{name}=…"),
        _ => parameter.to_owned(),
    };
    let parameters: Vec<String> = parameters.split('&').map(hide).collect();
    format!("{place}?{}", parameters.join("&"))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        for (text, shown) in [
            ("postgres://cloak:pa@ss@db/cloakroom", "postgres://…@db/cloakroom"),
            ("sqlite:///var/lib/cloakroom/records.db", "sqlite:///var/lib/cloakroom/records.db"),
            ("memory:", "memory:"),
            (
                "postgres:///db?host=/dir&user=u&password=pass&port=1",
                "postgres:///db?host=/dir&user=u&password=…&port=1",
            ),
            ("postgres://u:p?password@/db?host=/dir", "postgres://…@/db?host=/dir"),
            ("hunter2", "…"),
            ("", ""),
        ] {
            assert_eq!(Secret::new(text).to_string(), shown);
            assert_eq!(format!("{:?}", Secret::new(text)), shown);
            assert_eq!(serde_json::to_string(&Secret::new(text)).unwrap(), format!("{shown:?}"));
        }
    }
}
