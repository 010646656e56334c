//! The listener: an accept loop of our own, because every limit against slow and greedy clients belongs to the connection.
//!
//! Knows connections and bytes; what a request means is the router's affair.

mod guard;
mod peers;
mod refusal;
mod stream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use super::error::ApiError;
use crate::plan;
use crate::shutdown::{REQUESTS_LIMIT, Stop};
use crate::tasks::Group;
use crate::telemetry::Metrics;
use peers::Peers;
use refusal::Refusals;
use stream::{Activity, WatchedStream};

/// From the first byte of a request's head to its last; also from the connection to the first request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const MAX_HEADERS: usize = 64;
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;
/// More wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1024;
/// After an accept that failed for want of something, usually file descriptors.
const BREATHE: Duration = Duration::from_millis(100);

/// Listens on `address`.
///
/// # Errors
/// The address is taken, not of this machine, or not allowed; the error names it.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Serves `router` until `stop`, then lets requests under way finish, for [`REQUESTS_LIMIT`] at most.
///
/// # Errors
/// None while it serves; a connection's failure is its own.
pub async fn serve(listener: TcpListener, server: plan::Server, router: Router, metrics: Metrics, stop: Stop) -> anyhow::Result<()> {
    let (peers, refusals) = (Peers::new(&server.connections), Refusals::new(metrics));
    let connection = Arc::new(Connection { server, router, stop: stop.clone() });
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut open = Group::default();
    while let Some((stream, peer, slot)) = next(&listener, &slots, &stop).await {
        let Some(place) = peers.admit(peer.ip()) else {
            // Takes none of the places that others wait for.
            drop(slot);
            if let Some(room) = refusals.note(peer.ip(), peers.most()) {
                let limit = peers.most();
                open.add(async move {
                    refusal::answer(stream, limit).await;
                    drop(room);
                });
            }
            continue;
        };
        let connection = Arc::clone(&connection);
        open.add(async move {
            connection.run(stream, peer).await;
            drop((place, slot));
        });
    }
    drop(listener);
    let connections = open.end(REQUESTS_LIMIT).await;
    if connections > 0 {
        tracing::warn!(connections, "what did not finish in time was cut off");
    }
    Ok(())
}

/// The next connection, once there is room for it; `None` when stopped.
async fn next(listener: &TcpListener, slots: &Arc<Semaphore>, stop: &Stop) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        let mut told = false;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, slot)),
                Err(error) if is_the_peers_fault(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "cannot accept a connection; it is tried again until it works");
                    }
                    tokio::time::sleep(BREATHE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.requested() => None,
        accepted = accepted => accepted,
    }
}

fn is_the_peers_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as E;
    matches!(error.kind(), E::ConnectionAborted | E::ConnectionRefused | E::ConnectionReset)
}

/// What all connections share.
struct Connection {
    server: plan::Server,
    router: Router,
    stop: Stop,
}

impl Connection {
    async fn run(&self, stream: TcpStream, peer: SocketAddr) {
        // Answers are small and written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::default());
        let watched = WatchedStream::new(stream, Arc::clone(&activity), HEADER_TIMEOUT, self.server.write_timeout);
        let service = service_fn(|request| self.answer(request, peer, &activity));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.server.idle_timeout)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(watched), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.stop.requested() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %peer.ip(), %error, "a connection ended badly");
        }
    }

    async fn answer(&self, request: hyper::Request<Incoming>, peer: SocketAddr, activity: &Arc<Activity>) -> Result<Response, Infallible> {
        let running = activity.begin();
        let response = match guard::check(&request, activity) {
            Ok(()) => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                self.router.clone().oneshot(request).await.into_response()
            }
            Err(reason) => refusal::response(ApiError::bad_request(reason), request.headers()),
        };
        Ok(response.map(|body| Body::new(stream::Answer::new(body, running))))
    }
}
