//! `http.middleware.ratelimit`: a token bucket per client, and a slower one per hour if wanted.
//!
//! A client is its address. What a forwarded header says counts only when the peer is a proxy that the config trusts, read
//! from the right, so that nobody gets a fresh bucket by inventing addresses.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use parking_lot::Mutex;

use crate::http::address::{Client, Forwarded, Trusted, one_per_customer, peer};
use crate::http::error::ApiError;
use crate::plan;

/// Buckets that are full again are forgotten after this many requests.
const SWEEP_EVERY: u32 = 1024;
/// Between two lines about a proxy that does not say whom it asks for.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// The buckets of one module.
pub(in crate::http) struct RateLimiter {
    /// The quick bucket, then the hourly one.
    buckets: Vec<DefaultKeyedRateLimiter<IpAddr>>,
    trusted: Trusted,
    clock: DefaultClock,
    seen: AtomicU32,
    /// When it was said last that a proxy cannot be read.
    told: Mutex<Option<Instant>>,
}

impl RateLimiter {
    pub(in crate::http) fn new(settings: &plan::RateLimit) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quick = Quota::per_minute(at_least_one(settings.requests_per_minute)).allow_burst(at_least_one(settings.burst_size));
        let hourly = settings.requests_per_hour.map(|n| Quota::per_hour(at_least_one(n)));
        let buckets = [Some(quick), hourly].into_iter().flatten().map(DefaultKeyedRateLimiter::keyed).collect();
        let trusted = Trusted::new(&settings.trusted_proxies);
        Self { buckets, trusted, clock: DefaultClock::default(), seen: AtomicU32::new(0), told: Mutex::default() }
    }

    /// Who asks, unless its bucket is empty: then it is 429.
    pub(in crate::http) fn admit(&self, request: &Request) -> Result<Client, ApiError> {
        let client = self.client(peer(request), request.headers());
        self.check(client).map_err(|wait| ApiError::too_many("too many requests from this address", wait))?;
        Ok(Client(client))
    }

    /// How long the client has to wait, if it has to.
    fn check(&self, client: IpAddr) -> Result<(), Duration> {
        if self.seen.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.buckets.iter().for_each(DefaultKeyedRateLimiter::retain_recent);
        }
        for bucket in &self.buckets {
            bucket.check_key(&client).map_err(|until| until.wait_time_from(self.clock.now()))?;
        }
        Ok(())
    }

    /// Whose bucket a request takes from.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return one_per_customer(peer);
        }
        let mut client = peer;
        if !headers.contains_key("x-forwarded-for")
            && let Some(other) = ["x-real-ip", "forwarded"].into_iter().find(|name| headers.contains_key(*name))
        {
            self.tell_unread(peer, &format!("it sends {other}, and no X-Forwarded-For, which alone is read"));
        }
        let forwarded: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        for hop in forwarded.iter().flat_map(|value| value.split(',')).rev() {
            let Some(address) = Forwarded(hop.trim()).address() else {
                self.tell_unread(peer, "X-Forwarded-For has something that is no address");
                break;
            };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        one_per_customer(client)
    }

    /// Says, once an hour, that the clients of a proxy cannot be told apart.
    fn tell_unread(&self, proxy: IpAddr, why: &str) {
        let mut told = self.told.lock();
        if told.is_none_or(|told| told.elapsed() >= TOLD_AGAIN_AFTER) {
            *told = Some(Instant::now());
            tracing::warn!(%proxy, why, "a trusted proxy does not say whom it asks for: all of its clients share one rate limit");
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.contains(address)
    }
}

/// Answers 429 to a client whose bucket is empty. What comes after it finds the [`Client`] with the request.
pub(in crate::http) async fn limit(State(limiter): State<Arc<RateLimiter>>, mut request: Request, next: Next) -> Response {
    match limiter.admit(&request) {
        Ok(client) => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(trusted: &[&str]) -> RateLimiter {
        RateLimiter::new(&plan::RateLimit {
            name: "limit".into(),
            requests_per_minute: 1,
            burst_size: 2,
            requests_per_hour: None,
            trusted_proxies: trusted.iter().map(|&t| t.to_owned()).collect(),
        })
    }

    fn client(trusted: &[&str], peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", axum::http::HeaderValue::from_static(value));
        }
        limiter(trusted).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn an_invented_address_counts_only_behind_a_trusted_proxy() {
        assert_eq!(client(&[], "203.0.113.9", &["1.2.3.4"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&["10.1.1.1"], "10.1.1.2", &["1.2.3.4"]), "10.1.1.2");
    }

    #[test]
    fn forwarded_addresses_are_read_from_the_right() {
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["6.6.6.6, 1.2.3.4, 10.2.2.2"]), "1.2.3.4");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["1.2.3.4, unknown"]), "10.1.1.1");
    }

    #[test]
    fn a_proxy_may_write_the_port_of_its_client() {
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["6.6.6.6:1, 203.0.113.9:4711, 10.2.2.2:80"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["[2001:db8::1]:443"]), "2001:db8::");
    }

    #[test]
    fn addresses_of_one_ipv6_customer_share_a_bucket() {
        assert_eq!(client(&[], "2001:db8:1:2::1", &[]), client(&[], "2001:db8:1:2:ffff::2", &[]));
        assert_eq!(client(&[], "::ffff:203.0.113.9", &[]), "203.0.113.9");
    }

    #[test]
    fn a_bucket_empties_and_others_do_not() {
        let limiter = limiter(&[]);
        let (one, other) = ("203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap());
        assert_eq!((limiter.check(one), limiter.check(one)), (Ok(()), Ok(())));
        let wait = limiter.check(one).unwrap_err();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{wait:?}");
        assert_eq!(limiter.check(other), Ok(()));
    }
}
