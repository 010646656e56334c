//! One connection: its requests, one after the other, until it ends or has to make way.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::activity::Activity;
use super::framing::Framing;
use super::guard::{self, Asked};
use super::refusal::Refusals;
use super::room::Room;
use super::stream::{Answer, Limits, WatchedStream};
use super::unread;
use crate::http::current::Current;
use crate::http::error::ApiError;
use crate::http::middleware::early::Early;
use crate::plan;
use crate::shutdown::Stop;

/// For who has no place: to send its head, to take what is answered.
const WITHOUT_PLACE: Duration = Duration::from_secs(1);
/// What hyper reads in the place of a request that it could not read, so that it writes our answer.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: unread\r\n\r\n";

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) server: plan::Server,
    pub(super) answering: Current,
    pub(super) room: Arc<Room>,
    pub(super) refusals: Refusals,
    pub(super) stop: Stop,
}

/// A connection, and whose it is.
pub(super) struct Connection<'a> {
    pub(super) shared: &'a Shared,
    pub(super) peer: SocketAddr,
    pub(super) activity: &'a Arc<Activity>,
    /// How many its address has, if it has too many.
    pub(super) too_many: Option<usize>,
}

impl Connection<'_> {
    /// Answers what comes, until the connection ends.
    pub(super) async fn run(&self, stream: TcpStream) {
        // Answers are small and written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let server = &self.shared.server;
        let limits = Limits { head: server.head.timeout, without_place: WITHOUT_PLACE, write: server.write_timeout };
        let mut stream = WatchedStream::new(stream, Arc::clone(self.activity), Framing::new(server.head.max_headers), limits);
        match self.serve(&mut stream).await {
            // It was asked to make way.
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(peer = %self.peer.ip(), %error, "a connection failed");
                let Some(status) = stream.withheld() else { return };
                self.refuse(&mut stream, status, &error).await;
            }
        }
        stream.close().await;
    }

    /// How the connection ended, or `None` if it made way for another one.
    async fn serve(&self, stream: &mut WatchedStream) -> Option<hyper::Result<()>> {
        let server = &self.shared.server;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(server.idle_timeout)
            .max_headers(server.head.max_headers)
            .max_header_size(server.head.max_bytes)
            .max_buf_size(server.head.max_bytes)
            .serve_connection(TokioIo::new(stream), service_fn(|request| self.answer(request)));
        tokio::pin!(connection);
        tokio::select! {
            ended = &mut connection => return Some(ended),
            () = self.shared.stop.requested() => {}
            idle = self.activity.asked_to_leave() => {
                if idle {
                    return None;
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        Some(connection.await)
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<hyper::Response<Answer>, Infallible> {
        let running = self.activity.begin();
        let (head, body) = request.into_parts();
        let (body, rest) = unread::lend(&head.headers, body);
        let mut request = hyper::Request::from_parts(head, body);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let early = match guard::check(&mut request, running.is_ambiguous()) {
            Err(reason) => Some(Early::Refused(ApiError::bad_request(reason))),
            Ok(Asked::Server) => Some(Early::Server),
            Ok(Asked::Path) => self.out_of_place(request.uri().path()).await.map(Early::Refused),
        };
        if let Some(early) = early {
            request = early.instead_of(request);
        }
        let mut response = self.shared.answering.router().oneshot(request).await.into_response();
        if !rest.finish().await || !self.activity.has_place() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if is_stream(&response) {
            running.streams();
        }
        Ok(response.map(|body| Answer::new(body, running)))
    }

    /// Why a request for `path` cannot be answered on this connection, if it cannot. Probes can on all.
    async fn out_of_place(&self, path: &str) -> Option<ApiError> {
        let Shared { server, room, refusals, .. } = self.shared;
        let is_placed = self.activity.has_place() && !server.probes_only;
        if is_placed || server.probes.iter().any(|probe| probe == path) {
            return None;
        }
        if server.probes_only {
            return Some(ApiError::no_such_path(path));
        }
        if let Some(limit) = self.too_many {
            return Some(refusals.address_has_too_many(limit));
        }
        if room.claim(self.activity).await { None } else { Some(refusals.all_in_use(server.max_connections)) }
    }

    /// Says to who sent what hyper cannot read what is wrong with it.
    async fn refuse(&self, stream: &mut WatchedStream, status: StatusCode, error: &hyper::Error) {
        let head = &self.shared.server.head;
        let detail = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if stream.had_too_many_headers() => {
                format!("the request has more than {} headers", head.max_headers)
            }
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                format!("the request line and the headers are larger than {} bytes", head.max_bytes)
            }
            _ => format!("this is no request of HTTP/1.1: {error}"),
        };
        let service = service_fn(|_: hyper::Request<Incoming>| {
            let mut unread = axum::extract::Request::new(Body::empty());
            *unread.method_mut() = Method::from_bytes(b"UNREAD").unwrap_or_default();
            let refused = Early::Refused(ApiError::new(status, detail.clone())).instead_of(unread);
            self.shared.answering.router().oneshot(refused)
        });
        let io = TokioIo::new(tokio::io::join(STAND_IN, stream.bare()));
        let answered = http1::Builder::new().keep_alive(false).half_close(true).serve_connection(io, service);
        let _ = tokio::time::timeout(self.shared.server.write_timeout, answered).await;
    }
}

/// Whether an answer goes on for as long as there is something to tell, or to export.
fn is_stream(response: &Response) -> bool {
    let media = response.headers().get(header::CONTENT_TYPE).map(|media| media.as_bytes());
    media.is_some_and(|media| media.starts_with(b"text/event-stream") || media.starts_with(b"text/csv"))
}
