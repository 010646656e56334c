//! Where a process is, as a person writes it, and why it does not answer, as a person reads it.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::Url;

/// The base URL of a process: `http://` is added where no scheme is given.
///
/// # Errors
/// It is none, in words.
pub(super) fn base(written: &str) -> anyhow::Result<String> {
    let wrong = || format!("'{written}' is not the address of a process: write http://127.0.0.1:8080 or 127.0.0.1:8080");
    let trimmed = written.trim();
    // A number alone would be the address 0.0.31.144, and what looks like a path or half a scheme would be taken for a host.
    let misread =
        trimmed.starts_with('/') || ["http:", "https:"].iter().any(|scheme| trimmed.starts_with(scheme) && !trimmed.contains("://"));
    if misread || trimmed.chars().all(|c| c.is_ascii_digit()) {
        bail!(wrong());
    }
    let full = if trimmed.contains("://") { trimmed.to_owned() } else { format!("http://{trimmed}") };
    let url = Url::parse(&full).with_context(wrong)?;
    if !matches!(url.scheme(), "http" | "https") {
        bail!("{}: `{}` is not http", wrong(), url.scheme());
    }
    if url.host_str().is_none_or(str::is_empty) || url.query().is_some() || url.fragment().is_some() {
        bail!(wrong());
    }
    Ok(full.trim_end_matches('/').to_owned())
}

/// Why a process did not answer.
pub(super) fn reason(error: &anyhow::Error, limit: Duration) -> String {
    let Some(request) = error.downcast_ref::<reqwest::Error>() else { return format!("{error:#}") };
    if request.is_timeout() {
        return format!("it did not answer within {} ms", limit.as_millis());
    }
    let mut cause = request.source();
    let mut last = request.to_string();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            match io.kind() {
                ErrorKind::ConnectionRefused => return "nothing listens there".to_owned(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                    return "it closed the connection without an answer".to_owned();
                }
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => return "there is no way to that machine".to_owned(),
                _ => {}
            }
        }
        last = inner.to_string();
        if last.contains("failed to lookup address") || last.contains("dns error") {
            return "no machine is known by that name".to_owned();
        }
        cause = inner.source();
    }
    if request.is_connect() { format!("it cannot be reached: {last}") } else { format!("what it answers cannot be read: {last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_may_be_left_out() {
        let bases = ["localhost:8080", "http://a:1/", " 10.0.0.7:80 ", "https://shop.example/millrace", "[::1]:8080"];
        let full = ["http://localhost:8080", "http://a:1", "http://10.0.0.7:80", "https://shop.example/millrace", "http://[::1]:8080"];
        assert_eq!(bases.map(|written| base(written).unwrap()), full);
    }

    #[test]
    fn what_is_no_address_is_told_with_what_would_be_one() {
        for wrong in ["", "8080", ":8080", "http://", "ftp://a:1", "http://a b:1", "a:port", "http://a:99999", "/metrics", "a?b", "http:/a"]
        {
            let said = format!("{:#}", base(wrong).unwrap_err());
            assert!(said.starts_with(&format!("'{wrong}' is not the address of a process: write http://127.0.0.1:8080")), "{said}");
            assert!(!said.contains("relative URL") && !said.contains("builder"), "{said}");
        }
    }
}
