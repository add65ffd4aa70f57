//! Settings that can be written and cannot be: each crate looks at its own before anything is opened, without asking
//! anybody, and what it finds is told the same way.

use std::fmt::Display;

/// A setting that cannot be: which one, what it was, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: {allowed}")]
pub struct InvalidSetting {
    key: String,
    value: String,
    allowed: String,
}

impl InvalidSetting {
    /// The error, for a value that may be shown.
    pub fn new(key: impl Into<String>, was: impl Display, allowed: impl Into<String>) -> Self {
        Self { key: key.into(), value: was.to_string(), allowed: allowed.into() }
    }

    /// Looks at a value that may be shown.
    ///
    /// # Errors
    /// Unless it is good.
    pub fn require(is_valid: bool, key: &str, was: impl Display, allowed: &str) -> Result<(), Self> {
        if is_valid { Ok(()) } else { Err(Self::new(key, was, allowed)) }
    }

    /// Looks at numbers of which 0 would mean that nothing is ever done.
    ///
    /// # Errors
    /// Where one is 0.
    pub fn require_positive<const N: usize>(counts: [(&str, u64); N]) -> Result<(), Self> {
        counts.into_iter().try_for_each(|(key, count)| Self::require(count > 0, key, count, "write 1 or more"))
    }

    /// Looks at an address to listen on, as the system would take it: a host, which may be a name, and a port.
    ///
    /// # Errors
    /// Where it is none.
    pub fn require_listen_address(key: &str, address: &str) -> Result<(), Self> {
        let name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:%[]".contains(&byte));
        let good = address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && name(host) && port.parse::<u16>().is_ok());
        Self::require(good, key, format_args!("\"{address}\""), "write a host and a port, such as 127.0.0.1:8080")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_listened_on_is_an_address() {
        for good in ["127.0.0.1:0", "0.0.0.0:8080", "[::]:8080", "[fe80::1%eth0]:80", "localhost:8080", "api-1.lan:1"] {
            assert_eq!(InvalidSetting::require_listen_address("http.listen", good), Ok(()), "{good}");
        }
        for bad in ["", "8080", ":8080", "localhost", "0.0.0.0:", "0.0.0.0:65536", "http://0.0.0.0:80", "a b:80"] {
            let said = InvalidSetting::require_listen_address("http.listen", bad).unwrap_err().to_string();
            let expected = format!("http.listen = \"{bad}\": write a host and a port, such as 127.0.0.1:8080");
            assert_eq!(said, expected);
        }
    }
}
