//! Requests whose framing or target two servers could read differently are refused before anything reads them.

use axum::http::uri::{PathAndQuery, Scheme};
use axum::http::{HeaderMap, Method, Request, Uri, Version, header};

/// What a request that may be read is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A path of this server; the target is that path now, in whatever form it came.
    Path,
    /// `OPTIONS *`: the server as such.
    Server,
}

/// Says why not, if not. `ambiguous` is whether its head says in two ways how long its body is.
pub(super) fn check<B>(request: &mut Request<B>, ambiguous: bool) -> Result<Asked, &'static str> {
    check_host(request)?;
    if ambiguous {
        return Err("Transfer-Encoding and Content-Length must not be sent together");
    }
    check_encoding(request.headers())?;
    if request.uri().path() == "*" {
        return if request.method() == Method::OPTIONS { Ok(Asked::Server) } else { Err("only OPTIONS has the target *") };
    }
    if request.uri().authority().is_some() {
        *request.uri_mut() = own_path(request)?;
    }
    check_path(request.uri().path())?;
    Ok(Asked::Path)
}

/// The path of a target that names this server too, as clients of a proxy send it (RFC 9112, section 3.2.2).
fn own_path<B>(request: &Request<B>) -> Result<Uri, &'static str> {
    const NO_PROXY: &str = "the request target must be a path, or name the same host as the Host header; this is no proxy";
    let uri = request.uri();
    let host = request.headers().get(header::HOST).map(axum::http::HeaderValue::as_bytes);
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    let is_ours = host.is_none() || authority.zip(host).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other));
    let is_web = uri.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
    if request.method() == Method::CONNECT || !is_web || !is_ours {
        return Err(NO_PROXY);
    }
    Ok(Uri::from(uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))))
}

fn check_path(path: &str) -> Result<(), &'static str> {
    // What most paths are: nothing in them could be read in another way.
    if !path.bytes().any(|byte| matches!(byte, b'%' | b'\\')) && !path.contains("/.") {
        return Ok(());
    }
    let path = path.to_ascii_lowercase();
    if ["%2f", "%5c", "%00", "\\"].iter().any(|odd| path.contains(odd)) {
        return Err("the path must not contain encoded slashes, backslashes or zero bytes");
    }
    if path.split('/').any(|part| matches!(part.replace("%2e", ".").as_str(), "." | "..")) {
        return Err("the path must not contain dot segments");
    }
    Ok(())
}

fn check_host<B>(request: &Request<B>) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        // From a time when a server had one name.
        (None, None) if request.version() == Version::HTTP_10 => return Ok(()),
        _ => return Err("exactly one Host header is needed"),
    };
    let fine = |b: &u8| b.is_ascii_alphanumeric() || b".-:[]_".contains(b);
    if host.is_empty() || !host.as_bytes().iter().all(fine) {
        return Err("the Host header is not a host");
    }
    Ok(())
}

fn check_encoding(headers: &HeaderMap) -> Result<(), &'static str> {
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else { return Ok(()) };
    if !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") || encodings.next().is_some() {
        return Err("the only Transfer-Encoding understood is chunked");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, uri: &str, hosts: &[&'static str], version: Version) -> Request<()> {
        let mut request = Request::builder().method(method).uri(uri).version(version).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(header::HOST, axum::http::HeaderValue::from_static(host));
        }
        request
    }

    /// The path that is asked for in the end.
    fn target(uri: &str) -> Result<String, &'static str> {
        let mut request = request(Method::GET, uri, &["shop.example:8080"], Version::HTTP_11);
        check(&mut request, false).map(|_| request.uri().to_string())
    }

    #[test]
    fn targets_that_two_servers_could_read_differently_are_refused() {
        for uri in ["/a/../b", "/a/%2e%2E/b", "/a/.%2e", "/./a", "/a%2fb", "/a%5Cb", "/a%00", "*", "http://shop.example:8080/a/../b"] {
            assert!(target(uri).is_err(), "{uri}");
        }
        for uri in ["/", "/a.b/..c", "/img/a%20b.svg", "/api/things?next=../x%2f"] {
            assert_eq!(target(uri).as_deref(), Ok(uri));
        }
    }

    #[test]
    fn a_target_may_name_the_server_itself_and_no_other() {
        for (uri, path) in
            [("http://shop.example:8080/a?b=c", "/a?b=c"), ("http://SHOP.example:8080", "/"), ("https://shop.example:8080/a", "/a")]
        {
            assert_eq!(target(uri).as_deref(), Ok(path), "{uri}");
        }
        for uri in ["http://other.example/a", "http://shop.example/a", "http://me@shop.example:8080/a", "ftp://shop.example:8080/a"] {
            assert!(target(uri).is_err(), "{uri}");
        }
        let mut old = request(Method::GET, "http://any.example/a", &[], Version::HTTP_10);
        assert_eq!(check(&mut old, false), Ok(Asked::Path));
        let mut tunnel = request(Method::CONNECT, "shop.example:8080", &["shop.example:8080"], Version::HTTP_11);
        assert!(check(&mut tunnel, false).is_err());
    }

    #[test]
    fn the_server_itself_is_asked_for_its_options_only() {
        let mut options = request(Method::OPTIONS, "*", &["x"], Version::HTTP_11);
        assert_eq!(check(&mut options, false), Ok(Asked::Server));
    }

    #[test]
    fn there_is_one_host() {
        let hosts = |hosts: &[&'static str]| check_host(&request(Method::GET, "/", hosts, Version::HTTP_11));
        assert!(hosts(&["localhost:8080"]).is_ok() && hosts(&["[::1]:80"]).is_ok());
        for wrong in [&[][..], &["a", "b"], &[""], &["a/b"], &["a@b"]] {
            assert!(hosts(wrong).is_err(), "{wrong:?}");
        }
        let old = |hosts: &[&'static str]| check_host(&request(Method::GET, "/", hosts, Version::HTTP_10));
        assert!(old(&[]).is_ok() && old(&["a"]).is_ok() && old(&["a", "b"]).is_err());
    }
}
