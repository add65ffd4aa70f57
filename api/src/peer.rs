//! Where a request comes from: the other end of the connection, or what the trusted proxies before us say it was.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::desk::Desk;
use crate::serve::OtherEnd;

/// The address of the client, for throttling.
pub(crate) struct Peer(pub(crate) IpAddr);

impl FromRequestParts<Desk> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Infallible> {
        let other_end = parts.extensions.get::<OtherEnd>().map(|end| end.0.ip());
        let direct = other_end.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        if desk.http.proxies == 0 {
            return Ok(Self(direct));
        }
        // Each proxy appends whom it heard from; only the last `proxies` entries were written by somebody we trust.
        // What is no address keeps its place: without it, the entry before would count, which the client may have made
        // up.
        let mut heard: Vec<Option<IpAddr>> = parts
            .headers
            .get_all("x-forwarded-for")
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(|entry| address(std::str::from_utf8(entry).ok()?.trim()))
            .collect();
        heard.push(Some(direct));
        let at = heard.len().saturating_sub(desk.http.proxies + 1);
        Ok(Self(heard.get(at).copied().flatten().unwrap_or(direct)))
    }
}

/// An address as proxies write it: with a port or without, in brackets or not.
fn address(entry: &str) -> Option<IpAddr> {
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
            assert_eq!(address(entry), address_in_it.map(|text| text.parse().unwrap()), "{entry}");
        }
    }
}
