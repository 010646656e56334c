//! The names by which a process is asked, and whether somebody outside can have made one up.
//!
//! The owner of a public name can have it lead to an address of this machine or network. The browser of somebody inside then takes a process
//! here for a part of the owner's own site, and lets a page of it read the answers (DNS rebinding). What such a page cannot do is ask by
//! another name than its own. So what is for insiders is told only under names that nobody can have in the public DNS, or that the config lists.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};

/// Endings that no name in the public DNS has: reserved (RFC 6761, RFC 6762, RFC 8375, `internal`), or taken by private networks so often
/// that they are given to nobody (RFC 6762, appendix G).
const PRIVATE_ENDINGS: [&str; 10] =
    [".localhost", ".local", ".internal", ".home.arpa", ".lan", ".corp", ".home", ".intranet", ".private", ".test"];

/// Names of a process that are its own whatever they look like.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    /// The machine's own name, and those that the config lists.
    pub(super) fn new(listed: &[String]) -> Self {
        let machine = hostname::get().ok().map(|name| name.to_string_lossy().into_owned());
        Self(listed.iter().cloned().chain(machine).map(|name| name.to_ascii_lowercase()).collect())
    }

    /// The name that a request asks by, if anybody could have made it lead here. A request without one comes from no browser.
    pub(super) fn foreign<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let sent = headers.get(header::HOST)?.to_str().unwrap_or("?");
        let Ok(authority) = sent.parse::<Authority>() else { return Some(sent) };
        // Nothing but a name, and a port behind it.
        if !sent.strip_prefix(authority.host()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
            return Some(sent);
        }
        let name = authority.host().to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        (!is_private(name) && !self.0.iter().any(|own| own == name)).then_some(sent)
    }
}

/// Whether it is an address, or a name that is in no public DNS.
fn is_private(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    !name.contains('.') || bare.parse::<IpAddr>().is_ok() || PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn foreign(sent: &'static str) -> bool {
        let headers = [(header::HOST, HeaderValue::from_static(sent))].into_iter().collect();
        Hosts::new(&["Metrics.Example.com".into()]).foreign(&headers).is_some()
    }

    #[test]
    fn addresses_service_names_private_names_and_listed_ones_are_its_own() {
        for own in [
            "127.0.0.1:8080",
            "10.0.0.7",
            "[::1]:8080",
            "[fd00::7]",
            "localhost",
            "LOCALHOST:8080",
            "shop.localhost",
            "orders:8082",
            "host.docker.internal:8080",
            "millrace.prod.svc.cluster.local",
            "millrace.prod.svc.cluster.local.",
            "printer.lan",
            "metrics.example.com:8080",
        ] {
            assert!(!foreign(own), "{own}");
        }
        assert!(Hosts::new(&[]).foreign(&HeaderMap::new()).is_none());
    }

    #[test]
    fn a_name_that_anybody_can_have_is_foreign() {
        for theirs in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.example.",
            "local.evil.com",
            "metrics.example.com.evil.example",
            "sub.metrics.example.com",
            "127.1",
            "[::1].evil.example",
            "127.0.0.1@evil.example",
            "evil@127.0.0.1",
            "a b",
            "",
        ] {
            assert!(foreign(theirs), "{theirs}");
        }
    }
}
