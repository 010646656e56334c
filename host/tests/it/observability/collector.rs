//! What receives spans: a server for OTLP over HTTP that keeps what it gets, and puts a trace together.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use parking_lot::Mutex;
use prost::Message as _;

use crate::client::PATIENCE;

/// A span as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    pub trace: String,
    pub id: String,
    pub parent: Option<String>,
    pub service: String,
    /// Of the process that made it.
    pub process: String,
    pub name: String,
    pub kind: &'static str,
    pub attributes: HashMap<String, String>,
    pub failed: bool,
    /// Nanoseconds since 1970.
    pub began: u64,
    pub ended: u64,
}

/// The server.
pub struct Collector {
    pub address: String,
    spans: Arc<Mutex<Vec<Received>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let spans: Arc<Mutex<Vec<Received>>> = Arc::default();
        let kept = Arc::clone(&spans);
        let take = move |body: Bytes| {
            let kept = Arc::clone(&kept);
            async move {
                match ExportTraceServiceRequest::decode(body) {
                    Ok(request) => {
                        kept.lock().extend(received(request));
                        StatusCode::OK
                    }
                    Err(_) => StatusCode::BAD_REQUEST,
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await });
        Self { address, spans }
    }

    /// All spans of the trace of that span that `is_first`, once `complete` says so of them.
    pub async fn trace(&self, what: &str, is_first: impl Fn(&Received) -> bool, complete: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let spans = self.spans.lock().clone();
            let trace = spans.iter().find(|span| is_first(span)).map(|first| first.trace.clone());
            let trace: Vec<Received> = spans.into_iter().filter(|span| Some(&span.trace) == trace.as_ref()).collect();
            if complete(&trace) && trace.iter().all(|span| span.parent.is_none() || parent(&trace, span).is_some()) {
                return trace;
            }
            assert!(Instant::now() < deadline, "{what} is not complete:\n{}", tree(&trace));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The span that has caused this one.
pub fn parent<'a>(trace: &'a [Received], span: &Received) -> Option<&'a Received> {
    let id = span.parent.as_ref()?;
    trace.iter().find(|other| other.id == *id)
}

/// A trace as a person reads it: what caused what, when after the beginning, how long.
pub fn tree(trace: &[Received]) -> String {
    let began = trace.iter().map(|span| span.began).min().unwrap_or(0);
    let mut text = String::new();
    let roots = trace.iter().filter(|span| parent(trace, span).is_none());
    for root in roots {
        branch(trace, root, began, 0, &mut text);
    }
    text
}

fn branch(trace: &[Received], span: &Received, began: u64, depth: usize, text: &mut String) {
    let ms = |nanos: u64| nanos as f64 / 1e6;
    let told = ["millrace.component", "millrace.outcome", "millrace.attempt", "http.response.status_code"];
    let told: Vec<&str> = told.iter().filter_map(|name| span.attributes.get(*name)).map(String::as_str).collect();
    let name = format!("{}{} [{}] {}", "  ".repeat(depth), span.name, span.kind, told.join(" "));
    let took = ms(span.ended.saturating_sub(span.began));
    writeln!(text, "{name:<72} {:<16} +{:>8.2} ms {took:>8.2} ms", span.service, ms(span.began - began)).unwrap();
    let mut children: Vec<&Received> = trace.iter().filter(|other| other.parent.as_ref() == Some(&span.id)).collect();
    children.sort_by_key(|child| child.began);
    children.into_iter().for_each(|child| branch(trace, child, began, depth + 1, text));
}

fn received(request: ExportTraceServiceRequest) -> Vec<Received> {
    let mut all = Vec::new();
    for of_process in request.resource_spans {
        let resource = attributes(of_process.resource.map(|resource| resource.attributes).unwrap_or_default());
        for span in of_process.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            all.push(Received {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: Some(hex(&span.parent_span_id)).filter(|id| !id.is_empty()),
                service: resource["service.name"].clone(),
                process: resource["service.instance.id"].clone(),
                kind: ["?", "internal", "server", "client", "producer", "consumer"][span.kind as usize],
                name: span.name,
                attributes: attributes(span.attributes),
                failed: span.status.is_some_and(|status| status.code == 2),
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
            });
        }
    }
    all
}

fn attributes(pairs: Vec<KeyValue>) -> HashMap<String, String> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    pairs.into_iter().map(|pair| (pair.key, text(pair.value.and_then(|value| value.value)))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
