//! The other processes of an installation, as the plan of one names them.

use std::collections::{BTreeMap, BTreeSet};

use http::Uri;

use super::{INTERNAL_HEADER, Plan};
use crate::runtime::GrantTarget;

/// What this process asks of another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Module that asks.
    pub module: String,
    /// What requests that are passed on begin with, or the service that a component asks for.
    pub what: String,
}

/// Those that requests are passed on to, or that components ask with the secret of the installation, by their address: a name and a port. Whom
/// else components ask is no process of it.
#[must_use]
pub fn of(plan: &Plan) -> BTreeMap<String, BTreeSet<Asked>> {
    let proxied = plan.proxies.iter().flat_map(|proxy| {
        let targets = proxy.targets.iter();
        targets.flat_map(move |(prefix, urls)| urls.iter().map(move |url| (&proxy.name, prefix, url)))
    });
    let granted = plan.components.iter().flat_map(|component| {
        component.capabilities.http.iter().filter_map(|grant| match &grant.target {
            GrantTarget::Url(url) if grant.headers.iter().any(|(name, _)| name.as_str().eq_ignore_ascii_case(INTERNAL_HEADER)) => {
                Some((&component.name, &grant.service, url))
            }
            _ => None,
        })
    });
    let mut found: BTreeMap<String, BTreeSet<Asked>> = BTreeMap::new();
    for (module, what, url) in proxied.chain(granted) {
        let Some(authority) = url.parse::<Uri>().ok().and_then(|url| url.authority().cloned()) else { continue };
        // Who speaks TLS is not asked: it would be with plain words, at a port that may be somebody else's.
        if !url.starts_with("http://") {
            continue;
        }
        // A password that an address is written with is nobody's affair.
        let address = authority.as_str().rsplit('@').next().unwrap_or_default().to_owned();
        found.entry(address).or_default().insert(Asked { module: module.clone(), what: what.clone() });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::Proxy;

    #[test]
    fn processes_are_told_by_their_address_with_all_that_is_asked_of_them_and_without_passwords() {
        let targets = [
            ("/api/things", "http://u:secret@things:8080/base"),
            ("/api/others", "http://things:8080"),
            ("/x", "http://far:1"),
            ("/y", "https://far"),
        ];
        let proxy = Proxy {
            name: "passes".into(),
            targets: targets.iter().map(|(prefix, url)| ((*prefix).to_owned(), vec![(*url).to_owned()])).collect(),
            connect_timeout: Duration::ZERO,
            response_timeout: Duration::ZERO,
            max_body_bytes: 1,
        };
        let found = of(&Plan { proxies: vec![proxy], ..Plan::default() });
        let told: Vec<(&str, Vec<&str>)> =
            found.iter().map(|(address, asked)| (address.as_str(), asked.iter().map(|one| one.what.as_str()).collect())).collect();
        assert_eq!(told, [("far:1", vec!["/x"]), ("things:8080", vec!["/api/others", "/api/things"])]);
    }
}
