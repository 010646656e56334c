//! One HTTP exchange with a service that the operator grants: over `wasi:http`, for as long as it may last.

/// A request to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// Path of the URL, escaped.
    pub path: String,
    /// JSON, or nothing.
    pub body: String,
}

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Look, change nothing.
    Get,
    /// Make it so, or find it so.
    Put,
    /// Take it away.
    Delete,
    /// Do it.
    Post,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Text of the body, cut at a limit.
    pub body: String,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The host does not let the component call the service.
    Denied(String),
    /// The service was not reached or did not answer.
    Broken(String),
}

/// `text` as one segment of a path.
pub fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut segment, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => segment.push(char::from(byte)),
            _ => drop(write!(segment, "%{byte:02X}")),
        }
        segment
    })
}

#[cfg(target_family = "wasm")]
pub use exchange::call;

#[cfg(target_family = "wasm")]
mod exchange {
    use std::time::Duration;

    use wasip2::http::outgoing_handler;
    use wasip2::http::types::{
        self as wasi, ErrorCode, Fields, IncomingBody, IncomingResponse, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    };
    use wasip2::io::streams::StreamError;

    use super::{CallError, Method, Reply, Request};

    /// Bytes of a reply that are read; what follows is left.
    const REPLY_LIMIT: usize = 64 << 10;

    /// Bytes that one write to an output stream may carry (`blocking-write-and-flush`).
    const WRITE_LIMIT: usize = 4096;

    /// Sends `request` to the service of that name and waits for the reply, at most about `timeout`.
    pub fn call(service: &str, request: &Request, timeout: Duration) -> Result<Reply, CallError> {
        let outgoing = OutgoingRequest::new(headers(request)?);
        let parts = outgoing
            .set_method(&method(request.method))
            .and_then(|()| outgoing.set_scheme(Some(&Scheme::Http)))
            .and_then(|()| outgoing.set_authority(Some(service)))
            .and_then(|()| outgoing.set_path_with_query(Some(&request.path)));
        parts.map_err(|()| broken("the request could not be built"))?;

        let body = outgoing.body().map_err(|()| broken("the request has no body"))?;
        let pending = outgoing_handler::handle(outgoing, Some(options(timeout))).map_err(call_error)?;
        send(body, request.body.as_bytes())?;
        pending.subscribe().block();
        let response = pending.get().ok_or_else(|| broken("no response in time"))?;
        let response = response.map_err(|()| broken("the response was taken already"))?.map_err(call_error)?;
        Ok(Reply { status: response.status(), body: receive(&response)? })
    }

    fn headers(request: &Request) -> Result<Fields, CallError> {
        let content_type: &[(String, Vec<u8>)] = &[("content-type".to_owned(), b"application/json".to_vec())];
        Fields::from_list(if request.body.is_empty() { &[] } else { content_type })
            .map_err(|_| broken("the request's headers were refused"))
    }

    fn method(method: Method) -> wasi::Method {
        match method {
            Method::Get => wasi::Method::Get,
            Method::Put => wasi::Method::Put,
            Method::Delete => wasi::Method::Delete,
            Method::Post => wasi::Method::Post,
        }
    }

    /// A host that does not support a timeout says so; its own limit on the whole attempt still holds.
    fn options(timeout: Duration) -> RequestOptions {
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(Some(nanoseconds));
        let _ = options.set_first_byte_timeout(Some(nanoseconds));
        let _ = options.set_between_bytes_timeout(Some(nanoseconds));
        options
    }

    fn send(body: OutgoingBody, bytes: &[u8]) -> Result<(), CallError> {
        let stream = body.write().map_err(|()| broken("the request's body cannot be written"))?;
        for chunk in bytes.chunks(WRITE_LIMIT) {
            stream.blocking_write_and_flush(chunk).map_err(|_| broken("the request's body could not be sent"))?;
        }
        drop(stream);
        OutgoingBody::finish(body, None).map_err(call_error)
    }

    fn receive(response: &IncomingResponse) -> Result<String, CallError> {
        let body: IncomingBody = response.consume().map_err(|()| broken("the response has no body"))?;
        let stream = body.stream().map_err(|()| broken("the response's body cannot be read"))?;
        let mut received = Vec::new();
        while received.len() < REPLY_LIMIT {
            match stream.blocking_read((REPLY_LIMIT - received.len()) as u64) {
                Ok(chunk) => received.extend(chunk),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(_)) => return Err(broken("the response broke off")),
            }
        }
        Ok(String::from_utf8_lossy(&received).into_owned())
    }

    fn call_error(code: ErrorCode) -> CallError {
        match code {
            ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
                CallError::Denied("the host denied the request".to_owned())
            }
            ErrorCode::ConfigurationError => CallError::Denied("the host has no way to the service".to_owned()),
            ErrorCode::InternalError(Some(why)) => CallError::Broken(why),
            other => broken(name(&other)),
        }
    }

    /// The codes that happen; writing out all forty would be a tenth of the component.
    fn name(code: &ErrorCode) -> &'static str {
        match code {
            ErrorCode::DnsTimeout | ErrorCode::DnsError(_) => "its name could not be resolved",
            ErrorCode::DestinationNotFound | ErrorCode::DestinationUnavailable => "there is no such service, or it is not available",
            ErrorCode::ConnectionRefused => "the connection was refused",
            ErrorCode::ConnectionTerminated => "the connection broke",
            ErrorCode::ConnectionTimeout | ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout => {
                "the connection timed out"
            }
            ErrorCode::ConnectionLimitReached => "there are too many connections",
            ErrorCode::HttpResponseTimeout => "the response came too late",
            ErrorCode::HttpResponseIncomplete => "the response is incomplete",
            ErrorCode::HttpProtocolError => "it does not speak HTTP",
            _ => "the exchange failed",
        }
    }

    fn broken(why: &str) -> CallError {
        CallError::Broken(why.to_owned())
    }
}
