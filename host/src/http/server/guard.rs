//! Requests whose framing or target two servers could read differently are refused before anything reads them.

use axum::http::{HeaderMap, Method, Request, header};

use super::stream::Activity;

/// Says why not, if not.
pub(super) fn check<B>(request: &Request<B>, activity: &Activity) -> Result<(), &'static str> {
    check_target(request)?;
    check_host(request.headers())?;
    check_framing(request, activity)
}

fn check_target<B>(request: &Request<B>) -> Result<(), &'static str> {
    let uri = request.uri();
    if request.method() == Method::CONNECT || uri.authority().is_some() || uri.scheme().is_some() {
        return Err("the request target must be a path; this is no proxy");
    }
    let path = uri.path().to_ascii_lowercase();
    if ["%2f", "%5c", "%00", "\\"].iter().any(|odd| path.contains(odd)) {
        return Err("the path must not contain encoded slashes, backslashes or zero bytes");
    }
    if path.split('/').any(|part| matches!(part.replace("%2e", ".").as_str(), "." | "..")) {
        return Err("the path must not contain dot segments");
    }
    Ok(())
}

fn check_host(headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err("exactly one Host header is needed");
    };
    let fine = |b: &u8| b.is_ascii_alphanumeric() || b".-:[]_".contains(b);
    if host.is_empty() || !host.as_bytes().iter().all(fine) {
        return Err("the Host header is not a host");
    }
    Ok(())
}

fn check_framing<B>(request: &Request<B>, activity: &Activity) -> Result<(), &'static str> {
    let mut encodings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else { return Ok(()) };
    if !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") || encodings.next().is_some() {
        return Err("the only Transfer-Encoding understood is chunked");
    }
    // hyper drops Content-Length where both are sent, so the headers that it hands over cannot tell.
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    if activity.sent_length(request.method().as_str(), target) {
        return Err("Transfer-Encoding and Content-Length must not be sent together");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &str) -> Result<(), &'static str> {
        check_target(&Request::get(uri).body(()).unwrap())
    }

    #[test]
    fn targets_that_two_servers_could_read_differently_are_refused() {
        for uri in ["/a/../b", "/a/%2e%2E/b", "/a/.%2e", "/./a", "/a%2fb", "/a%5Cb", "http://other/a", "/a%00"] {
            assert!(target(uri).is_err(), "{uri}");
        }
        for uri in ["/", "/a.b/..c", "/img/a%20b.svg", "/api/things?next=../x%2f"] {
            assert_eq!(target(uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn there_is_one_host() {
        let hosts = |hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, axum::http::HeaderValue::from_static(host));
            }
            check_host(&headers)
        };
        assert!(hosts(&["localhost:8080"]).is_ok() && hosts(&["[::1]:80"]).is_ok());
        assert!(
            hosts(&[]).is_err()
                && hosts(&["a", "b"]).is_err()
                && hosts(&[""]).is_err()
                && hosts(&["a/b"]).is_err()
                && hosts(&["a@b"]).is_err()
        );
    }
}
