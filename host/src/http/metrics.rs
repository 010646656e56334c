//! `/metrics`: for those who collect them, not for customers.
//!
//! Numbers tell how a shop is doing. Unless the config says otherwise they are for this machine and for private networks. A proxy in front
//! is near itself, so those whom it asks for have to be near as well, whether it is trusted or not. A browser that is near asks for whatever
//! page it shows, so the name that it asks by must be no public one, see `hosts.rs`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::address::{self, Trusted, forwarded, is_near};
use super::bearer::bearer;
use super::error::ApiError;
use super::hosts::Hosts;
use super::state::AppState;
use crate::plan::MetricsAccess;
use crate::telemetry;

/// Who gets an answer.
pub(super) enum Readers {
    Near(Trusted, Hosts),
    /// A digest, so that comparing takes the same time whatever the length of what was sent.
    Token([u8; 32]),
    All,
}

/// What answers `/metrics`.
pub(super) fn route(access: &MetricsAccess) -> MethodRouter<Arc<AppState>> {
    let readers = Readers::of(access);
    get(show).route_layer(from_fn_with_state(Arc::new(readers), admit))
}

async fn show(State(state): State<Arc<AppState>>) -> Result<Response, ApiError> {
    let text = state.metrics.scrape().await.map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, telemetry::metrics::CONTENT_TYPE)], text).into_response())
}

async fn admit(State(readers): State<Arc<Readers>>, request: Request, next: Next) -> Result<Response, ApiError> {
    readers.check(address::peer(&request).to_canonical(), request.headers())?;
    Ok(next.run(request).await)
}

impl Readers {
    pub(super) fn of(access: &MetricsAccess) -> Self {
        match access {
            MetricsAccess::Private { trusted_proxies, hosts } => Self::Near(Trusted::new(trusted_proxies), Hosts::new(hosts)),
            MetricsAccess::Token(token) => Self::Token(Sha256::digest(&token.0).into()),
            MetricsAccess::Open => Self::All,
        }
    }

    /// Whether these are among them.
    pub(super) fn include(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.check(peer, headers).is_ok()
    }

    fn check(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), ApiError> {
        match self {
            Self::All => Ok(()),
            Self::Near(trusted, hosts) => {
                let detail = match (stranger(trusted, peer, headers), hosts.foreign(headers)) {
                    (None, None) => return Ok(()),
                    (Some(stranger), _) => format!(
                        "these numbers are for this machine and private networks, and '{}' is neither; `access` of the metrics.collector can be token or open instead",
                        stranger.escape_debug()
                    ),
                    (None, Some(name)) => format!(
                        "these numbers are for this machine and private networks, and anybody can have '{}' lead here; ask by an address or a name without dots, or list the name in `hosts` of the metrics.collector",
                        name.escape_debug()
                    ),
                };
                Err(ApiError::new(StatusCode::FORBIDDEN, detail))
            }
            Self::Token(known) => {
                let sent: [u8; 32] = Sha256::digest(bearer(headers)?).into();
                if sent.ct_eq(known).into() {
                    Ok(())
                } else {
                    Err(ApiError::unauthorized("this is not the token of the metrics.collector"))
                }
            }
        }
    }
}

/// The first of those who have a part in a request that is neither of this machine nor of a private network. A trusted proxy that says whom
/// it asks for may be anywhere itself.
fn stranger(trusted: &Trusted, peer: IpAddr, headers: &HeaderMap) -> Option<String> {
    let clients = forwarded(headers);
    let speaks_for_others = trusted.contains(peer) && !clients.is_empty();
    if !is_near(peer) && !speaks_for_others {
        return Some(peer.to_string());
    }
    clients.into_iter().find(|client| !client.address().is_some_and(is_near)).map(|client| client.0.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn refused(trusted: &[&str], peer: &str, headers: &[(&'static str, &'static str)]) -> Option<String> {
        let trusted = Trusted::new(&trusted.iter().map(|&network| network.to_owned()).collect::<Vec<_>>());
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        stranger(&trusted, peer.parse().unwrap(), &headers.collect())
    }

    #[test]
    fn near_peers_that_ask_for_themselves_may_read() {
        for peer in ["127.0.0.1", "::1", "10.2.3.4", "172.18.0.5", "192.168.1.2", "169.254.1.1", "fd00::7", "fe80::1"] {
            assert_eq!(refused(&[], peer, &[]), None, "{peer}");
        }
        for peer in ["203.0.113.9", "2001:db8::1", "172.32.0.1", "::"] {
            assert_eq!(refused(&[], peer, &[]).as_deref(), Some(peer));
        }
    }

    #[test]
    fn a_proxy_does_not_bring_a_public_client_near() {
        for trusted in [&[][..], &["10.0.0.0/8"]] {
            for header in [
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-for", "127.0.0.1, 203.0.113.9"),
                ("x-forwarded-for", "203.0.113.9, 10.0.0.2"),
                ("x-forwarded-for", "203.0.113.9:4711"),
                ("x-forwarded-for", "unknown"),
                ("x-forwarded-for", ""),
                ("x-real-ip", "203.0.113.9"),
                ("forwarded", "for=203.0.113.9;proto=https"),
                ("forwarded", "for=127.0.0.1, For=\"[2001:db8::1]:80\""),
                ("forwarded", "for=_hidden"),
                ("forwarded", "by=10.0.0.1"),
            ] {
                assert!(refused(trusted, "10.0.0.1", &[header]).is_some(), "{header:?}");
            }
            for header in [("x-forwarded-for", "10.9.9.9, 10.0.0.2:80"), ("x-real-ip", "::1"), ("forwarded", "for=\"[fd00::1]:4711\";by=x")]
            {
                assert_eq!(refused(trusted, "10.0.0.1", &[header]), None, "{header:?}");
            }
        }
    }

    #[test]
    fn only_a_trusted_proxy_may_be_far_away_and_only_for_near_clients() {
        let near = ("x-forwarded-for", "10.1.1.1");
        assert_eq!(refused(&["203.0.113.9"], "203.0.113.9", &[near]), None);
        assert_eq!(refused(&[], "203.0.113.9", &[near]).as_deref(), Some("203.0.113.9"));
        assert_eq!(refused(&["203.0.113.9"], "203.0.113.9", &[]).as_deref(), Some("203.0.113.9"));
        assert_eq!(refused(&["203.0.113.9"], "203.0.113.9", &[("x-forwarded-for", "8.8.8.8")]).as_deref(), Some("8.8.8.8"));
    }
}
