//! Parses a broker's address: RabbitMQ's URI, with the parameters that Cloakroom knows.

use address::{param, parse_params, read_ca_file, with_param};
use domain::{InvalidSetting, Secret};
use lapin::uri::{AMQPScheme, AMQPUri};

use crate::error::QueueError;

/// RabbitMQ's name for the parameter that names a file of certificate authorities.
const CA_FILE: &str = "cacertfile";

/// The parameters that lapin takes, and `CA_FILE`, which only this program takes.
const KNOWN_PARAMS: [&str; 6] =
    ["frame_max", "channel_max", "heartbeat", "connection_timeout", "auth_mechanism", CA_FILE];

/// A broker's address.
#[derive(Clone, Debug)]
pub(crate) struct BrokerAddress {
    pub(crate) uri: AMQPUri,
    /// A file with certificate authorities that may have issued the broker's certificate.
    pub(crate) ca_file: Option<String>,
}

/// Parses the broker's address, without connecting.
pub(crate) fn parse_address(address: &Secret) -> Result<BrokerAddress, QueueError> {
    let url = address.expose();
    let uri: AMQPUri = url.parse().map_err(|_| QueueError::Address(address.to_string()))?;
    let invalid = |why: String| InvalidSetting::new("queue.url", format_args!("\"{address}\""), why);
    let parameters = parse_params(url, &KNOWN_PARAMS).map_err(invalid)?;
    let ca_file = param(&parameters, CA_FILE).map(str::to_owned);
    if let Some(file) = &ca_file {
        if uri.scheme != AMQPScheme::AMQPS {
            return Err(invalid(format!("{CA_FILE} is for an address that begins with amqps://")).into());
        }
        read_ca_file(file).map_err(invalid)?;
    }
    Ok(BrokerAddress { uri, ca_file })
}

/// Adds the parameter `CA_FILE` to the address if the address has TLS and does not have this parameter yet.
pub(crate) fn trust_ca_file(address: &mut Secret, ca_file: &str) {
    let url = address.expose();
    let has_ca_file = parse_params(url, &KNOWN_PARAMS).is_ok_and(|parameters| param(&parameters, CA_FILE).is_some());
    if url.starts_with("amqps://") && !has_ca_file {
        *address = Secret::new(with_param(url, CA_FILE, ca_file));
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
            let message = parse_address(&Secret::new(url)).unwrap_err().to_string();
            assert!(message.starts_with("queue.url = ") && message.contains(words), "{url}: {message}");
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
            let mut address = Secret::new(url);
            trust_ca_file(&mut address, "/our/ca.pem");
            assert_eq!(address.expose(), trusted);
        }
    }
}
