//! The address of the client: the other end of the connection, or the address that the trusted proxies report.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::http::settings::HttpSettings;

/// The peer address of a connection. Each request of the connection has it as an extension.
#[derive(Clone, Copy)]
pub(crate) struct PeerAddr(pub(crate) SocketAddr);

/// The address of the client, for rate limits.
pub(crate) struct ClientIp(pub(crate) IpAddr);

impl<S: Sync> FromRequestParts<S> for ClientIp
where
    Arc<HttpSettings>: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let peer_ip = parts.extensions.get::<PeerAddr>().map(|peer| peer.0.ip());
        let connection_ip = peer_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let proxies = Arc::<HttpSettings>::from_ref(state).trusted_proxies;
        Ok(Self(forwarded_client_ip(&parts.headers, connection_ip, proxies).unwrap_or(connection_ip)))
    }
}

/// Returns the address of the client that `proxies` trusted proxies name. None if there are no proxies, or if they name
/// no address.
pub(crate) fn forwarded_client_ip(headers: &HeaderMap, connection_ip: IpAddr, proxies: usize) -> Option<IpAddr> {
    if proxies == 0 {
        return None;
    }
    // Each proxy appends the address that it received the request from, so only the last `proxies`
    // entries were written by trusted proxies. An entry that is no address keeps its position.
    // Otherwise the entry before it would count, and the client may have made that entry up.
    let mut hops: Vec<Option<IpAddr>> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|entry| parse_address(std::str::from_utf8(entry).ok()?.trim()))
        .collect();
    hops.push(Some(connection_ip));
    let at = hops.len().saturating_sub(proxies + 1);
    hops.get(at).copied().flatten()
}

/// Parses an address as proxies write it: with or without a port, with or without brackets.
fn parse_address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    bare.parse().ok().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_proxies_write_them() {
        for (entry, address_in_it) in [
            ("203.0.113.1", Some("203.0.113.1")),
            ("203.0.113.1:4711", Some("203.0.113.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("unknown", None),
            ("_hidden:4711", None),
            ("[", None),
            ("", None),
        ] {
            assert_eq!(parse_address(entry), address_in_it.map(|text| text.parse().unwrap()), "{entry}");
        }
    }
}
