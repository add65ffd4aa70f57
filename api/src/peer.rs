//! Where a request comes from: the other end of the connection, or what the trusted proxies before us say it was.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

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
        let mut heard: Vec<IpAddr> = parts
            .headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|address| address.trim().parse().ok())
            .collect();
        heard.push(direct);
        let at = heard.len().saturating_sub(desk.http.proxies + 1);
        Ok(Self(heard.get(at).copied().unwrap_or(direct)))
    }
}
