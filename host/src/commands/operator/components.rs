//! `millrace components`: which version serves, how it does, and another one in its place.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::commands::authoring::keys::signature_of;

use super::{Client, Printed, Target, Why, each, tell, word};

/// What is done with components.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all components: the version that serves, its runs, how long they take.
    List {
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Show one component: its versions, limits and grants.
    Show {
        /// Its name.
        name: String,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Judge a file as if it were that of the component, and keep it by its digest if it is good. Nothing else happens.
    Upload {
        /// Its name.
        name: String,
        /// The file.
        file: PathBuf,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Have a version do one job with nothing granted, on given data or on that of an instance. Nothing is kept of it.
    Trial {
        /// Its name.
        name: String,
        /// Digest of the version; the one that serves if not given.
        #[arg(long)]
        digest: Option<String>,
        /// Data that it works on, a JSON object.
        #[arg(long, conflicts_with = "instance", required_unless_present = "instance")]
        data: Option<String>,
        /// Kind and id of an instance whose data it works on.
        #[arg(long, num_args = 2, value_names = ["KIND", "ID"])]
        instance: Option<Vec<String>>,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Have the version that serves and another one, or a file, which is uploaded before, do the jobs of the newest instances with nothing
    /// granted, and tell where their answers differ. Nothing is kept of it.
    Compare {
        /// Its name.
        name: String,
        /// Digest of the version, or a file.
        version: String,
        /// Jobs, 1 to 50.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Name of the step whose jobs these are.
        #[arg(long)]
        step: Option<String>,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Have an uploaded version serve, or a file, which is uploaded before.
    Swap {
        /// Its name.
        name: String,
        /// Digest of the version, or a file.
        version: String,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Have a share of the new visits run on an uploaded version, or a file, which is uploaded before, until a rule takes it or throws it
    /// out. Without a version: show the last canary.
    Canary(Box<Canary>),
    /// Make an attempt that failed again, with what it found and nothing granted, and tell whether the answer is the same. Nothing is kept of
    /// it. Without a run: list those that can be made again.
    Replay(Replay),
    /// Have a version serve that served before.
    Rollback {
        /// Its name.
        name: String,
        /// Digest of the version; the one that served before if not given.
        digest: Option<String>,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
}

/// An attempt that is made again.
#[derive(Debug, clap::Args)]
pub struct Replay {
    /// Key of its run, as the list has it.
    run: Option<String>,
    /// Which attempt; the last that was kept if not given.
    #[arg(long, requires = "run")]
    attempt: Option<u32>,
    /// Digest of the version, or a file, which is uploaded before; the version that ran if not given.
    #[arg(long, requires = "run", conflicts_with = "now")]
    digest: Option<String>,
    /// On the version that serves now.
    #[arg(long, requires = "run")]
    now: bool,
    /// Where and as whom it is asked.
    #[command(flatten)]
    target: Target,
}

impl Replay {
    async fn ask(&self, client: &Client, out: &mut Printed) -> anyhow::Result<()> {
        let list = client.get(&["recordings"], &[]).await?;
        let Some(run) = &self.run else {
            return tell(&self.target, out, &list, |list| each(list, "items").iter().map(recorded).collect());
        };
        let found = each(&list, "items").iter().find(|one| one["run"] == run.as_str());
        let name = word(
            &found.with_context(|| format!("no failed attempt of the run '{run}' was kept; `millrace components replay` lists them"))?["component"],
        );
        let digest = match &self.digest {
            Some(version) => Some(digest_of(client, &name, version).await?),
            None => None,
        };
        let body = json!({"run": run, "attempt": self.attempt, "digest": digest, "now": self.now});
        tell(&self.target, out, &client.post(&["components", &name, "replay"], &body, None).await?, replayed)
    }
}

/// A canary that is begun, stopped or shown.
#[derive(Debug, clap::Args)]
pub struct Canary {
    /// Name of the component.
    name: String,
    /// Digest of the version, or a file.
    #[arg(requires = "share", requires = "reason")]
    version: Option<String>,
    /// Percent of the new visits, 1 to 50.
    #[arg(long, requires = "version")]
    share: Option<u8>,
    /// It ends after so many runs of the version, 10 to 10000; 50 unless --seconds is given.
    #[arg(long, requires = "version")]
    runs: Option<u32>,
    /// It ends after so many seconds.
    #[arg(long, requires = "version")]
    seconds: Option<u32>,
    /// Failures, and rejections, beyond those of the version that serves that are forgiven [default: 1].
    #[arg(long, requires = "version")]
    max_failures: Option<u32>,
    /// How many times as long 95 of a hundred runs may take [default: 2].
    #[arg(long, requires = "version")]
    max_slowdown: Option<f64>,
    /// Stop it: the version serves that served.
    #[arg(long, conflicts_with = "version", requires = "reason")]
    stop: bool,
    /// Why; it is written down with who it was.
    #[arg(long)]
    reason: Option<String>,
    /// Where and as whom it is asked.
    #[command(flatten)]
    target: Target,
}

impl Canary {
    async fn ask(&self, client: &Client) -> anyhow::Result<Value> {
        let Self { name, version, share, runs, seconds, max_failures, max_slowdown, stop, reason, .. } = self;
        let path = ["components", name, "canary"];
        match version {
            Some(version) => {
                let digest = digest_of(client, name, version).await?;
                let body = json!({
                    "digest": digest, "share": share, "runs": runs, "seconds": seconds,
                    "maxFailures": max_failures, "maxSlowdown": max_slowdown, "reason": reason,
                });
                client.post(&path, &body, None).await
            }
            None if *stop => client.delete(&path, &json!({"reason": reason})).await,
            None => client.get(&path, &[]).await,
        }
    }
}

/// `millrace components`.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::List { target } => target.ask(async |client, out| {
            let list = client.get(&["components"], &[]).await?;
            tell(&target, out, &list, |list| each(list, "items").iter().map(|one| line(one) + "\n").collect())
        }),
        Command::Show { name, target } => target.ask(async |client, out| {
            let shown = client.get(&["components", &name], &[]).await?;
            tell(&target, out, &shown, page)
        }),
        Command::Upload { name, file, target } => target.ask(async |client, out| {
            let judged = upload(client, &name, &file).await?;
            tell(&target, out, &judged, |judged| {
                format!("{} {} {}\n", word(&judged["digest"]), word(&judged["name"]), word(&judged["version"]))
            })
        }),
        Command::Trial { name, digest, data, instance, target } => target.ask(async |client, out| {
            let data: Option<Value> = data.as_deref().map(serde_json::from_str).transpose().context("--data is no JSON")?;
            let instance = instance.as_deref().map(|words| json!({"kind": words[0], "id": words[1]}));
            let body = json!({"digest": digest, "data": data, "instance": instance});
            let tried = client.post(&["components", &name, "trial"], &body, None).await?;
            tell(&target, out, &tried, |tried| {
                let why = tried["reason"].as_str().unwrap_or_default();
                format!("{} in {} s {why}\n{:#}\n", word(&tried["outcome"]), tried["seconds"], tried["results"])
            })
        }),
        Command::Compare { name, version, limit, step, target } => target.ask(async |client, out| {
            let digest = digest_of(client, &name, &version).await?;
            let body = json!({"digest": digest, "limit": limit, "step": step});
            let compared = client.post(&["components", &name, "compare"], &body, None).await?;
            tell(&target, out, &compared, differences)
        }),
        Command::Swap { name, version, why, target } => target.ask(async |client, out| {
            let digest = digest_of(client, &name, &version).await?;
            let done = client.post(&["components", &name, "swap"], &json!({"digest": digest, "reason": why.reason}), None).await?;
            tell(&target, out, &done, |done| format!("{}\n", word(&done["done"])))
        }),
        Command::Canary(canary) => canary.target.ask(async |client, out| tell(&canary.target, out, &canary.ask(client).await?, course)),
        Command::Replay(replay) => replay.target.ask(async |client, out| replay.ask(client, out).await),
        Command::Rollback { name, digest, why, target } => target.ask(async |client, out| {
            let done = client.post(&["components", &name, "rollback"], &json!({"digest": digest, "reason": why.reason}), None).await?;
            tell(&target, out, &done, |done| format!("{}\n", word(&done["done"])))
        }),
    }
}

/// A digest as it is; a file is uploaded.
async fn digest_of(client: &Client, name: &str, version: &str) -> anyhow::Result<String> {
    if is_digest(version) {
        return Ok(version.to_owned());
    }
    Ok(word(&upload(client, name, &PathBuf::from(version)).await?["digest"]))
}

/// Where two versions differ.
fn differences(compared: &Value) -> String {
    let mut text = format!("{} of {} jobs were answered alike\n", compared["alike"], compared["compared"]);
    for job in each(compared, "jobs") {
        for one in each(job, "differences") {
            let instance = &job["instance"];
            let (at, ours, theirs) = (word(&one["at"]), &one["serving"], &one["candidate"]);
            let _ = writeln!(text, "{} {} {} {at}: {ours} -> {theirs}", word(&instance["kind"]), word(&instance["id"]), word(&job["step"]));
        }
    }
    text
}

/// An attempt that can be made again.
fn recorded(one: &Value) -> String {
    let reason = one["reason"].as_str().unwrap_or_default();
    let [run, at, component, digest, outcome] = ["run", "at", "component", "digest", "outcome"].map(|name| word(&one[name]));
    format!("{run} attempt={} {at} {component} {} {outcome} {reason}\n", one["attempt"], digest.get(..12).unwrap_or(&digest))
}

/// What came of making it again.
fn replayed(made: &Value) -> String {
    let same = if made["same"] == true { "the same answer" } else { "another answer" };
    let mut text = format!("{same}: {} {}\n", word(&made["now"]["outcome"]), made["now"]["reason"].as_str().unwrap_or_default());
    if made["complete"] == false {
        text.push_str("not everything that the attempt found was kept, so this one may have found something else\n");
    }
    for one in each(made, "differences") {
        let _ = writeln!(text, "{}: {} -> {}", word(&one["at"]), one["then"], one["now"]);
    }
    text
}

/// How far a canary is.
fn course(answer: &Value) -> String {
    let one = &answer["canary"];
    if one.is_null() {
        return format!("no canary of {} since the process started\n", word(&answer["component"]));
    }
    let mut text = format!("{} {} {}% of new visits\n", word(&one["state"]), word(&one["digest"]), one["share"]);
    for (name, who) in [("candidate", "candidate"), ("serving", "serving  ")] {
        let tally = &one[name];
        let _ = write!(text, "  {who} runs={} rejected={} failed={}", tally["runs"], tally["rejected"], tally["failed"]);
        if let Some(p95) = tally["p95Seconds"].as_f64() {
            let _ = write!(text, " p95={:.1} ms", p95 * 1_000.0);
        }
        text.push('\n');
    }
    if let Some(reason) = one["reason"].as_str() {
        let _ = writeln!(text, "{reason}");
    }
    text
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn upload(client: &Client, name: &str, file: &PathBuf) -> anyhow::Result<Value> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    client.upload(&["components", name, "upload"], bytes, signature_of(file)?).await
}

fn line(one: &Value) -> String {
    let digest = one["digest"].as_str().map_or("none", |digest| digest.get(..12).unwrap_or(digest));
    let mut line =
        format!("{} {} {digest} runs={} breaker={}", word(&one["name"]), word(&one["version"]), one["runs"], word(&one["breaker"]));
    if let Some(p95) = one["p95Seconds"].as_f64() {
        let _ = write!(line, " p95={:.1} ms", p95 * 1_000.0);
    }
    if let Some(refused) = one["refused"].as_str() {
        let _ = write!(line, " refused={refused:?}");
    }
    line
}

fn page(one: &Value) -> String {
    let mut text = format!("{}\n{}\n", line(one), word(&one["summary"]));
    let _ = writeln!(text, "\nversions");
    for version in each(one, "versions") {
        let _ = writeln!(text, "  {} {}", word(&version["digest"]), word(&version["version"]));
    }
    let _ = writeln!(text, "\nmay call");
    for grant in each(one, "grants") {
        let _ = writeln!(text, "  {} -> {}", word(&grant["service"]), word(&grant["target"]));
    }
    let limits = &one["limits"];
    let _ = writeln!(
        text,
        "\nlimits\n  {} bytes of memory, {} s of computing, {} calls",
        limits["memoryBytes"], limits["cpuSeconds"], limits["hostCalls"]
    );
    text
}
