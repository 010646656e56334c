//! The listener: an accept loop of our own, because every limit against slow and greedy clients belongs to the connection.
//!
//! Knows connections and bytes; what a request means is the router's affair.

mod activity;
mod connection;
mod framing;
mod guard;
mod peers;
mod refusal;
mod room;
mod stream;
mod unread;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};

use crate::http::current::Current;
use crate::plan;
use crate::shutdown::{REQUESTS_LIMIT, Stop};
use crate::tasks::Group;
use crate::telemetry::Metrics;
use connection::{Connection, Shared};
use peers::Peers;
use refusal::Refusals;
use room::Room;

/// After an accept that failed for want of something, usually file descriptors.
const BREATHE: Duration = Duration::from_millis(100);

/// Listens on `address` for the module of that name.
///
/// # Errors
/// The address is taken, not of this machine, or not allowed; the error names it and the module.
pub async fn bind(module: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("module '{module}' cannot listen on {address}"))
}

/// Serves what is current of `answering` at each request until `stop`, then lets requests under way finish, for [`REQUESTS_LIMIT`] at most.
///
/// # Errors
/// None while it serves; a connection's failure is its own.
pub async fn serve(
    listener: TcpListener,
    server: plan::Server,
    answering: impl Into<Current>,
    metrics: Metrics,
    stop: Stop,
) -> anyhow::Result<()> {
    let (peers, room) = (Peers::new(&server.connections), Arc::new(Room::new(server.max_connections)));
    let shared = Arc::new(Shared { server, answering: answering.into(), room, refusals: Refusals::new(metrics), stop });
    let mut open = Group::default();
    while let Some((stream, peer)) = unless(&shared.stop, next(&listener)).await {
        let (guest, share) = match peers.admit(peer.ip()) {
            Some(share) => match unless(&shared.stop, shared.room.enter()).await {
                Some(guest) => (guest, Some(share)),
                None => break,
            },
            // Takes none of the places that others wait for.
            None => match shared.refusals.note(peer.ip(), peers.most()) {
                Some(permit) => (shared.room.enter_aside(permit), None),
                None => continue,
            },
        };
        let too_many = share.is_none().then(|| peers.most());
        let shared = Arc::clone(&shared);
        open.add(async move {
            Connection { shared: &shared, peer, activity: guest.activity(), too_many }.run(stream).await;
            drop((share, guest));
        });
    }
    drop(listener);
    let connections = open.end(REQUESTS_LIMIT).await;
    if connections > 0 {
        tracing::warn!(connections, "what did not finish in time was cut off");
    }
    Ok(())
}

/// What comes of `future`; `None` when stopped.
async fn unless<T>(stop: &Stop, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.requested() => None,
        value = future => Some(value),
    }
}

/// The next connection.
async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_the_peers_fault(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "cannot accept a connection; it is tried again until it works");
                }
                tokio::time::sleep(BREATHE).await;
            }
        }
    }
}

fn is_the_peers_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as E;
    matches!(error.kind(), E::ConnectionAborted | E::ConnectionRefused | E::ConnectionReset)
}
