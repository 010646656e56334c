//! Which proxy of the environment a request to somewhere outside goes through, so that messages can name it.
//!
//! The processes of one shop talk directly, and so do components with what they are granted; only spans to a collector and what is asked of
//! registries go through a proxy, and then `NO_PROXY` counts. The rules are those of the client that sends.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// The variable and the address of the proxy that a request to `url` goes through: `HTTPS_PROXY (http://proxy:3128)`. Never its password.
#[must_use]
pub fn used_for(variables: &BTreeMap<String, String>, url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    let own = if url.scheme_str()? == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variables.get(name)?.clone())));
    let no = first(["NO_PROXY", "no_proxy"]).map_or_else(String::new, |(_, value)| value);
    [first(own), first(["ALL_PROXY", "all_proxy"])].into_iter().flatten().find_map(|(name, proxy)| {
        let intercepted = Matcher::builder().all(proxy).no(no.clone()).build().intercept(&url)?;
        Some(format!("{name} ({})", intercepted.uri().to_string().trim_end_matches('/')))
    })
}

/// Whether `url` is somewhere that a proxy is usually for: not this machine, not a private network, not a name that only the network inside
/// knows.
#[must_use]
pub fn is_outside(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|url| Some(url.host()?.trim_matches(['[', ']']).to_ascii_lowercase())).unwrap_or_default();
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(v4)) => !(v4.is_loopback() || v4.is_private() || v4.is_link_local()),
        Ok(IpAddr::V6(v6)) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
        Err(_) => host.contains('.') && ![".local", ".internal", ".localhost", ".svc"].iter().any(|end| host.ends_with(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(variables: &[(&str, &str)], url: &str) -> Option<String> {
        used_for(&variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), url)
    }

    #[test]
    fn the_variable_of_the_scheme_wins_and_no_proxy_counts() {
        let variables = [("http_proxy", "http://small:1"), ("ALL_PROXY", "http://me:hidden@all:2"), ("NO_PROXY", "inside, 10.0.0.0/8")];
        assert_eq!(used(&variables, "http://collector:4318").as_deref(), Some("http_proxy (http://small:1)"));
        assert_eq!(used(&variables, "https://collector:4318/v1").as_deref(), Some("ALL_PROXY (http://all:2)"));
        for inside in ["http://inside:4318", "http://a.inside/", "http://10.1.2.3:4318"] {
            assert_eq!(used(&variables, inside), None, "{inside}");
        }
        assert_eq!(used(&[], "http://collector:4318"), None);
    }

    #[test]
    fn what_is_near_or_has_a_name_of_its_own_network_is_not_outside() {
        for inside in ["http://users-products:8080", "http://127.0.0.1:1", "http://[::1]/", "http://10.0.0.1", "http://stock.shop.svc/x"] {
            assert!(!is_outside(inside), "{inside}");
        }
        assert!(is_outside("https://api.bank.example/v1") && is_outside("https://8.8.8.8"));
    }
}
