//! What the broker's address may be: RabbitMQ's URI with those parameters that are known here.

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::address::{parameters, value, with};
use crate::queue::{QueueError, QueueSettings};
use crate::secret::Secret;
use crate::setting::WrongSetting;
use crate::tls;

/// RabbitMQ's name for a file with certificate authorities.
const CA_FILE: &str = "cacertfile";

/// What lapin takes, and the file, which it does not.
const KNOWN: [&str; 6] = ["frame_max", "channel_max", "heartbeat", "connection_timeout", "auth_mechanism", CA_FILE];

/// A broker's address.
#[derive(Clone, Debug)]
pub(in crate::queue) struct Address {
    pub(super) uri: AMQPUri,
    /// A file with certificate authorities that the broker's certificate may be from.
    pub(super) ca_file: Option<String>,
}

/// The broker's address, looked at and no more.
pub(in crate::queue) fn address(settings: &QueueSettings) -> Result<Address, QueueError> {
    let url = settings.url.expose();
    let uri: AMQPUri = url.parse().map_err(|_| QueueError::Address(settings.url.to_string()))?;
    let wrong = |why: String| WrongSetting::new("queue.url", format_args!("\"{}\"", settings.url), why);
    let found = parameters(url, &KNOWN).map_err(wrong)?;
    let ca_file = value(&found, CA_FILE).map(str::to_owned);
    if let Some(file) = &ca_file {
        if uri.scheme != AMQPScheme::AMQPS {
            return Err(wrong(format!("{CA_FILE} is for an address that begins with amqps://")).into());
        }
        tls::read(file).map_err(wrong)?;
    }
    Ok(Address { uri, ca_file })
}

/// Adds the file to an address of a broker with TLS that names none.
pub(in crate::queue) fn trust(settings: &mut QueueSettings, ca_file: &str) {
    let url = settings.url.expose();
    let named = parameters(url, &KNOWN).is_ok_and(|found| value(&found, CA_FILE).is_some());
    if url.starts_with("amqps://") && !named {
        settings.url = Secret::new(with(url, CA_FILE, ca_file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_are_not_known_are_refused() {
        for (url, words) in [
            ("amqps://host/v?certfile=/c.pem", "unknown parameter \"certfile\"; the known ones are frame_max,"),
            ("amqp://host/v?heartbeat=5&cacertfile=/ca.pem", "cacertfile is for an address that begins with amqps://"),
            ("amqps://host/v?cacertfile=/no/ca.pem", "the file /no/ca.pem cannot be read"),
        ] {
            let settings = QueueSettings { url: Secret::new(url), prefix: String::new(), ..QueueSettings::default() };
            let said = address(&settings).unwrap_err().to_string();
            assert!(said.starts_with("queue.url = ") && said.contains(words), "{url}: {said}");
        }
    }

    #[test]
    fn an_authority_is_trusted_where_there_is_tls() {
        for (url, trusted) in [
            ("amqps://host/v?heartbeat=5", "amqps://host/v?heartbeat=5&cacertfile=/our/ca.pem"),
            ("amqps://host/v?cacertfile=/its/own.pem", "amqps://host/v?cacertfile=/its/own.pem"),
            ("amqp://host/v", "amqp://host/v"),
            ("memory:", "memory:"),
        ] {
            let mut settings =
                QueueSettings { url: Secret::new(url), prefix: String::new(), ..QueueSettings::default() };
            trust(&mut settings, "/our/ca.pem");
            assert_eq!(settings.url.expose(), trusted);
        }
    }
}
