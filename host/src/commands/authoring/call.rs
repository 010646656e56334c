//! `millrace call`: one job in the sandbox.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::{answering, nobody, seconds};
use super::subject::{Subject, read};
use crate::commands::printed::{Printed, printing};
use crate::commands::{Output, one_worker};
use crate::runtime::{GivenKv, Grant, GrantTarget, Job, KvChange, KvOp, Published, Tried, Verdict};

/// Exit statuses by outcome; accepted is 0, what could not be called at all 1.
const REJECTED: u8 = 3;
const TRANSIENT: u8 = 4;
const PERMANENT: u8 = 5;
/// The longest time that a job may be given.
const MAX_TIMEOUT_SECONDS: f64 = 3_600.0;

/// `millrace call`.
#[derive(Debug, clap::Args)]
pub struct Call {
    /// What is called.
    #[command(flatten)]
    subject: Subject,
    /// The job, a JSON object: `data`, and where wanted `config`, `step`, `transition`, `fromState`, `toState`, `attempt`, `visit`,
    /// `idempotencyKey`, `workflow`, `instanceId`, `timeoutSeconds`, `kv: {instance, component}`. `-` is standard input.
    #[arg(long, short)]
    input: PathBuf,
    /// Have a granted service answer every request with this JSON file, without a network. May be given again.
    #[arg(long, value_name = "SERVICE=FILE", value_parser = answer)]
    answer: Vec<(String, PathBuf)>,
    /// Form of what is printed.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

fn answer(text: &str) -> Result<(String, PathBuf), String> {
    let (service, file) = text.split_once('=').ok_or("expected SERVICE=FILE, for example stock=stock.json")?;
    Ok((service.to_owned(), file.into()))
}

/// A job as it is written in a file. What it leaves out is as at the first attempt of some step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Input {
    data: Map<String, Value>,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default = "trial")]
    workflow: String,
    #[serde(default = "trial")]
    instance_id: String,
    #[serde(default = "trial")]
    step: String,
    #[serde(default = "trial")]
    transition: String,
    #[serde(default = "trial")]
    from_state: String,
    #[serde(default = "trial")]
    to_state: String,
    #[serde(default = "first")]
    attempt: u32,
    #[serde(default = "first")]
    visit: u32,
    idempotency_key: Option<String>,
    #[serde(default = "half_a_minute")]
    timeout_seconds: f64,
    #[serde(default)]
    kv: InputKv,
}

/// The state that a component of 0.2 finds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputKv {
    #[serde(default)]
    instance: BTreeMap<String, String>,
    #[serde(default)]
    component: BTreeMap<String, String>,
}

fn trial() -> String {
    "trial".to_owned()
}

fn first() -> u32 {
    1
}

fn half_a_minute() -> f64 {
    30.0
}

impl Input {
    /// Reads it from a file, or from standard input for `-`.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = if path.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin().lock()).context("cannot read the job from standard input")?
        } else {
            read("the job", path)?
        };
        let input: Self = serde_json::from_str(&text)
            .with_context(|| format!("'{}' is no job: expected a JSON object such as {{\"data\": {{\"total\": 250}}}}", path.display()))?;
        anyhow::ensure!(
            input.timeout_seconds > 0.0 && input.timeout_seconds <= MAX_TIMEOUT_SECONDS,
            "'{}' gives the job `timeoutSeconds` {}: expected more than 0 and at most {MAX_TIMEOUT_SECONDS}",
            path.display(),
            input.timeout_seconds
        );
        Ok(input)
    }

    /// The job, what is put over the configuration, and the state that it finds.
    pub(super) fn into_job(self) -> (Job, Map<String, Value>, GivenKv) {
        let idempotency_key = self.idempotency_key.unwrap_or_else(|| format!("{}:{}:{}", self.instance_id, self.step, self.visit));
        let job = Job {
            workflow: self.workflow,
            kind: String::new(),
            instance_id: self.instance_id,
            step: self.step,
            transition: self.transition,
            from_state: self.from_state,
            to_state: self.to_state,
            attempt: self.attempt,
            visit: self.visit,
            idempotency_key,
            timeout: Duration::from_secs_f64(self.timeout_seconds),
            traceparent: None,
            data: Value::Object(self.data).to_string(),
        };
        (job, self.config, GivenKv { instance: self.kv.instance, component: self.kv.component })
    }
}

/// Has the component do the job. The exit status tells the outcome.
#[must_use]
pub fn run(call: &Call) -> ExitCode {
    printing(|out| {
        let Some(mut settings) = call.subject.settings()? else { return Ok(ExitCode::FAILURE) };
        let (job, config, kv) = Input::read(&call.input)?.into_job();
        let mut services = nobody(&settings);
        for (service, file) in &call.answer {
            let text = read("the answer", file)?;
            serde_json::from_str::<Value>(&text).with_context(|| format!("the answer '{}' is no JSON", file.display()))?;
            let module = format!("--answer {service}");
            services.insert(module.clone(), answering(http::StatusCode::OK, text));
            settings.capabilities.http.retain(|granted| granted.service != *service);
            let target = GrantTarget::Handler(module);
            settings.capabilities.http.push(Grant { service: service.clone(), target, headers: Vec::new(), credential: None });
        }
        let workbench = call.subject.workbench(settings, &services)?;
        let runtime = one_worker()?;
        let tried = runtime.block_on(async {
            workbench.examine().await.with_context(|| format!("{} would be refused", call.subject.file().display()))?;
            workbench.run(job, Some(&config), kv).await
        })?;
        tell(out, call.output, &tried)?;
        Ok(match tried.report.verdict {
            Verdict::Accepted(_) => ExitCode::SUCCESS,
            Verdict::Rejected { .. } => ExitCode::from(REJECTED),
            Verdict::Transient(_) => ExitCode::from(TRANSIENT),
            Verdict::Permanent(_) => ExitCode::from(PERMANENT),
        })
    })
}

/// The outcome's name, what it says to people, and what is merged into the data.
fn outcome(verdict: &Verdict) -> (&'static str, Option<String>, Option<&Map<String, Value>>) {
    match verdict {
        Verdict::Accepted(results) => ("accepted", None, Some(results)),
        Verdict::Rejected { code, reason, details } => ("rejected", Some(format!("{code}: {reason}")), Some(details)),
        Verdict::Transient(reason) => ("transient", Some(reason.clone()), None),
        Verdict::Permanent(reason) => ("permanent", Some(reason.clone()), None),
    }
}

/// A change of the state, for people.
fn changed(change: &KvChange) -> String {
    let scope = if change.of_instance { "instance" } else { "component" };
    let key = &change.key;
    match &change.op {
        KvOp::Set(value) => format!("kv    {scope} {key} = {value}"),
        KvOp::Delete => format!("kv    {scope} {key} is gone"),
        KvOp::Add(by) => format!("kv    {scope} {key} {by:+}"),
    }
}

/// The same as JSON.
fn changed_json(change: &KvChange) -> Value {
    let (set, add) = match &change.op {
        KvOp::Set(value) => (Some(value), None),
        KvOp::Delete => (None, None),
        KvOp::Add(by) => (None, Some(by)),
    };
    json!({"scope": if change.of_instance { "instance" } else { "component" }, "key": change.key, "set": set, "add": add})
}

/// An event as JSON.
fn published_json(event: &Published) -> Value {
    json!({"type": event.event_type, "topic": event.topic, "data": event.data})
}

/// Prints what came of it.
pub(super) fn tell(out: &mut Printed, form: Output, tried: &Tried) -> anyhow::Result<()> {
    let report = &tried.report;
    let (name, reason, results) = outcome(&report.verdict);
    let used = report.used;
    match form {
        Output::Json => {
            let lines: Vec<Value> = tried.lines.iter().map(|line| json!({"level": line.level, "message": line.message})).collect();
            let code = if let Verdict::Rejected { code, .. } = &report.verdict { Some(code) } else { None };
            let reason = if let Verdict::Rejected { reason, .. } = &report.verdict { Some(reason.clone()) } else { reason };
            let printed = json!({
                "outcome": name, "code": code, "reason": reason, "results": results, "log": lines, "linesDropped": report.lines_dropped,
                "limit": report.limit.map(crate::runtime::Limit::as_str), "digest": report.digest, "seconds": report.wall.as_secs_f64(),
                "kv": report.alongside.kv.iter().map(changed_json).collect::<Vec<_>>(), "events": report.alongside.events.iter().map(published_json).collect::<Vec<_>>(),
                "cpuSeconds": used.cpu.as_secs_f64(), "memoryBytes": used.memory_bytes, "hostCalls": used.host_calls,
            });
            writeln!(out, "{printed:#}")?;
        }
        Output::Text => {
            for line in &tried.lines {
                writeln!(out, "{:5} {}", line.level, line.message)?;
            }
            if report.lines_dropped {
                writeln!(out, "      more lines were dropped: a run may write 256 of them and 64 KiB")?;
            }
            writeln!(out, "{name}{}", reason.map(|reason| format!(" {reason}")).unwrap_or_default())?;
            if let Some(results) = results {
                writeln!(out, "{:#}", Value::Object(results.clone()))?;
            }
            for change in &report.alongside.kv {
                writeln!(out, "{}", changed(change))?;
            }
            for event in &report.alongside.events {
                writeln!(out, "event {} to {} {}", event.event_type, event.topic, Value::Object(event.data.clone()))?;
            }
            let (time, cpu) = (seconds(report.wall), used.cpu.as_millis());
            writeln!(
                out,
                "{time}, {cpu} ms of computing, {} KiB of memory, {} calls of the host",
                used.memory_bytes.div_ceil(1024),
                used.host_calls
            )?;
        }
    }
    Ok(())
}
