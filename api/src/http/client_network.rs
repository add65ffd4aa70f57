//! What counts as one client for limits.

use std::fmt::{Display, Formatter};
use std::net::IpAddr;

/// What counts as one client: an IPv4 address, or the /64 network of an IPv6 address, because one subscriber usually has a
/// whole /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientNetwork(IpAddr);

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        // A socket that accepts both IPv4 and IPv6 reports an IPv4 client as ::ffff:a.b.c.d.
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
            address => address,
        })
    }
}

impl Display for ClientNetwork {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(prefix) => write!(f, "{prefix}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
        let network = |address: &str| ClientNetwork::from(address.parse::<IpAddr>().unwrap());
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
}
