//! Addresses of clients: what counts as one customer, and which belong to proxies that ask for many.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{Extensions, HeaderMap, header};
use ipnet::IpNet;

/// Networks whose peers ask on behalf of others.
#[derive(Debug, Clone, Default)]
pub(super) struct Trusted(Vec<IpNet>);

impl Trusted {
    /// Addresses and networks such as `10.0.0.0/8`; what is neither is left out.
    pub(super) fn new(networks: &[String]) -> Self {
        Self(networks.iter().filter_map(|text| network(text)).collect())
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Who asks, as the rate limit of a route has decided: of IPv6 a /64. It is an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client(pub(super) IpAddr);

impl Client {
    /// Of a request; its peer where no rate limit knows better.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or_else(|| Self(one_per_customer(other_end(extensions).to_canonical())))
    }
}

/// The other end of the connection that a request came by.
pub(super) fn peer(request: &Request) -> IpAddr {
    other_end(request.extensions())
}

fn other_end(extensions: &Extensions) -> IpAddr {
    extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.0.ip())
}

/// A customer of IPv6 owns a /64 at least and could use each address of it once.
pub(super) fn one_per_customer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Whether an address is of this machine or of a private network.
pub(super) fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Whom a proxy says that it asks for, as it writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forwarded<'a>(pub(super) &'a str);

impl Forwarded<'_> {
    /// With or without a port; `None` if it is no address.
    pub(super) fn address(self) -> Option<IpAddr> {
        let bare = self.0.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(self.0);
        let address = bare.parse().ok().or_else(|| self.0.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
        address.map(|address: IpAddr| address.to_canonical())
    }
}

/// All that the headers of a request say about whom it is for. Anybody can write them: they can make a client a stranger, and only what
/// a trusted proxy writes can make it more.
pub(super) fn forwarded(headers: &HeaderMap) -> Vec<Forwarded<'_>> {
    let values = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>();
    let lists = [values("x-forwarded-for"), values("x-real-ip")].concat();
    let named = lists.into_iter().flat_map(|list| list.split(',')).map(|one| Forwarded(one.trim()));
    let elements = values(header::FORWARDED.as_str()).into_iter().flat_map(|list| list.split(','));
    named.chain(elements.map(for_whom)).collect()
}

/// `for` of one element of `Forwarded` (RFC 7239); an element without it is for nobody known.
fn for_whom(element: &str) -> Forwarded<'_> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let found = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    Forwarded(found.map_or("unknown", |(_, value)| value.trim().trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_no_public_address() {
        let near = |text: &str| is_near(text.parse::<IpAddr>().unwrap().to_canonical());
        for address in ["127.0.0.1", "::1", "10.0.0.1", "172.18.0.5", "192.168.1.2", "fd00::1", "::ffff:127.0.0.1"] {
            assert!(near(address), "{address}");
        }
        assert!(!near("8.8.8.8") && !near("2001:db8::1"));
    }

    #[test]
    fn a_trusted_network_is_written_as_one_or_as_an_address() {
        let trusted = Trusted::new(&["10.0.0.0/8".into(), "203.0.113.7".into(), "nonsense".into()]);
        let contains = |text: &str| trusted.contains(text.parse().unwrap());
        assert!(contains("10.1.2.3") && contains("203.0.113.7") && !contains("203.0.113.8"));
    }
}
