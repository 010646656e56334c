//! Connections by address: how many each has, and which one has too many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::http::address::{Trusted, is_near, one_per_customer};
use crate::plan::ConnectionLimit;

/// The connections of all peers. Clones share them.
#[derive(Clone)]
pub(super) struct Peers {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most: usize,
    everywhere: bool,
    trusted: Arc<Trusted>,
}

/// One connection of a peer, given back when dropped.
pub(super) struct Place {
    peers: Peers,
    /// What counts as one customer.
    customer: IpAddr,
}

impl Peers {
    pub(super) fn new(limit: &ConnectionLimit) -> Self {
        let trusted = Arc::new(Trusted::new(&limit.trusted_proxies));
        Self { open: Arc::default(), most: limit.per_address, everywhere: limit.everywhere, trusted }
    }

    /// Connections that a customer may have.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A place for a connection from `address`; none if its customer has as many as he may.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let customer = one_per_customer(address);
        let mut open = self.open.lock();
        let count = open.entry(customer).or_default();
        if *count >= self.most && self.counts(address) {
            return None;
        }
        *count += 1;
        Some(Place { peers: self.clone(), customer })
    }

    /// Whether the limit holds for an address. Unless the config says how many, not for those of this machine and of private networks:
    /// there sit proxies, gateways and load tests, each the peer of all its clients at once, so that a limit would shut out everybody.
    fn counts(&self, address: IpAddr) -> bool {
        (self.everywhere || !is_near(address)) && !self.trusted.contains(address)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.open.lock();
        if let Some(count) = open.get_mut(&self.customer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.customer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(per_address: usize, everywhere: bool) -> Peers {
        Peers::new(&ConnectionLimit { per_address, everywhere, trusted_proxies: vec!["203.0.113.7".into(), "127.0.0.9".into()] })
    }

    /// How many of ten connections are admitted.
    fn admitted(peers: &Peers, address: &str) -> usize {
        let address = address.parse().unwrap();
        let places: Vec<Place> = (0..10).filter_map(|_| peers.admit(address)).collect();
        places.len()
    }

    #[test]
    fn a_public_address_has_a_limit_and_gets_its_places_back() {
        let peers = peers(3, false);
        let public: IpAddr = "203.0.113.1".parse().unwrap();
        let mut places: Vec<_> = (0..3).map(|_| peers.admit(public).unwrap()).collect();
        assert!(peers.admit(public).is_none());
        assert!(peers.admit("203.0.113.2".parse().unwrap()).is_some());
        places.pop();
        assert!(peers.admit(public).is_some());
        drop(places);
        assert!(peers.open.lock().is_empty());
    }

    #[test]
    fn trusted_proxies_have_none_and_what_is_near_has_one_only_if_the_config_says_so() {
        for (address, by_default, as_configured) in
            [("203.0.113.1", 3, 3), ("127.0.0.1", 10, 3), ("10.0.0.1", 10, 3), ("203.0.113.7", 10, 10), ("127.0.0.9", 10, 10)]
        {
            assert_eq!((admitted(&peers(3, false), address), admitted(&peers(3, true), address)), (by_default, as_configured), "{address}");
        }
    }

    #[test]
    fn all_addresses_of_one_customer_count_together() {
        let peers = peers(3, false);
        let _places: Vec<_> = (1..=3).map(|n| peers.admit(format!("2001:db8::{n}").parse().unwrap()).unwrap()).collect();
        assert!(peers.admit("2001:db8::ffff:1".parse().unwrap()).is_none());
        assert!(peers.admit("2001:db8:0:1::1".parse().unwrap()).is_some(), "another network");
    }
}
