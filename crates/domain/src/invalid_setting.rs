//! Invalid settings: each crate checks its own settings before anything is opened, and reports errors in the same
//! form.

use std::fmt::Display;

/// An invalid setting: its key, its value, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: {allowed}")]
pub struct InvalidSetting {
    key: String,
    value: String,
    allowed: String,
}

impl InvalidSetting {
    /// Returns the error. It shows the value, so the value must not be secret.
    pub fn new(key: impl Into<String>, value: impl Display, allowed: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// Returns an error unless `is_valid`. The error shows the value, so the value must not be secret.
    ///
    /// # Errors
    /// If the value is invalid.
    pub fn require(is_valid: bool, key: &str, value: impl Display, allowed: &str) -> Result<(), Self> {
        if is_valid { Ok(()) } else { Err(Self::new(key, value, allowed)) }
    }

    /// Checks numbers for which 0 would mean that nothing is ever done.
    ///
    /// # Errors
    /// If a number is 0.
    pub fn require_positive<const N: usize>(counts: [(&str, u64); N]) -> Result<(), Self> {
        counts.into_iter().try_for_each(|(key, count)| Self::require(count > 0, key, count, "write 1 or more"))
    }

    /// Checks an address to listen on, in the form that the system takes: a host, which may be a name, and a port.
    ///
    /// # Errors
    /// If the address has another form.
    pub fn require_listen_address(key: &str, address: &str) -> Result<(), Self> {
        let is_host = |host: &str| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:%[]".contains(&byte))
        };
        let is_valid =
            address.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
        Self::require(is_valid, key, format_args!("\"{address}\""), "write a host and a port, such as 127.0.0.1:8080")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_has_a_host_and_a_port() {
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
