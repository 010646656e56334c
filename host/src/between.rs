//! HTTP between processes: of one shop, and to the services that components are granted.
//!
//! They talk directly, whatever proxy the environment names, and ask anew while nobody answers. The answer of a name server is a datagram:
//! when it is lost, the system waits five seconds before it asks again, longer than a customer waits. So a name is looked up and a connection
//! is begun anew after [`ANEW`], beside those that are under way, and the first one counts. A request is sent once; what may be sent again is
//! said where that is decided.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _, Shared};
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tower::Service;

use crate::tasks::Tasks;

/// After so long without a connection another one is begun.
const ANEW: Duration = Duration::from_millis(500);
/// For a look-up of a name whose addresses are known from before.
const LOOK_UP_WAIT: Duration = Duration::from_millis(250);
/// Look-ups of one name at once: each holds a thread.
const LOOK_UPS: usize = 2;
/// Between two questions to a process that is not there: it may be in the middle of a restart.
const PAUSE: Duration = Duration::from_millis(100);
/// Well below the time after which a process closes a connection without a request, so that it is rarely written to then.
pub const POOL_IDLE: Duration = Duration::from_secs(20);
/// Idle connections kept by a [`Client`] for each process.
const POOL_SIZE: usize = 64;
/// Bytes of an answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Connects to processes by `http` URLs. Clones share the look-ups of names.
#[derive(Clone)]
pub struct Connector {
    tcp: HttpConnector<Names>,
    names: Names,
    limit: Duration,
}

impl Connector {
    /// A connection may take as long as `limit`, the look-up of the name included.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self::with_names(Names::of_the_system(), limit)
    }

    fn with_names(names: Names, limit: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(names.clone());
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limit));
        Self { tcp, names, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (tcp, names, limit) = (self.tcp.clone(), self.names.clone(), self.limit);
        Box::pin(async move {
            let host = to.host().unwrap_or_default().to_owned();
            let unresolved = |error: io::Error| match error.kind() {
                io::ErrorKind::TimedOut if names.waits_for(&host) => io::Error::new(
                    error.kind(),
                    format!(
                        "the name '{host}' is not resolved within {} ms: look at the name servers of /etc/resolv.conf",
                        limit.as_millis()
                    ),
                ),
                _ => error,
            };
            first(limit, move || tcp.clone().call(to.clone())).await.map_err(unresolved)
        })
    }
}

/// What the first of some attempts came to; one begins every [`ANEW`] until `limit`, while none has succeeded. One that is refused is the
/// last: somebody has answered.
async fn first<T, E, F>(limit: Duration, mut attempt: impl FnMut() -> F) -> io::Result<T>
where
    E: Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let begin = Instant::now();
    let (mut attempts, mut failed) = (FuturesUnordered::new(), None);
    for number in 1.. {
        attempts.push(attempt());
        let pause = sleep_until(begin + limit.min(ANEW * number));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                Some(ended) = attempts.next() => match ended.map_err(|error| cause(&error)) {
                    Ok(connection) => return Ok(connection),
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(error),
                    Err(error) => failed = Some(error),
                },
                () = &mut pause => break,
            }
        }
        if begin.elapsed() >= limit {
            break;
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} ms", limit.as_millis()))))
}

/// What the system said, or else what is at the bottom of an error.
fn cause(error: &(dyn Error + 'static)) -> io::Error {
    let mut deepest = error;
    loop {
        if let Some(io) = deepest.downcast_ref::<io::Error>() {
            return io.raw_os_error().map_or_else(|| io::Error::new(io.kind(), io.to_string()), io::Error::from_raw_os_error);
        }
        let Some(deeper) = deepest.source() else { return io::Error::other(deepest.to_string()) };
        deepest = deeper;
    }
}

type Found = Result<Vec<SocketAddr>, NotFound>;
type LookUp = Shared<BoxFuture<'static, Found>>;

/// Names and their addresses, as the system finds them. Whoever asks within [`ANEW`] shares one look-up: each holds a thread until the system
/// gives up, and however many ask, there are two of a name at once. Clones share them.
///
/// Where the first name server is dead, the system asks the second one after five seconds, at each look-up: longer than anybody waits. So a
/// look-up goes on whoever has given up, and what it finds is kept, for when the next one takes as long.
#[derive(Clone)]
struct Names {
    look_up: Arc<dyn Fn(String) -> BoxFuture<'static, Found> + Send + Sync>,
    known: Arc<Mutex<HashMap<String, Known>>>,
    tasks: Tasks,
}

/// What is known of a name. There are as many as a config has.
#[derive(Default)]
struct Known {
    latest: Option<(Instant, LookUp)>,
    /// Those that have not ended.
    under_way: Vec<LookUp>,
    /// What the last look-up that succeeded has found, however long ago.
    addresses: Option<Vec<SocketAddr>>,
}

/// Why a name has no address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct NotFound(Arc<str>);

impl Names {
    fn of_the_system() -> Self {
        static ALL: LazyLock<Names> = LazyLock::new(|| {
            Names::found_by(|name: String| {
                let found = async move { tokio::net::lookup_host((name.as_str(), 0)).await.map(Iterator::collect) };
                found.map(|found: io::Result<_>| found.map_err(|error| NotFound(error.to_string().into()))).boxed()
            })
        });
        ALL.clone()
    }

    fn found_by(look_up: impl Fn(String) -> BoxFuture<'static, Found> + Send + Sync + 'static) -> Self {
        Self { look_up: Arc::new(look_up), known: Arc::default(), tasks: Tasks::new() }
    }

    /// The look-up that counts for a question now, and what was found before.
    fn looking(&self, name: &str) -> (LookUp, Option<Vec<SocketAddr>>) {
        let mut known = self.known.lock();
        let one = known.entry(name.to_owned()).or_default();
        one.under_way.retain(|looking| looking.peek().is_none());
        let shared = one
            .latest
            .as_ref()
            .filter(|(begun, looking)| begun.elapsed() < ANEW || (one.under_way.len() >= LOOK_UPS && looking.peek().is_none()));
        let addresses = one.addresses.clone();
        if let Some((_, looking)) = shared {
            return (looking.clone(), addresses);
        }
        let (kept, key) = (Arc::clone(&self.known), name.to_owned());
        let keep = move |found: Found| {
            if let Ok(found) = &found {
                kept.lock().entry(key).or_default().addresses = Some(found.clone());
            }
            found
        };
        let looking = (self.look_up)(name.to_owned()).map(keep).boxed().shared();
        one.latest = Some((Instant::now(), looking.clone()));
        one.under_way.push(looking.clone());
        drop(known);
        // It goes on when nobody waits for it any more.
        drop(self.tasks.spawn(looking.clone()));
        (looking, addresses)
    }

    /// Whether no look-up of this name has ever ended, and one is under way.
    fn waits_for(&self, name: &str) -> bool {
        let known = self.known.lock();
        known
            .get(name)
            .is_some_and(|one| one.addresses.is_none() && one.latest.as_ref().is_some_and(|(_, looking)| looking.peek().is_none()))
    }
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NotFound;
    type Future = BoxFuture<'static, Result<Self::Response, NotFound>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotFound>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (looking, before) = self.looking(name.as_str());
        Box::pin(async move {
            let found = match before {
                Some(before) => timeout(LOOK_UP_WAIT, looking).await.unwrap_or(Ok(before)),
                None => looking.await,
            };
            found.map(Vec::into_iter)
        })
    }
}

/// What to do about a process that is not there: it refuses connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Tell at once.
    Told,
    /// Ask again as long as there is time: it may be back in a moment.
    AskedAgain,
}

/// Asks another process, and reads whole answers. It follows no redirect.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Full<Bytes>>,
    limit: Duration,
}

impl Client {
    /// One whose answers may take as long as `limit`, everything included.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self::with_names(Names::of_the_system(), limit)
    }

    fn with_names(names: Names, limit: Duration) -> Self {
        // A little is left to say why there is no connection.
        let connector = Connector::with_names(names, limit - limit / 10);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .build(connector);
        Self { http, limit }
    }

    /// The answer to `request`, of any status. A `GET` or `HEAD` whose connection ends without an answer is sent once more.
    ///
    /// # Errors
    /// Nobody has answered in time, or not as HTTP, or with more than a megabyte.
    pub async fn ask(&self, request: Request<Full<Bytes>>, absent: Absent) -> anyhow::Result<Response<Bytes>> {
        let end = Instant::now() + self.limit;
        timeout_at(end, self.ask_until(end, request, absent))
            .await
            .unwrap_or_else(|_| anyhow::bail!("no answer within {} ms", self.limit.as_millis()))
    }

    async fn ask_until(&self, end: Instant, request: Request<Full<Bytes>>, absent: Absent) -> anyhow::Result<Response<Bytes>> {
        let mut once_more = is_harmless(request.method());
        loop {
            let error = match self.http.request(request.clone()).await {
                Ok(response) => return whole(response).await,
                Err(error) => error,
            };
            if error.is_connect() && absent == Absent::AskedAgain && end - Instant::now() > PAUSE * 2 {
                sleep(PAUSE).await;
            } else if !error.is_connect() && once_more {
                once_more = false;
            } else {
                return Err(error.into());
            }
        }
    }
}

async fn whole(response: Response<hyper::body::Incoming>) -> anyhow::Result<Response<Bytes>> {
    let (parts, body) = response.into_parts();
    let body =
        Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| anyhow::anyhow!(error)).context("the answer broke off")?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// A client for addresses that an operator names. A machine without certificates of authorities, as a small image is, can still ask over plain
/// HTTP: whoever is asked over TLS is not believed there.
///
/// # Errors
/// TLS cannot be set up at all.
pub fn client(builder: impl Fn() -> reqwest::ClientBuilder) -> reqwest::Result<reqwest::Client> {
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

/// Whether a request does nothing, so that it may be sent again when nobody knows what became of it.
#[must_use]
pub fn is_harmless(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Names of which the first `lost` look-ups get no answer and the next `failed` a bad one; all others find this machine. Counts them.
    fn names(lost: usize, failed: usize) -> (Names, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let look_up = move |_: String| {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let found = async move {
                match number {
                    _ if number < lost => std::future::pending().await,
                    _ if number < lost + failed => Err(NotFound("Temporary failure in name resolution".into())),
                    _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]),
                }
            };
            found.boxed()
        };
        (Names::found_by(look_up), asked)
    }

    /// Reads a request on each connection and answers with `answers`, one for each; nothing is a connection that ends.
    async fn serve(listener: TcpListener, answers: &[&str]) {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ngood";

    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    fn request(method: &str, port: u16) -> Request<Full<Bytes>> {
        Request::builder().method(method).uri(format!("http://elsewhere.example:{port}/")).body(Full::default()).unwrap()
    }

    #[tokio::test]
    async fn a_name_whose_answer_is_lost_is_asked_for_again_and_the_question_answered() {
        for (lost, failed) in [(1, 0), (0, 1), (1, 1)] {
            let (listener, port) = listener().await;
            let (names, asked) = names(lost, failed);
            let client = Client::with_names(names, LIMIT);
            let begin = Instant::now();
            let (answer, ()) = tokio::join!(client.ask(request("POST", port), Absent::Told), serve(listener, &[GOOD]));
            assert_eq!(answer.unwrap().body(), "good");
            assert_eq!(asked.load(Ordering::SeqCst), lost + failed + 1, "a question each half second");
            assert!(begin.elapsed() < LIMIT / 4, "{:?}", begin.elapsed());
        }
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_told_with_its_reason_when_time_is_up() {
        let client = Client::with_names(names(0, usize::MAX).0, Duration::from_millis(700));
        let told = format!("{:#}", client.ask(request("GET", 1), Absent::Told).await.unwrap_err());
        assert!(told.contains("Temporary failure in name resolution"), "{told}");
        let client = Client::with_names(names(usize::MAX, 0).0, Duration::from_millis(700));
        let told = format!("{:#}", client.ask(request("GET", 1), Absent::Told).await.unwrap_err());
        assert!(told.contains("'elsewhere.example' is not resolved within 630 ms"), "{told}");
    }

    #[tokio::test]
    async fn an_address_that_is_found_late_serves_those_who_ask_later_though_no_name_server_answers_in_time() {
        let (listener, port) = listener().await;
        let asked = AtomicUsize::new(0);
        let names = Names::found_by(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => sleep(ANEW * 3).map(|()| Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])).boxed(),
            _ => std::future::pending().boxed(),
        });
        let client = Client::with_names(names, ANEW);
        let told = format!("{:#}", client.ask(request("GET", port), Absent::Told).await.unwrap_err());
        assert!(told.contains("is not resolved"), "{told}");
        let asking = async {
            let end = Instant::now() + LIMIT;
            loop {
                match client.ask(request("GET", port), Absent::Told).await {
                    Ok(answer) => return answer,
                    Err(error) => assert!(Instant::now() < end, "{error:#}"),
                }
            }
        };
        let (answer, ()) = tokio::join!(asking, serve(listener, &[GOOD]));
        assert_eq!(answer.body(), "good");
    }

    #[tokio::test]
    async fn however_many_ask_there_are_few_look_ups() {
        let (names, asked) = names(usize::MAX, 0);
        let client = Client::with_names(names, Duration::from_millis(200));
        let all = (0..100).map(|_| client.ask(request("GET", 1), Absent::Told));
        assert!(futures::future::join_all(all).await.iter().all(Result::is_err));
        assert!(asked.load(Ordering::SeqCst) <= 2, "{asked:?}");
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_told_at_once_or_asked_until_it_is_back() {
        let (gone, port) = listener().await;
        let address = gone.local_addr().unwrap();
        drop(gone);
        let client = Client::with_names(names(0, 0).0, LIMIT);
        let begin = Instant::now();
        let told = format!("{:#}", client.ask(request("POST", port), Absent::Told).await.unwrap_err());
        assert!(told.contains("Connection refused") && begin.elapsed() < ANEW, "{told}");

        let back = async {
            sleep(PAUSE * 3).await;
            serve(TcpListener::bind(address).await.unwrap(), &[GOOD]).await;
        };
        let (answer, ()) = tokio::join!(client.ask(request("POST", port), Absent::AskedAgain), back);
        assert_eq!(answer.unwrap().body(), "good");
    }

    #[tokio::test]
    async fn only_what_does_nothing_is_sent_again_and_only_once() {
        for (method, answers, is_answered) in
            [("GET", &["", GOOD][..], true), ("GET", &["", ""][..], false), ("POST", &[""][..], false), ("HEAD", &["", GOOD][..], true)]
        {
            let (listener, port) = listener().await;
            let client = Client::with_names(names(0, 0).0, LIMIT);
            let (answer, ()) = tokio::join!(client.ask(request(method, port), Absent::Told), serve(listener, answers));
            assert_eq!(answer.is_ok(), is_answered, "{method} {answers:?}: {answer:?}");
        }
    }
}
