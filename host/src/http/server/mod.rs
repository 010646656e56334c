//! The listener: an accept loop of our own, because every limit against slow and greedy clients belongs to the connection.
//!
//! Knows connections and bytes; what a request means is the router's affair.

mod guard;
mod stream;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::error::ApiError;
use crate::plan;
use crate::shutdown::{REQUESTS_LIMIT, Stop};
use stream::{Activity, WatchedStream};

/// From the first byte of a request's head to its last; also from the connection to the first request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// More wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1024;
/// Of one public address, see [`Peers::counts`].
const MAX_PER_PEER: usize = 64;
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
pub async fn serve(listener: TcpListener, server: plan::Server, router: Router, stop: Stop) -> anyhow::Result<()> {
    let connection = Arc::new(Connection { server, router, stop: stop.clone() });
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let peers = Peers::default();
    let mut open = JoinSet::new();
    while let Some((stream, peer, slot)) = next(&listener, &slots, &stop).await {
        while open.try_join_next().is_some() {}
        let Some(place) = peers.admit(peer.ip()) else {
            tracing::warn!(peer = %peer.ip(), limit = MAX_PER_PEER, "a peer has too many connections");
            continue;
        };
        let connection = Arc::clone(&connection);
        open.spawn(async move {
            connection.run(stream, peer).await;
            drop((place, slot));
        });
    }
    drop(listener);
    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(REQUESTS_LIMIT, drained).await.is_err() {
        tracing::warn!(connections = open.len(), "cutting off what did not finish in time");
        open.shutdown().await;
    }
    Ok(())
}

/// The next connection, once there is room for it; `None` when stopped.
async fn next(listener: &TcpListener, slots: &Arc<Semaphore>, stop: &Stop) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, slot)),
                Err(error) if is_the_peers_fault(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
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

/// Connections by address.
#[derive(Clone, Default)]
struct Peers {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of a peer, given back when dropped.
struct Place {
    peers: Peers,
    address: IpAddr,
}

impl Peers {
    fn admit(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if *count >= MAX_PER_PEER && Self::counts(address) {
            return None;
        }
        *count += 1;
        Some(Place { peers: self.clone(), address })
    }

    /// Whether the limit holds for an address. Not for those of this machine and of private networks: there sit proxies,
    /// gateways and load tests, each the peer of all its clients at once, so that a limit would shut out everybody.
    fn counts(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_private() || v4.is_link_local()),
            IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
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
            Err(reason) => ApiError::bad_request(reason).with(header::CONNECTION, HeaderValue::from_static("close")).into_response(),
        };
        Ok(response.map(|body| Body::new(stream::Answer::new(body, running))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_peer_has_a_limit_and_gets_its_places_back() {
        let peers = Peers::default();
        let public: IpAddr = "203.0.113.1".parse().unwrap();
        let mut places: Vec<_> = (0..MAX_PER_PEER).map(|_| peers.admit(public).unwrap()).collect();
        assert!(peers.admit(public).is_none());
        assert!(peers.admit("203.0.113.2".parse().unwrap()).is_some());
        places.pop();
        assert!(peers.admit(public).is_some());
        drop(places);
        assert!(peers.open.lock().is_empty());
    }

    #[test]
    fn proxies_and_load_tests_nearby_have_none() {
        for address in ["127.0.0.1", "::1", "10.0.0.1", "172.18.0.5", "192.168.1.2", "fd00::1", "::ffff:127.0.0.1"] {
            assert!(!Peers::counts(address.parse::<IpAddr>().unwrap().to_canonical()), "{address}");
        }
        assert!(Peers::counts("8.8.8.8".parse().unwrap()));
    }
}
