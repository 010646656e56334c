//! `millrace config`: the config of a running process, saved with who it was and why, and put back.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Target, Why, each, tell, word};

/// What is done about the config.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a file the config of the process: it is judged and compared first, and taken over as far as that goes without a restart.
    Save {
        /// The YAML config.
        file: PathBuf,
        /// Digest of the config that the file was made from; without it what the process has now.
        #[arg(long)]
        made_from: Option<String>,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// List the texts that the config had, or print one of them.
    History {
        /// Digest of the one to print.
        digest: Option<String>,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Make a text of the history the config again.
    Rollback {
        /// Its digest, or the beginning of it.
        digest: String,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
}

/// `millrace config`.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Save { file, made_from, why, target } => target.ask(async |client, out| {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let made_from = match made_from {
                Some(digest) => digest,
                None => word(&client.get(&["config"], &[]).await?["digest"]),
            };
            let saved = client.put(&["config"], &json!({"text": text, "reason": why.reason}), &made_from).await?;
            tell(&target, out, &saved, page)
        }),
        Command::History { digest: None, target } => target.ask(async |client, out| {
            let history = client.get(&["config", "history"], &[]).await?;
            tell(&target, out, &history, list)
        }),
        Command::History { digest: Some(digest), target } => target.ask(async |client, out| {
            let digest = whole(&client.get(&["config", "history"], &[]).await?, digest)?;
            let earlier = client.get(&["config", "history", &digest], &[]).await?;
            tell(&target, out, &earlier, |earlier| word(&earlier["text"]))
        }),
        Command::Rollback { digest, why, target } => target.ask(async |client, out| {
            let digest = whole(&client.get(&["config", "history"], &[]).await?, digest)?;
            let saved = client.post(&["config", "rollback"], &json!({"digest": digest, "reason": why.reason}), None).await?;
            tell(&target, out, &saved, page)
        }),
    }
}

/// The one digest of the history that begins so; what was given where there is none.
fn whole(history: &Value, beginning: String) -> anyhow::Result<String> {
    let digests = each(history, "items").iter().map(|item| word(&item["digest"]));
    let found: BTreeSet<String> = digests.filter(|digest| digest.starts_with(&beginning)).collect();
    anyhow::ensure!(found.len() < 2, "several texts of the history begin with '{beginning}': give more of the digest");
    Ok(found.into_iter().next().unwrap_or(beginning))
}

fn page(saved: &Value) -> String {
    let mut text = format!("{}\n", word(&saved["done"]));
    for change in each(saved, "changes") {
        let _ = writeln!(text, "~ {} {}: {} -> {}", word(&change["part"]), word(&change["pointer"]), change["from"], change["to"]);
    }
    text
}

fn list(history: &Value) -> String {
    let mut text = String::new();
    for item in each(history, "items") {
        let mark = if item["digest"] == history["current"] { "*" } else { " " };
        let digest: String = word(&item["digest"]).chars().take(12).collect();
        let _ = writeln!(text, "{mark} {digest}  {}  {}  {}", word(&item["at"]), word(&item["who"]), word(&item["reason"]));
    }
    text
}
