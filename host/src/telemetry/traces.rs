//! One trace for all that follows from a request, exported by OTLP when the usual `OTEL_*` variables say where to.
//!
//! A [`Span`] is made from the trace context of what caused it, which travels as the text of a `traceparent` header: in requests, in the
//! database beside the instance, in events. It is current while a future runs inside it, and the log lines written meanwhile carry its ids.
//! Without an exporter a span is nothing at all: no clock is read, nothing is allocated, no future is wrapped.
//!
//! The spans are made with OpenTelemetry's own API and not as spans of `tracing`: those would have to pass the filter and the formatter of
//! the log lines, whether or not anybody exports them, and their parents come from rows of a database, not from the stack.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use futures::future::Either;
use opentelemetry::trace::{
    FutureExt as _, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::export::{self, Losses, given};

pub use opentelemetry::trace::SpanKind as Kind;

/// The header that carries a trace context.
pub const HEADER: &str = "traceparent";
/// How long a stopping process waits for the collector to take the last spans.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Set once, before anything runs; empty when nothing is exported.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();
/// Of all spans of the process.
static LOSSES: LazyLock<Arc<Losses>> = LazyLock::new(Arc::default);

/// Exports what is left when it is dropped. Keep it until the process ends.
#[must_use]
pub struct Exporter(Option<SdkTracerProvider>);

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_LIMIT)
        {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Starts to export spans, if `variables` say where to: `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. The other
/// variables of OpenTelemetry (sampler, headers, limits, attributes) are read by its SDK. `service` is what the process is called unless they
/// say so. Not to be called inside an async runtime.
///
/// # Errors
/// A variable is not supported or does not make sense; the error names it. Or it was called before.
pub fn start(variables: &BTreeMap<String, String>, service: &str) -> anyhow::Result<Exporter> {
    if !is_wanted(variables) {
        return Ok(Exporter(None));
    }
    let processor = export::processor(variables, &LOSSES)?;
    let provider = SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource(variables, service)).build();
    TRACER.set(provider.tracer("millrace")).map_err(|_| anyhow::anyhow!("traces were started twice"))?;
    tracing::info!(service, endpoint = export::place(variables), "spans are exported");
    Ok(Exporter(Some(provider)))
}

fn is_wanted(variables: &BTreeMap<String, String>) -> bool {
    let disabled = given(variables, "OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let none = given(variables, "OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    export::has_endpoint(variables) && !disabled && !none
}

/// Spans that no collector has taken, since the start.
#[must_use]
pub fn lost() -> u64 {
    LOSSES.count()
}

fn resource(variables: &BTreeMap<String, String>, service: &str) -> Resource {
    let named = variables.get("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
        || variables.get("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
    let own = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
    ];
    let builder = Resource::builder().with_attributes(own);
    if named { builder.build() } else { builder.with_service_name(service.to_owned()).build() }
}

/// A piece of work under way, which ends when it is dropped. Clones are the same piece, which ends with the last of them.
#[derive(Debug, Clone, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// A piece of work that `parent`, a `traceparent`, has caused; without one it is the first of its trace. `name` has few values.
    pub fn begin<N: Into<Cow<'static, str>>>(kind: Kind, parent: Option<&str>, name: impl FnOnce() -> N) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let parent = parent.and_then(parse).map_or_else(Context::new, |caused| Context::new().with_remote_span_context(caused));
        Self::under(tracer, kind, &parent, name())
    }

    /// A piece of what is being done right now; nothing if that is no part of a trace.
    pub fn child<N: Into<Cow<'static, str>>>(kind: Kind, name: impl FnOnce() -> N) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let current = Context::current();
        if current.span().span_context().is_valid() { Self::under(tracer, kind, &current, name()) } else { Self(None) }
    }

    fn under(tracer: &SdkTracer, kind: Kind, parent: &Context, name: impl Into<Cow<'static, str>>) -> Self {
        let span = tracer.build_with_context(SpanBuilder::from_name(name).with_kind(kind), parent);
        Self(Some(parent.with_span(span)))
    }

    /// What is being done right now.
    #[must_use]
    pub fn current() -> Self {
        let Some(_) = TRACER.get() else { return Self(None) };
        let current = Context::current();
        let valid = current.span().span_context().is_valid();
        Self(valid.then_some(current))
    }

    /// Whether anybody will see what is said of it.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.as_ref().is_some_and(|context| context.span().is_recording())
    }

    /// Says something of it. `value` is only made if somebody will see it.
    pub fn set<V: Into<Value>>(&self, name: &'static str, value: impl FnOnce() -> V) -> &Self {
        if self.is_recorded()
            && let Some(context) = &self.0
        {
            context.span().set_attribute(KeyValue::new(name, value().into()));
        }
        self
    }

    /// It did not succeed.
    pub fn fail(&self, reason: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(reason));
        }
    }

    /// What causes `other` as well, beside its parent.
    pub fn link(&self, other: Option<&str>) {
        if let (Some(context), Some(other)) = (&self.0, other.and_then(parse)) {
            context.span().add_link(other, Vec::new());
        }
    }

    /// Its trace context, to hand on.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        text(self.0.as_ref()?.span().span_context())
    }

    /// Does something short as this piece.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _current = self.0.clone().map(Context::attach);
        work()
    }

    /// Does `work` as this piece; it ends with it, unless there are clones.
    pub fn around<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        match self.0 {
            None => Either::Left(work),
            Some(context) => Either::Right(work.with_context(context)),
        }
    }
}

/// `work`, which another task will do, as a part of what is being done right now.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    match TRACER.get() {
        None => Either::Left(work),
        Some(_) => Either::Right(work.with_context(Context::current())),
    }
}

/// Trace context of what is being done right now, if that is part of a trace.
#[must_use]
pub fn current() -> Option<String> {
    TRACER.get()?;
    text(Context::current().span().span_context())
}

/// Trace context for what a request begins: of what is being done right now, else the request's own `traceparent`, else a new one that says
/// that nobody records it.
#[must_use]
pub fn continued(own: Option<&str>) -> String {
    if let Some(current) = current() {
        return current;
    }
    match own.filter(|own| parse(own).is_some()) {
        Some(own) => own.to_owned(),
        None => format!("00-{:032x}-{:016x}-00", rand::random_range(1..=u128::MAX), rand::random_range(1..=u64::MAX)),
    }
}

/// Ids of what is being done right now, for log lines: trace, span.
pub(super) fn current_ids() -> Option<(TraceId, SpanId)> {
    TRACER.get()?;
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| (ids.trace_id(), ids.span_id()))
    })
}

/// A `traceparent` of version 00, or one of a later version that begins like it.
fn parse(text: &str) -> Option<SpanContext> {
    let text = text.trim();
    let mut parts = text.splitn(5, '-');
    let (version, trace, span, flags, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next());
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let known = hex(version, 2) && version != "ff" && (version != "00" || rest.is_none());
    if !known || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & TraceFlags::SAMPLED.to_u8());
    let context = SpanContext::new(TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

fn text(context: &SpanContext) -> Option<String> {
    context
        .is_valid()
        .then(|| format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags() & TraceFlags::SAMPLED))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_context_comes_back_as_it_was() {
        assert_eq!(parse(GIVEN).and_then(|context| text(&context)).as_deref(), Some(GIVEN));
        let later = GIVEN.replacen("00", "cc", 1) + "-what-comes-after";
        assert_eq!(parse(&later).and_then(|context| text(&context)).as_deref(), Some(GIVEN));
    }

    #[test]
    fn what_is_no_trace_context_is_none() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let upper = GIVEN.to_uppercase();
        let longer = format!("{GIVEN}-x");
        for wrong in ["", "00", zeros, &upper, &longer, &GIVEN[1..], &GIVEN.replace('-', "_"), &GIVEN.replacen("00", "ff", 1), "00-é-é-é"]
        {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn without_an_exporter_a_request_keeps_its_context_and_one_without_gets_one_that_nobody_records() {
        assert_eq!(continued(Some(GIVEN)), GIVEN);
        let (made, other) = (continued(None), continued(Some("nonsense")));
        assert_ne!(made, other);
        assert!(parse(&made).is_some_and(|context| !context.is_sampled()), "{made}");
    }

    #[test]
    fn without_an_exporter_a_span_is_nothing() {
        let span = Span::begin(Kind::Server, Some(GIVEN), || -> String { panic!("nobody asks for its name") });
        span.set("what", || -> String { panic!("nobody asks for what it is") });
        assert!(!span.is_recorded() && span.traceparent().is_none() && current().is_none());
        assert_eq!(
            size_of_val(&span.around(std::future::ready(1_u64))),
            size_of::<Either<std::future::Ready<u64>, opentelemetry::trace::WithContext<std::future::Ready<u64>>>>()
        );
    }

    #[test]
    fn the_usual_variables_decide() {
        let wanted = |given: &[(&str, &str)]| is_wanted(&given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let place = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert!(wanted(&[place]) && wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")]));
        assert!(!wanted(&[]) && !wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
        assert!(!wanted(&[place, ("OTEL_SDK_DISABLED", "TRUE")]) && !wanted(&[place, ("OTEL_TRACES_EXPORTER", "none")]));
    }
}
