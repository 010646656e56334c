//! What an operator asks of a running process, by its `operator.api`: the same as the pages do.

mod client;
pub mod components;
pub mod config;
pub mod instances;
pub mod plan;
pub mod waiting;

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::Output;
use super::printed::{Printed, printing};
use client::Client;

/// Where and as whom a process is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The `operator.api` of the process, with its prefix.
    #[arg(long, global = true, env = "MILLRACE_OPERATOR", default_value = "http://127.0.0.1:9080/operator")]
    url: String,
    /// Token of somebody with a role; on the machine of the process nobody needs one to look, unless the config asks for it.
    #[arg(long, global = true, env = "MILLRACE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Form of what is printed; json is what the process has answered.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Output,
}

/// Why something is done.
#[derive(Debug, clap::Args)]
pub struct Why {
    /// Why; it is written down with who it was.
    #[arg(long)]
    reason: String,
}

impl Target {
    /// Does what a command does with the process.
    fn ask(&self, command: impl AsyncFnOnce(&Client, &mut Printed) -> anyhow::Result<()>) -> ExitCode {
        printing(|out| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let client = Client::new(&self.url, self.token.clone())?;
            runtime.block_on(command(&client, out))?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Prints an answer: as it is, or as `text` tells it.
fn tell(target: &Target, out: &mut Printed, answer: &Value, text: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
    match target.output {
        Output::Json => writeln!(out, "{answer:#}")?,
        Output::Text => write!(out, "{}", text(answer))?,
    }
    Ok(())
}

/// Text as it is, anything else as JSON.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The entries of a list in an answer.
fn each<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
