//! The address of the client: the other end of the connection, or what the trusted proxies say it is.

use std::convert::Infallible;
use std::fmt::{Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::http::server::PeerAddr;
use crate::state::AppState;

/// The address of the client, for rate limits.
pub(crate) struct ClientIp(pub(crate) IpAddr);

impl FromRequestParts<AppState> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let peer_ip = parts.extensions.get::<PeerAddr>().map(|end| end.0.ip());
        let connection_ip = peer_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(Self(
            forwarded_client_ip(&parts.headers, connection_ip, state.http.trusted_proxies).unwrap_or(connection_ip),
        ))
    }
}

/// The address of the client that `proxies` trusted proxies name. None if there are no proxies or they name no address.
pub(crate) fn forwarded_client_ip(headers: &HeaderMap, connection_ip: IpAddr, proxies: usize) -> Option<IpAddr> {
    if proxies == 0 {
        return None;
    }
    // Each proxy appends the address that it received the request from, so only the last `proxies` entries were written
    // by trusted proxies. An entry that is no address keeps its position. Without it, the entry before would count, and
    // the client may have made that up.
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

/// What counts as one client: an IPv4 address, or the /64 of an IPv6 address, because a single subscriber has at least
/// that many IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        // A socket that accepts both IPv4 and IPv6 reports an IPv4 client as ::ffff:a.b.c.d.
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
            address => address,
        })
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(prefix) => write!(f, "{prefix}/64"),
        }
    }
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
    fn one_client_is_an_ipv4_address_or_a_64() {
        let network = |address: &str| Network::from(address.parse::<IpAddr>().unwrap());
        for (address, counted) in [
            ("203.0.113.1", "203.0.113.1"),
            ("::ffff:203.0.113.1", "203.0.113.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(network(address).to_string(), counted, "{address}");
        }
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }

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
