//! `millrace check`: what a host that runs would say of a component.

use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::subject::Subject;
use crate::commands::printed::{Printed, printing};
use crate::commands::{Output, one_worker};
use crate::runtime::{Capabilities, ComponentSettings, Examined, GrantTarget, InProcess};

/// `millrace check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// What is checked.
    #[command(flatten)]
    subject: Subject,
    /// Form of what is printed.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// Judges the file. Fails if it would be refused.
#[must_use]
pub fn run(check: &Check) -> ExitCode {
    printing(|out| {
        let Some(settings) = check.subject.settings()? else { return Ok(ExitCode::FAILURE) };
        let capabilities = settings.capabilities.clone();
        let workbench = check.subject.workbench(settings.clone(), &nobody(&settings))?;
        let runtime = one_worker()?;
        let found = runtime.block_on(workbench.examine());
        tell(out, check.output, &capabilities, &found)?;
        Ok(if found.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// The modules that a component may call, none of which is there.
pub(super) fn nobody(settings: &ComponentSettings) -> HashMap<String, InProcess> {
    let modules: BTreeSet<String> = settings
        .capabilities
        .http
        .iter()
        .filter_map(|grant| match &grant.target {
            GrantTarget::Handler(module) => Some(module.clone()),
            GrantTarget::Url(_) => None,
        })
        .collect();
    modules.into_iter().map(|module| (module.clone(), absent(&module))).collect()
}

/// A module that is not there: 503, and why.
fn absent(module: &str) -> InProcess {
    let says = json!({"error": format!("module '{module}' does not run here: give --answer or --grant for its service")}).to_string();
    answering(http::StatusCode::SERVICE_UNAVAILABLE, says)
}

/// A service that answers every request alike, with JSON.
pub(super) fn answering(status: http::StatusCode, body: String) -> InProcess {
    let body = bytes::Bytes::from(body);
    InProcess::new(tower::service_fn(move |_: http::Request<bytes::Bytes>| {
        let mut response = http::Response::new(body.clone());
        *response.status_mut() = status;
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        std::future::ready(Ok(response))
    }))
}

fn tell(out: &mut Printed, form: Output, capabilities: &Capabilities, found: &anyhow::Result<Examined>) -> anyhow::Result<()> {
    match (form, found) {
        (Output::Json, Ok(examined)) => writeln!(out, "{:#}", as_json(capabilities, examined))?,
        (Output::Json, Err(reason)) => writeln!(out, "{:#}", json!({"fits": false, "reason": format!("{reason:#}")}))?,
        (Output::Text, Ok(examined)) => write!(out, "{}", page(capabilities, examined))?,
        (Output::Text, Err(reason)) => writeln!(out, "refused: {reason:#}")?,
    }
    Ok(())
}

fn granted(capabilities: &Capabilities) -> Vec<String> {
    let Capabilities { http, config, kv, events, secrets } = capabilities;
    let services = http.iter().map(|grant| format!("http {}", grant.service));
    let state = kv.iter().map(|grant| format!("kv {} + {} KiB", grant.instance_bytes >> 10, grant.component_bytes >> 10));
    let values = config.iter().map(|(key, _)| format!("config {key}"));
    let events = events.iter().map(|event| format!("event {}", event.event_type));
    services.chain(values).chain(state).chain(events).chain(secrets.iter().map(|secret| format!("secret {}", secret.name))).collect()
}

/// The world that it fits, of which `process` is what every step has.
fn world(examined: &Examined) -> String {
    let world = if examined.about.reversible { "reversible-step" } else { "step" };
    format!("millrace:step/{world}@{}", examined.about.contract.version())
}

fn as_json(capabilities: &Capabilities, examined: &Examined) -> Value {
    let about = &examined.about;
    json!({
        "fits": true,
        "name": about.name,
        "version": about.version,
        "summary": about.summary,
        "world": world(examined),
        "digest": about.digest,
        "bytes": about.size,
        "signed": examined.signed,
        "imports": examined.imports,
        "exports": examined.exports,
        "granted": granted(capabilities),
        "memories": examined.memories,
        "compileSeconds": examined.compiled_in.map(|took| took.as_secs_f64()),
        "configSchema": about.config_schema,
        "dataSchema": about.data_schema,
        "answerSchema": about.answer_schema,
    })
}

fn page(capabilities: &Capabilities, examined: &Examined) -> String {
    let about = &examined.about;
    let or_nothing = |words: &[String]| if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
    let compiled = examined.compiled_in.map_or_else(|| "before".to_owned(), |took| format!("in {}", seconds(took)));
    let or_any = |schema: &Option<Value>| schema.as_ref().map_or_else(|| "says nothing".to_owned(), Value::to_string);
    format!(
        "fits: {} {}: {}\n\nworld     {}\ndigest    {}\nsigned    {}\nsize      {} bytes, compiled {compiled}\nmemories  {}\nimports   {}\ngranted   {}\nexports   {}\nconfig    {}\nreads     {}\nanswers   {}\n",
        about.name,
        about.version,
        about.summary,
        world(examined),
        about.digest,
        if examined.signed { "with a key that the config knows" } else { "not asked for" },
        about.size,
        examined.memories,
        or_nothing(&examined.imports),
        or_nothing(&granted(capabilities)),
        or_nothing(&examined.exports),
        about.config_schema,
        or_any(&about.data_schema),
        or_any(&about.answer_schema),
    )
}

/// A time for people.
pub(super) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{:.1} ms", time.as_secs_f64() * 1_000.0) } else { format!("{:.1} s", time.as_secs_f64()) }
}
