//! Where spans go: a collector that speaks OTLP over HTTP, and what becomes known of those that it did not take.
//!
//! A collector that is away costs spans, which are counted, and a line a minute. Nothing waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use http::{Request, Response, Uri};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::WithHttpConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use parking_lot::Mutex;

use crate::proxies;

/// The one protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";
/// A collector that takes no spans is told of once in this time.
const TELL_INTERVAL: Duration = Duration::from_secs(60);
/// How long one export may take, as the SDK has it.
const EXPORT_LIMIT: Duration = Duration::from_secs(10);
/// Spans that may wait, as the SDK has it.
const QUEUE_SPANS: usize = 2_048;

/// Variables of one setting: that of traces goes before the one of everything.
type Names = [&'static str; 2];

const ENDPOINT: Names = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: Names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const COMPRESSION: Names = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const TIMEOUT: Names = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// What a variable says, if it is set to anything.
pub(super) fn given<'a>(variables: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn first_given(variables: &BTreeMap<String, String>, names: Names) -> Option<(&'static str, &str)> {
    names.into_iter().find_map(|name| Some((name, given(variables, name)?)))
}

/// Whether the variables name a collector.
pub(super) fn has_endpoint(variables: &BTreeMap<String, String>) -> bool {
    first_given(variables, ENDPOINT).is_some()
}

/// Checks what the SDK would overlook or find out only when it sends.
fn check(variables: &BTreeMap<String, String>) -> anyhow::Result<()> {
    if let Some((name, value)) = first_given(variables, PROTOCOLS)
        && !value.eq_ignore_ascii_case(PROTOCOL)
    {
        bail!("{name} is '{value}', which is not supported; spans are sent as {PROTOCOL} only, usually to port 4318 of a collector");
    }
    if let Some((name, value)) = first_given(variables, COMPRESSION)
        && !value.eq_ignore_ascii_case("none")
    {
        bail!("{name} is '{value}', which is not supported; leave it out, or write none");
    }
    if let Some((name, value)) = first_given(variables, TIMEOUT)
        && !value.parse::<u64>().is_ok_and(|milliseconds| milliseconds > 0)
    {
        bail!("{name} is '{value}'; expected a number of milliseconds, such as 10000");
    }
    if let Some((name, value)) = first_given(variables, ENDPOINT) {
        let shown = without_secrets(value);
        let uri: Uri = value.parse().with_context(|| format!("{name} is '{shown}'; expected a URL such as http://localhost:4318"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
            bail!(
                "{name} is '{shown}'; expected a URL that begins with http://, such as http://localhost:4318 of a collector beside this process"
            );
        }
    }
    Ok(())
}

/// A URL without what may be a secret in it: a user, a password, a query.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// For a person: where spans go, and by which proxy.
pub(super) fn place(variables: &BTreeMap<String, String>) -> String {
    let Some((name, value)) = first_given(variables, ENDPOINT) else { return String::new() };
    let shown = without_secrets(value);
    match proxies::used_for(variables, value) {
        Some(proxy) => format!("{shown} ({name}), through the proxy of the environment, {proxy}; NO_PROXY can name hosts that need none"),
        None => format!("{shown} ({name})"),
    }
}

/// A processor that hands spans to the collector that the variables name, and counts those that are lost in `losses`.
///
/// # Errors
/// A variable that is not supported or does not make sense.
pub(super) fn processor(variables: &BTreeMap<String, String>, losses: &Arc<Losses>) -> anyhow::Result<impl SpanProcessor + 'static> {
    check(variables)?;
    let timeout = first_given(variables, TIMEOUT).and_then(|(_, value)| value.parse().ok()).map_or(EXPORT_LIMIT, Duration::from_millis);
    let client = || reqwest::blocking::Client::builder().timeout(timeout);
    // A small image has no certificates of authorities: its collector is asked over plain HTTP.
    let client = client().build().or_else(|_| client().tls_certs_only([]).build()).context("the client for the collector of traces")?;
    let problem = Arc::new(Mutex::default());
    let client = Asking { client, problem: Arc::clone(&problem) };
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().with_http_client(client).build();
    let exporter = exporter.context("the variables OTEL_EXPORTER_OTLP_*")?;
    let watched =
        Watched { exporter, losses: Arc::clone(losses), waiting: Arc::default(), problem, place: place(variables), told: Mutex::default() };
    let most =
        given(variables, "OTEL_BSP_MAX_QUEUE_SIZE").and_then(|value| value.parse().ok()).filter(|most| *most > 0).unwrap_or(QUEUE_SPANS);
    let (waiting, losses) = (Arc::clone(&watched.waiting), Arc::clone(losses));
    let batches = BatchSpanProcessor::new(watched, BatchConfigBuilder::default().with_max_queue_size(most).build());
    Ok(Bounded { batches, waiting, most, losses })
}

/// Spans that were lost.
#[derive(Debug, Default)]
pub(super) struct Losses(AtomicU64);

impl Losses {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, spans: usize) {
        self.0.fetch_add(spans as u64, Ordering::Relaxed);
    }
}

/// The SDK's queue with a door of our own, because it does not tell how many it turns away.
#[derive(Debug)]
struct Bounded {
    batches: BatchSpanProcessor,
    /// Spans in the queue; always at least as many as really are.
    waiting: Arc<AtomicUsize>,
    most: usize,
    losses: Arc<Losses>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &opentelemetry::Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let room = |waiting| (waiting < self.most).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok() {
            self.batches.on_end(span);
        } else {
            self.losses.add(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// The SDK's exporter, with its failures told and counted.
#[derive(Debug)]
struct Watched {
    exporter: opentelemetry_otlp::SpanExporter,
    losses: Arc<Losses>,
    waiting: Arc<AtomicUsize>,
    /// What the client said last, which the SDK keeps to itself.
    problem: Arc<Mutex<Option<String>>>,
    place: String,
    told: Mutex<Told>,
}

/// What was told of a collector that does not take spans.
#[derive(Debug, Default)]
struct Told {
    /// When last; `None` while it takes them.
    at: Option<Instant>,
    /// Spans that were lost since it does not take them.
    lost: usize,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let result = self.exporter.export(batch).await;
        match &result {
            Ok(()) => self.taken(),
            Err(error) => {
                let reason = self.problem.lock().take().unwrap_or_else(|| error.to_string());
                self.lost(spans, &reason);
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl Watched {
    fn taken(&self) {
        let told = std::mem::take(&mut *self.told.lock());
        if told.at.is_some() {
            tracing::info!(collector = self.place, lost = told.lost, "spans are exported again");
        }
    }

    fn lost(&self, spans: usize, reason: &str) {
        self.losses.add(spans);
        let mut told = self.told.lock();
        told.lost += spans;
        if told.at.is_none_or(|at| at.elapsed() >= TELL_INTERVAL) {
            told.at = Some(Instant::now());
            tracing::warn!(collector = self.place, reason, lost = told.lost, "spans are not exported and are lost");
        }
    }
}

/// A client that remembers why a request failed.
#[derive(Debug)]
struct Asking {
    client: reqwest::blocking::Client,
    problem: Arc<Mutex<Option<String>>>,
}

#[async_trait]
impl HttpClient for Asking {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.send_bytes(request).await;
        *self.problem.lock() = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(innermost(error.as_ref())),
        };
        answer
    }
}

/// What is at the bottom of an error; the rest only repeats the URL, which may have a secret in it.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name_with_what_is_accepted() {
        let here = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        for (wrong, said) in [
            (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ["OTEL_EXPORTER_OTLP_PROTOCOL", "'grpc'", "http/protobuf"]),
            (("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"), ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "'http/json'", "http/protobuf"]),
            (("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"), ["OTEL_EXPORTER_OTLP_COMPRESSION", "'gzip'", "none"]),
            (("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"), ["OTEL_EXPORTER_OTLP_TIMEOUT", "'10s'", "10000"]),
            (("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"), ["OTEL_EXPORTER_OTLP_ENDPOINT", "'localhost:4318'", "http://"]),
            (
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://me:hush@c/v1"),
                ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "'https://c/v1'", "http://"],
            ),
        ] {
            let error = check(&variables(&[here, wrong])).unwrap_err().to_string();
            assert!(said.iter().all(|part| error.contains(part)) && !error.contains("hush"), "{error}");
        }
        check(&variables(&[here, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "500")])).unwrap();
        check(&variables(&[here, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOL), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")])).unwrap();
    }

    #[test]
    fn the_place_is_told_without_secrets_and_with_the_proxy_on_the_way() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hush@collector:4318/base?key=hush");
        assert_eq!(place(&variables(&[endpoint])), "http://collector:4318/base (OTEL_EXPORTER_OTLP_ENDPOINT)");
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            let told = place(&variables(&[endpoint, (name, "http://you:hush@proxy:3128")]));
            assert!(
                told.contains(&format!("through the proxy of the environment, {name} (http://proxy:3128)")) && !told.contains("hush"),
                "{told}"
            );
        }
        let excepted = place(&variables(&[endpoint, ("HTTP_PROXY", "http://proxy:3128"), ("NO_PROXY", "localhost,collector")]));
        assert!(!excepted.contains("proxy:3128"), "{excepted}");
    }
}
