//! Who is behind a proxy: what each has under way, what came of its requests, and who is left out for a while because it takes none.
//!
//! Only where a prefix has several targets is there a choice, and only those are looked at. One that refuses connections, or says of itself that it
//! is not ready, gets requests again when it says otherwise; if nobody is left, all of them are asked.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, StatusCode, Uri, header};
use axum::response::Response;
use futures::future::join_all;
use hyper::body::{Frame, SizeHint};
use hyper_util::client::legacy::Client;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::link::Connector;
use crate::plan;
use crate::shutdown::Stop;
use crate::telemetry::metrics::TargetFigures;

/// Where a target of several says whether it takes requests. One that has no such path takes them.
const PATH: &str = "/readyz";
/// Between two looks at one that takes requests.
const INTERVAL: Duration = Duration::from_secs(1);
/// First and longest pause between two looks at one that is left out.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long it may take to say so.
const LIMIT: Duration = Duration::from_secs(2);

/// What came of asking a target for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has answered, whatever.
    Answered,
    /// There was no connection to it: nothing was sent.
    Unsent,
    /// The connection ended before the answer began.
    BrokenOff,
    /// It did not begin to answer in time.
    Late,
}

/// Those behind one proxy.
pub struct Backends {
    proxy: String,
    by_url: BTreeMap<String, Known>,
    client: Client<Connector, Body>,
}

/// One of them, as a config has it.
struct Known {
    backend: Arc<Backend>,
    /// Whether there are others in its place.
    is_one_of_several: bool,
}

/// One target.
pub(super) struct Backend {
    /// `host:port`, as the config writes it.
    pub(super) authority: String,
    under_way: AtomicUsize,
    /// By [`Outcome`].
    outcomes: [AtomicU64; 4],
    /// Why it is left out.
    left_out: Mutex<Option<Arc<str>>>,
    /// Told when a request has found that it takes none.
    doubted: Notify,
    /// Which database it keeps, as it has said last.
    database: Mutex<Option<String>>,
}

impl Backends {
    /// Of the targets of `settings`, all of which are taken to be there. What `before` knows of those that it has too is known here as well.
    #[must_use]
    pub fn new(settings: &plan::Proxy, before: Option<&Self>) -> Self {
        let mut by_url: BTreeMap<String, Known> = BTreeMap::new();
        for urls in settings.targets.values() {
            for url in urls {
                let known = by_url.entry(url.clone()).or_insert_with(|| {
                    let before = before.and_then(|before| before.by_url.get(url)).map(|known| Arc::clone(&known.backend));
                    Known { backend: before.unwrap_or_else(|| Arc::new(Backend::of(url))), is_one_of_several: false }
                });
                known.is_one_of_several |= urls.len() > 1;
            }
        }
        Self { proxy: settings.name.clone(), by_url, client: super::client(settings.connect_timeout.min(LIMIT), 0) }
    }

    /// The one at a URL of the settings that these were made of.
    pub(super) fn at(&self, url: &str) -> Arc<Backend> {
        self.by_url.get(url).map_or_else(|| Arc::new(Backend::of(url)), |known| Arc::clone(&known.backend))
    }

    /// Looks at those among which there is a choice, until `stop`.
    ///
    /// # Errors
    /// None: one that does not answer is left out.
    pub async fn watch(self: Arc<Self>, stop: Stop) -> anyhow::Result<()> {
        let (several, single): (Vec<&Known>, Vec<&Known>) = self.by_url.values().partition(|known| known.is_one_of_several);
        // In whose place there were others before.
        single.iter().for_each(|known| known.backend.take_back(&self.proxy));
        join_all(several.iter().map(|known| self.keep_looking(&known.backend, &stop))).await;
        stop.requested().await;
        Ok(())
    }

    async fn keep_looking(&self, backend: &Backend, stop: &Stop) {
        let mut pause = BACKOFF.0;
        while !stop.is_requested() {
            let looked = tokio::select! {
                looked = self.look(backend) => looked,
                // What comes of it is the affair of whoever watches next.
                () = stop.requested() => return,
            };
            let wait = match looked {
                Ok(()) => {
                    backend.take_back(&self.proxy);
                    pause = BACKOFF.0;
                    INTERVAL
                }
                Err(reason) => {
                    backend.leave_out(&self.proxy, &reason);
                    let wait = pause;
                    pause = (pause * 2).min(BACKOFF.1);
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = backend.doubted.notified() => {}
                () = stop.requested() => {}
            }
        }
    }

    /// Whether one takes requests.
    async fn look(&self, backend: &Backend) -> Result<(), String> {
        let request = Request::get(format!("http://{}{PATH}", backend.authority)).header(header::CONNECTION, "close").body(Body::empty());
        let request = request.map_err(|_| "has no address".to_owned())?;
        match tokio::time::timeout(LIMIT, self.client.request(request)).await {
            Ok(Ok(answer)) if answer.status() >= StatusCode::INTERNAL_SERVER_ERROR => {
                Err(format!("answers {} to {PATH}", answer.status().as_u16()))
            }
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_connect() => Err("accepts no connection".to_owned()),
            Ok(Err(_)) => Err("closes the connection without an answer".to_owned()),
            Err(_) => Err(format!("has not answered within {} ms", LIMIT.as_millis())),
        }
    }

    /// A request has found no connection to this one.
    pub(super) fn doubt(&self, backend: &Backend) {
        let mut known = self.by_url.values().filter(|known| std::ptr::eq(Arc::as_ptr(&known.backend), backend));
        let is_one_of_several = known.any(|known| known.is_one_of_several);
        if is_one_of_several && backend.leave_out(&self.proxy, "accepts no connection") {
            backend.doubted.notify_one();
        }
    }

    /// Name of the proxy.
    #[must_use]
    pub fn proxy(&self) -> &str {
        &self.proxy
    }

    /// How each target gets on, by its `host:port` and what follows that in its URL.
    #[must_use]
    pub fn figures(&self) -> Vec<(&str, TargetFigures)> {
        self.by_url.iter().map(|(url, known)| (url.trim_start_matches("http://"), known.backend.figures())).collect()
    }
}

impl Backend {
    /// At this URL.
    fn of(url: &str) -> Self {
        let authority = url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
        Self {
            authority: authority.unwrap_or_else(|| url.to_owned()),
            under_way: AtomicUsize::new(0),
            outcomes: std::array::from_fn(|_| AtomicU64::new(0)),
            left_out: Mutex::default(),
            doubted: Notify::new(),
            database: Mutex::default(),
        }
    }

    /// Requests whose answers have not ended.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Why it gets no requests while others do, in words that go on after its name.
    pub(super) fn left_out(&self) -> Option<Arc<str>> {
        self.left_out.lock().clone()
    }

    /// It has said which database it keeps.
    pub(super) fn keeps(&self, database: &str) {
        *self.database.lock() = Some(database.to_owned());
    }

    /// Whether the other one knows what this one does, as far as both have said.
    pub(super) fn shares(&self, other: &Self) -> bool {
        // One after the other: both may be the same.
        let one = self.database.lock().clone();
        let another = other.database.lock().clone();
        one.is_none() || another.is_none() || one == another
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A request goes to it.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Answers whether it was not left out before.
    fn leave_out(&self, proxy: &str, reason: &str) -> bool {
        let before = self.left_out.lock().replace(reason.into());
        if before.is_none() {
            tracing::warn!(proxy, target = self.authority, reason, "a target is left out: requests go to the others");
        }
        before.is_none()
    }

    fn take_back(&self, proxy: &str) {
        if self.left_out.lock().take().is_some() {
            tracing::info!(proxy, target = self.authority, "a target takes requests again");
        }
    }

    fn figures(&self) -> TargetFigures {
        let counted = |outcome: Outcome| self.outcomes[outcome as usize].load(Ordering::Relaxed);
        TargetFigures {
            up: self.left_out.lock().is_none(),
            under_way: self.under_way() as u64,
            answered: counted(Outcome::Answered),
            unsent: counted(Outcome::Unsent),
            broken_off: counted(Outcome::BrokenOff),
            late: counted(Outcome::Late),
        }
    }
}

/// A request that a target has, until this is dropped.
pub(super) struct UnderWay(Arc<Backend>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UnderWay {
    /// The same answer, with whose end the request ends: an event stream is something to do for as long as somebody listens.
    pub(super) fn until_the_end_of(self, response: Response) -> Response {
        response.map(|body| if body.is_end_stream() { body } else { Body::new(Ending { body, _under_way: self }) })
    }
}

/// The body of an answer.
struct Ending {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
