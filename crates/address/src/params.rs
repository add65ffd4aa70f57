//! The parameters of a backend's address: the part after the question mark.
//!
//! An unknown parameter is refused. If it were ignored, a misspelled parameter would look as if it had an effect.

/// Parses and decodes the parameters of an address. Refuses a name that is not among `known`. A
/// known name that ends with `[` stands for all names that begin with it.
///
/// # Errors
/// A message that says which parameter is unknown and which parameters are known.
pub fn parse_params(address: &str, known: &[&str]) -> Result<Vec<(String, String)>, String> {
    let Some((_, query)) = address.split_once('?') else { return Ok(Vec::new()) };
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let is_known =
        |name: &str| known.iter().any(|known| *known == name || (known.ends_with('[') && name.starts_with(known)));
    match parameters.iter().find(|(name, _)| !is_known(name)) {
        None => Ok(parameters),
        Some((name, _)) if known.is_empty() => {
            Err(format!("unknown parameter \"{name}\": this address allows no parameters"))
        }
        Some((name, _)) => {
            let known: Vec<String> = known.iter().map(|name| name.replace('[', "[…]")).collect();
            Err(format!("unknown parameter \"{name}\"; the known ones are {}", known.join(", ")))
        }
    }
}

/// Returns the value of a parameter. If the address has the parameter several times, returns its last value.
pub fn param<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Returns the address with one more parameter. The parameter's value is percent-encoded.
pub fn with_param(address: &str, name: &str, value: &str) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{name}={}", percent_encode(value))
}

/// Percent-encodes a parameter's value.
fn percent_encode(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_an_unknown_parameter_lists_the_known_parameters() {
        let known = ["heartbeat", "options["];
        let parameters = parse_params("amqp://host/v?heartbeat=5&options[x]=a%20b", &known).unwrap();
        assert_eq!(param(&parameters, "options[x]"), Some("a b"));
        let message = parse_params("amqp://host/v?heartbeat=5&cacertfil=/ca.pem", &known).unwrap_err();
        assert_eq!(message, "unknown parameter \"cacertfil\"; the known ones are heartbeat, options[…]");
        let message = parse_params("file:///folder?x", &[]).unwrap_err();
        assert_eq!(message, "unknown parameter \"x\": this address allows no parameters");
    }

    #[test]
    fn a_parameter_that_was_added_is_found() {
        for address in ["s3://bucket/prefix", "s3://bucket?a=b"] {
            let path = "/etc/cloakroom/our ca+1&2 ä.pem";
            let parameters = parse_params(&with_param(address, "ca_file", path), &["a", "ca_file"]).unwrap();
            assert_eq!(param(&parameters, "ca_file"), Some(path));
        }
    }
}
