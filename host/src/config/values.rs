//! Single values that a pattern cannot check: addresses, URLs, paths.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::files;
use super::finding::Findings;
use super::leaf::HumanDuration;
use super::report::Code;

/// What was given, or so many seconds.
pub(super) fn seconds(given: Option<HumanDuration>, default: u64) -> Duration {
    given.map_or(Duration::from_secs(default), |given| given.0)
}

/// The address to listen on that is `written` at `pointer`; anything else is reported.
pub(super) fn listen_address(written: &str, pointer: String, findings: &mut Findings) -> Option<SocketAddr> {
    let address = socket_address(written);
    if address.is_none() && !written.is_empty() {
        let message = format!("'{written}' is not an address to listen on");
        let help = "write 127.0.0.1:8080, [::1]:8080, or :8080 for all addresses".to_owned();
        findings.error(pointer, Code::InvalidValue, message, help);
    }
    address
}

/// `host:port`, where the host may be missing (all addresses), an IP address or `localhost`.
pub(super) fn socket_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    match host {
        "" => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)),
        "localhost" => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        _ => text.parse().ok(),
    }
}

/// An http(s) base URL with a host, no query and no fragment; without its last slash, and with one where its path has several: people write
/// `http://host:8080/` where a path follows.
pub(super) fn base_url(text: &str) -> Option<String> {
    let uri: http::Uri = text.parse().ok()?;
    let scheme_fits = matches!(uri.scheme_str(), Some("http" | "https"));
    let host_fits = uri.authority().is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@') && port_fits(a));
    let plain = !text.contains(['?', '#', ' ']);
    let (scheme, rest) = text.split_once("://")?;
    let folded = || rest.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    (scheme_fits && host_fits && plain).then(|| format!("{scheme}://{}", folded()))
}

fn port_fits(authority: &http::uri::Authority) -> bool {
    let after_host = authority.as_str().rsplit(']').next().unwrap_or_default();
    !after_host.contains(':') || authority.port_u16().is_some()
}

/// `host:port` of a broker.
pub(super) fn broker(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && !host.contains(['/', ' ', '@']) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// An IP address, or a network as `address/bits`.
pub(super) fn network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    address.parse::<IpAddr>().is_ok_and(|ip| {
        let most = if ip.is_ipv4() { 32 } else { 128 };
        bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
    })
}

/// `*`, or `scheme://host[:port]`.
pub(super) fn origin(text: &str) -> bool {
    text == "*" || (base_url(text).as_deref() == Some(text) && text.matches('/').count() == 2 && !text.contains('*'))
}

/// An origin as browsers send it: in small letters, without the port that its scheme has anyway.
pub(super) fn as_browsers_write(origin: &str) -> String {
    let small = origin.to_ascii_lowercase();
    let Some((scheme, rest)) = small.split_once("://") else { return origin.to_owned() };
    let usual = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}", rest.strip_suffix(usual).unwrap_or(rest))
}

/// Letters of the longest topic.
const MAX_TOPIC: usize = 249;

/// Whether there is room for the name of a topic's dead letters, which has `.dlq` at its end.
pub(super) fn has_room_for_dead_letters(topic: &str) -> bool {
    topic.len() + ".dlq".len() <= MAX_TOPIC
}

/// A name that may stand in a topic.
pub(super) fn topic(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= MAX_TOPIC && text.chars().all(fits) && text != "." && text != ".."
}

/// A path without placeholders, `/healthz`; anything else is reported and becomes the default.
pub(super) fn plain_path(given: Option<&str>, default: &str, pointer: &str, findings: &mut Findings) -> String {
    match given {
        None => default.to_owned(),
        Some(path) if files::is_route(path) && !path.contains(['{', '}']) => path.to_owned(),
        Some(path) => {
            findings.error(
                pointer,
                Code::InvalidValue,
                format!("'{path}' is not a path"),
                format!("a path begins with a slash, for example {default}"),
            );
            default.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_a_host_mean_all() {
        assert_eq!(socket_address(":8080"), Some("0.0.0.0:8080".parse().unwrap()));
        assert_eq!(socket_address("localhost:80"), Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(socket_address("[::1]:80"), Some("[::1]:80".parse().unwrap()));
        assert!(["8080", "host:80", ":99999", "", "::"].iter().all(|bad| socket_address(bad).is_none()));
    }

    #[test]
    fn only_http_urls_with_a_host_are_base_urls() {
        assert_eq!(base_url("http://stock:8080/internal/").as_deref(), Some("http://stock:8080/internal"));
        assert_eq!(base_url("http://stock:8080//api//products").as_deref(), Some("http://stock:8080/api/products"));
        assert!(
            ["stock:8080", "ftp://x", "http://", "http://user:pw@x", "http://x/?q", "http://x:99999"]
                .iter()
                .all(|bad| base_url(bad).is_none())
        );
    }

    #[test]
    fn networks_origins_brokers_and_topics() {
        assert!(network("10.0.0.0/8") && network("::1") && !network("10.0.0.0/33") && !network("gateway"));
        assert!(origin("*") && origin("https://shop.example:8443") && !origin("https://shop.example/") && !origin("shop.example"));
        assert!(!origin("https://*.shop.example"));
        for written in ["HTTPS://Shop.Example", "https://shop.example:443", "https://shop.example"] {
            assert_eq!(as_browsers_write(written), "https://shop.example");
        }
        assert_eq!(as_browsers_write("http://shop.example:80"), "http://shop.example");
        assert_eq!(as_browsers_write("http://shop.example:443"), "http://shop.example:443");
        assert!(broker("kafka:9092") && !broker("kafka") && !broker(":9092") && !broker("kafka:0"));
        assert!(topic("return.approved") && !topic("return approved") && !topic(""));
    }
}
