//! What services said to a run: recorded as it is read, and said again.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::{Error, WasiBody};

/// Bytes that a header takes beside its name and value, about.
const OF_HEADER: usize = 64;

/// What was asked of a service, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Method and address, by the name of the service.
    pub asked: String,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing, as long as the run lasted.
    Silence,
    /// No answer came.
    Failed(Failure),
    /// An answer.
    Given {
        /// Its status.
        status: StatusCode,
        /// Its headers.
        headers: HeaderMap,
        /// What was read of its body, in one piece: many small ones would take more than what is in them.
        body: Vec<u8>,
    },
}

/// Why no answer came, as a component can tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection was refused.
    Refused,
    /// It could not be made in time.
    Timeout,
    /// It was made, and no answer came in time.
    ReadTimeout,
    /// Nobody knows the name.
    NoAddress,
    /// The component may not ask for it.
    Denied,
    /// What it asked for is no address.
    NoUri,
    /// What came was no HTTP.
    Protocol,
}

impl Failure {
    /// What a component is told of an error; nothing if it is another.
    pub fn of(error: &Error) -> Option<Self> {
        Some(match error {
            Error::Connect(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => Self::NoAddress,
            Error::Connect(error) if error.to_string().starts_with("failed to lookup address information") => Self::NoAddress,
            Error::Connect(_) | Error::ConnectionRefused => Self::Refused,
            Error::ConnectionTimeout => Self::Timeout,
            Error::ConnectionReadTimeout => Self::ReadTimeout,
            Error::HttpRequestDenied => Self::Denied,
            Error::HttpRequestUriInvalid => Self::NoUri,
            Error::Hyper(_) | Error::HttpProtocolError => Self::Protocol,
            _ => return None,
        })
    }

    fn again(self) -> Error {
        match self {
            Self::Refused => Error::ConnectionRefused,
            Self::Timeout => Error::ConnectionTimeout,
            Self::ReadTimeout => Error::ConnectionReadTimeout,
            Self::NoAddress => Error::DnsError { rcode: Some("address not available".to_owned()), info_code: None },
            Self::Denied => Error::HttpRequestDenied,
            Self::NoUri => Error::HttpRequestUriInvalid,
            Self::Protocol => Error::HttpProtocolError,
        }
    }
}

impl Heard {
    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.asked.len() + self.answer.bytes()
    }
}

impl Answer {
    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let Self::Given { headers, body, .. } = self else { return 0 };
        let of_headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + OF_HEADER).sum();
        of_headers + body.len()
    }

    /// The same once more.
    pub async fn again(self) -> Result<Response<WasiBody>, Error> {
        match self {
            Self::Silence => std::future::pending().await,
            Self::Failed(failure) => Err(failure.again()),
            Self::Given { status, headers, body } => {
                let body = Full::new(Bytes::from(body)).map_err(Into::into).boxed_unsync();
                let mut response = Response::new(body);
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                Ok(response)
            }
        }
    }
}
