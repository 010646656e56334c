//! What a process is doing, as one stream of server-sent events: first all of it, then each second what has changed.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use futures::stream;
use serde_json::Value;

use crate::http::error::ApiError;
use crate::http::state::Serving;
use crate::services::console::{Actor, Console, difference};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a stream has told, and who it tells.
struct Told {
    console: Console,
    last: Option<Value>,
}

pub(super) async fn live(State(serving): State<Serving>, console: Console, actor: Actor) -> Result<Response, ApiError> {
    let place = serving.app.streams.open(actor.who())?;
    let (stop, left) = (serving.app.stop.clone(), actor.left);
    let events = stream::unfold(Told { console, last: None }, |told| async move {
        let (event, told) = told.next().await;
        Some((Ok::<_, Infallible>(event), told))
    });
    // A token that has run out opens nothing any more, nor does a process that stops.
    let end = async move {
        tokio::select! {
            () = stop.requested() => {}
            () = tokio::time::sleep(left) => {}
        }
        drop(place);
    };
    let mut response = Sse::new(events.take_until(Box::pin(end))).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Told {
    /// The next event, when there is something to tell.
    async fn next(mut self) -> (Event, Self) {
        loop {
            if self.last.is_some() {
                tokio::time::sleep(INTERVAL).await;
            }
            let now = match self.console.live().await {
                Ok(now) => now,
                Err(error) => {
                    tracing::warn!(%error, "the live figures cannot be read; they are tried again");
                    tokio::time::sleep(INTERVAL).await;
                    continue;
                }
            };
            let (name, told) = match &self.last {
                None => ("snapshot", Some(now.clone())),
                Some(last) => ("delta", difference(last, &now)),
            };
            self.last = Some(now);
            if let Some(told) = told {
                return (Event::default().event(name).data(told.to_string()), self);
            }
        }
    }
}
