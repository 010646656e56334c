//! `millrace plan`: what a config would change in a running process, and whose work it would strand.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Target, each, tell, word};

/// What is compared.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The YAML config that is to run.
    file: PathBuf,
    /// What it is compared with: `running`, the process at --url.
    #[arg(long, default_value = "running", value_parser = ["running"])]
    against: String,
    #[command(flatten)]
    target: Target,
}

/// `millrace plan`: fails if the config cannot run there, or would strand instances.
#[must_use]
pub fn run(plan: &Plan) -> ExitCode {
    let Plan { file, target, .. } = plan;
    target.ask(async |client, out| {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let planned = client.post(&["config", "plan"], &json!({"text": text}), None).await?;
        tell(target, out, &planned, page)?;
        anyhow::ensure!(planned["valid"] == true, "{} cannot run there", file.display());
        anyhow::ensure!(each(&planned, "stranded").is_empty(), "{} would strand instances that run now", file.display());
        Ok(())
    })
}

fn page(planned: &Value) -> String {
    let mut text = String::new();
    for problem in each(planned, "problems") {
        let _ = writeln!(text, "{}:{}: {}: {}", problem["line"], problem["column"], word(&problem["severity"]), word(&problem["message"]));
    }
    for change in each(planned, "changes") {
        let (part, pointer) = (word(&change["part"]), word(&change["pointer"]));
        let _ = match (&change["from"], &change["to"]) {
            (Value::Null, _) if pointer.is_empty() => writeln!(text, "+ {part}"),
            (_, Value::Null) if pointer.is_empty() => writeln!(text, "- {part}"),
            (from, to) => writeln!(text, "~ {part} {pointer}: {from} -> {to}"),
        };
    }
    let takes = match planned["takes"].as_str() {
        Some("restart") => format!("they take a restart, for {}", each(planned, "restart").iter().map(word).collect::<Vec<_>>().join(", ")),
        Some("live") => "they take no restart".to_owned(),
        _ => "nothing has to be done".to_owned(),
    };
    let _ = writeln!(text, "{} changes; {takes}", each(planned, "changes").len());
    for stranded in each(planned, "stranded") {
        let (workflow, what) = (word(&stranded["workflow"]), word(&stranded["what"]));
        let _ = writeln!(text, "! {} unfinished instances of '{workflow}' need {what}", stranded["instances"]);
    }
    text
}
