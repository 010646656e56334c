//! Whether somebody answers where a proxy passes requests on to, and whether it is the right one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use futures::future::join_all;
use hyper_util::client::legacy::Client;
use parking_lot::Mutex;

use super::Backends;
use super::link::Connector;
use crate::http::{Check, Status, serves};
use crate::plan;
use crate::shutdown::Stop;

/// What is asked. Any answer below 500 will do: a backend that has no such path is there all the same. An accepted connection would
/// not: the system accepts it for a process that hangs or was stopped.
const PATH: &str = "/livez";

/// Between two questions of [`Probe::watch`]: while all is as it should be, and while it is not.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(2));

/// Asks the backends of one proxy.
pub struct Probe {
    client: Client<Connector, Body>,
    proxy: String,
    /// Those that requests of one prefix are spread over, by what is asked of them.
    lists: BTreeSet<Vec<String>>,
    /// By what is asked of it.
    backends: BTreeMap<String, Backend>,
    limit: Duration,
}

/// What is at the bottom of an error, unless that somebody refuses, which needs no words.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(deeper) = deepest.source() {
        deepest = deeper;
    }
    let refused = deepest.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if refused { String::new() } else { format!(": {deepest}") }
}

#[derive(Default)]
struct Backend {
    /// What clients know it by.
    names: BTreeSet<String>,
    /// What requests that are passed on to it begin with.
    prefixes: BTreeSet<String>,
    /// Which databases have answered last, the newest at the end.
    databases: Mutex<VecDeque<String>>,
    /// What the proxy knows of it; nothing before that is known.
    known: Option<Arc<super::backends::Backend>>,
}

/// Answers that are looked back at.
const REMEMBERED: usize = 8;

impl Backend {
    /// Which database has answered last.
    fn database(&self) -> Option<String> {
        self.databases.lock().back().cloned()
    }

    /// Notes which database has answered, and tells two that do so in turns. One that follows another for good was put in its place.
    fn in_turns(&self, database: &str) -> Option<(String, String)> {
        let mut heard = self.databases.lock();
        if heard.len() == REMEMBERED {
            heard.pop_front();
        }
        heard.push_back(database.to_owned());
        let mut changes = heard.iter().zip(heard.iter().skip(1)).filter(|(before, after)| before != after);
        let (one, other) = changes.next()?;
        changes.next().map(|_| (one.clone(), other.clone()))
    }
}

/// What is wrong with a backend.
enum Problem {
    /// It does not answer as it should.
    Away(String),
    /// It answers, and serves something else.
    Another(String),
}

impl Probe {
    /// Of the backends of `settings`, of which the proxy knows what is in `known`; each has `limit` for its answer.
    #[must_use]
    pub fn new(settings: &plan::Proxy, known: &Backends, limit: Duration) -> Self {
        let mut backends: BTreeMap<String, Backend> = BTreeMap::new();
        let mut lists = BTreeSet::new();
        for (prefix, urls) in &settings.targets {
            let mut list = Vec::new();
            for url in urls {
                let Some(parts) = url.parse::<Uri>().ok().map(Uri::into_parts) else { continue };
                let Some(authority) = parts.authority else { continue };
                let base = parts.path_and_query.map_or_else(String::new, |path| path.path().trim_end_matches('/').to_owned());
                let asked = format!("http://{authority}{PATH}");
                let backend = backends.entry(asked.clone()).or_default();
                // Of several, only the address says which one is meant.
                backend.names.insert(if urls.len() > 1 { authority.to_string() } else { settings.backend_name(prefix) });
                backend.prefixes.insert(format!("{base}{prefix}"));
                backend.known = Some(known.at(url));
                list.push(asked);
            }
            if list.len() > 1 {
                lists.insert(list);
            }
        }
        Self { client: super::client(settings.connect_timeout.min(limit), 1), proxy: settings.name.clone(), lists, backends, limit }
    }

    /// Asks all at once. A backend that is away or hangs, or that is another one, leaves the proxy of use for the others.
    pub async fn ask(&self) -> Check {
        let problems: Vec<String> = self
            .look()
            .await
            .into_iter()
            .map(|problem| match problem {
                Problem::Away(text) | Problem::Another(text) => text,
            })
            .collect();
        if problems.is_empty() {
            return Check::new(Status::Up, format!("{} backends answer", self.backends.len()));
        }
        Check::new(Status::Degraded, problems.join("; "))
    }

    /// Says in the log when a backend turns out to be another one than requests are meant for, until `stop`.
    ///
    /// # Errors
    /// None: who does not answer is asked again.
    pub async fn watch(self: Arc<Self>, stop: Stop) -> anyhow::Result<()> {
        let mut told = BTreeSet::new();
        while !stop.is_requested() {
            let problems = self.look().await;
            let pause = if problems.is_empty() { INTERVAL.0 } else { INTERVAL.1 };
            let others: BTreeSet<String> =
                problems.into_iter().filter_map(|problem| if let Problem::Another(text) = problem { Some(text) } else { None }).collect();
            for other in others.difference(&told) {
                tracing::error!(proxy = self.proxy, "requests are passed on to somebody who does not serve them: {other}");
            }
            if others.is_empty() && !told.is_empty() {
                tracing::info!(proxy = self.proxy, "the targets serve what is passed on to them");
            }
            told = others;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }

    async fn look(&self) -> Vec<Problem> {
        let found = join_all(self.backends.iter().map(|(url, backend)| self.problem(url, backend))).await;
        found.into_iter().flatten().chain(self.lists.iter().filter_map(|list| self.disagreement(list))).collect()
    }

    /// Whether those that requests are spread over keep a database each.
    fn disagreement(&self, list: &[String]) -> Option<Problem> {
        let kept: Vec<(&str, String)> =
            list.iter().filter_map(|asked| Some((asked.as_str(), self.backends.get(asked)?.database()?))).collect();
        let (first, database) = kept.first()?;
        let (other, another) = kept.iter().find(|(_, one)| one != database)?;
        let name = |asked: &str| asked.trim_start_matches("http://").trim_end_matches(PATH).to_owned();
        Some(Problem::Another(format!(
            "requests are spread over {} and {}, which keep a database each ({database} and {another}): what one of them keeps the other one does \
             not know. Give them one database of PostgreSQL, or name one of them",
            name(first),
            name(other)
        )))
    }

    async fn problem(&self, url: &str, backend: &Backend) -> Option<Problem> {
        let names = backend.names.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
        let away = |problem: String| Some(Problem::Away(format!("{names} {problem}")));
        // Over a connection of its own each time: where several processes have one name, another one may answer.
        let request = Request::get(url).header(header::CONNECTION, "close").body(Body::empty());
        let Ok(request) = request else { return away("has no address".to_owned()) };
        let answer = match tokio::time::timeout(self.limit, self.client.request(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_connect() => return away(format!("accepts no connection{}", reason(&error))),
            Ok(Err(_)) => return away("closes the connection without an answer".to_owned()),
            Err(_) => return away(format!("has not answered within {} ms", self.limit.as_millis())),
        };
        if answer.status() >= StatusCode::INTERNAL_SERVER_ERROR {
            return away(format!("answers {} to {PATH}", answer.status().as_u16()));
        }
        let database = serves::heard_database(answer.headers());
        if let (Some(known), Some(database)) = (&backend.known, database) {
            known.keeps(database);
        }
        if let Some((one, other)) = database.and_then(|database| backend.in_turns(database)) {
            return Some(Problem::Another(format!(
                "{names} is two processes with a database each ({one} and {other}), which answer in turns at {}: what one of them keeps the \
                 other one does not know. Run it once",
                url.trim_end_matches(PATH)
            )));
        }
        if let Some(reason) = backend.known.as_ref().and_then(|known| known.left_out()) {
            return away(format!("is left out, since it {reason}"));
        }
        let served = serves::heard(answer.headers())?;
        let missed: Vec<&str> = backend.prefixes.iter().map(String::as_str).filter(|prefix| !serves::covers(served, prefix)).collect();
        (!missed.is_empty()).then(|| {
            let missed = missed.join(" and ");
            let does = if backend.names.len() > 1 { "do" } else { "does" };
            Problem::Another(format!("{names} {does} not serve {missed}, but {served}: look whether the targets are exchanged"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_databases_are_told_when_they_answer_in_turns_and_not_when_one_follows_the_other() {
        let backend = Backend::default();
        let heard = |database: &str| backend.in_turns(database).is_some();
        assert!(!heard("a") && !heard("a") && !heard("b") && !heard("b"), "it was put back from a copy");
        assert!(heard("a"), "and the other one is there all the same");
        for _ in 0..REMEMBERED {
            heard("b");
        }
        assert!(!heard("b"), "the other one is gone");
    }
}
