//! `millrace waiting`: what waits for something, with why, and what mends it.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Target, Why, each, tell, word};

/// What is done about what waits.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show all that waits: runs that were set aside, dead letters, timers, events, components that are left alone.
    List {
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Let runs go on that were set aside.
    Release {
        /// Their keys, as `list` shows them.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        keys: Vec<String>,
        /// All that there are.
        #[arg(long)]
        all: bool,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Send dead letters to their topics again.
    Redrive {
        /// Topics; all that there are if not given.
        topics: Vec<String>,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Take the dead letters of a topic from the list.
    Discard {
        /// The topic.
        topic: String,
        /// Only up to the one with this number or offset.
        #[arg(long)]
        through: Option<i64>,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
}

/// `millrace waiting`.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::List { target } => target.ask(async |client, out| {
            let waiting = client.get(&["waiting"], &[]).await?;
            tell(&target, out, &waiting, page)
        }),
        Command::Release { keys, all, why, target } => {
            mend(&target, &["waiting", "runs", "release"], &json!({"keys": keys, "all": all, "reason": why.reason}))
        }
        Command::Redrive { topics, why, target } => {
            mend(&target, &["waiting", "dead-letters", "redrive"], &json!({"topics": topics, "reason": why.reason}))
        }
        Command::Discard { topic, through, why, target } => {
            let body = json!({"topics": [topic], "through": through, "reason": why.reason});
            mend(&target, &["waiting", "dead-letters", "discard"], &body)
        }
    }
}

fn mend(target: &Target, path: &[&str], body: &Value) -> ExitCode {
    target.ask(async |client, out| {
        let result = client.post(path, body, None).await?;
        tell(target, out, &result, |result| {
            let mut text = format!("done for {}\n", result["done"]);
            if result["left"].as_u64().is_some_and(|left| left > 0) {
                let _ = writeln!(text, "{} stay, because their events are not kept any more", result["left"]);
            }
            for failed in each(result, "failed") {
                let _ = writeln!(text, "{}", word(failed));
            }
            text
        })
    })
}

fn page(waiting: &Value) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} runs were set aside", waiting["parked"]);
    for run in each(waiting, "runs") {
        let _ = writeln!(text, "  {} {}: {}\n    {}", word(&run["key"]), word(&run["status"]), word(&run["cause"]), word(&run["remedy"]));
    }
    let letters = &waiting["deadLetters"];
    let _ = writeln!(text, "{} dead letters", letters["count"]);
    for letter in each(letters, "items") {
        let (topic, offset, key) = (word(&letter["topic"]), &letter["offset"], word(&letter["key"]));
        let _ = writeln!(text, "  {topic} {offset} {key}: {}\n    {}", word(&letter["cause"]), word(&letter["remedy"]));
    }
    if let Some(cause) = letters["cause"].as_str() {
        let _ = writeln!(text, "  not all can be listed: {cause}");
    }
    let _ = writeln!(text, "{} events wait to be published{}", waiting["outbox"]["events"], because(&waiting["outbox"]["cause"]));
    let _ = writeln!(text, "{} timers and runs are due; the next timers", waiting["due"]);
    for timer in each(waiting, "timers") {
        let _ =
            writeln!(text, "  {} {} {} at {}", word(&timer["kind"]), word(&timer["id"]), word(&timer["transition"]), word(&timer["dueAt"]));
    }
    for breaker in each(waiting, "breakers") {
        let _ = writeln!(text, "breaker of {} is {}{}", word(&breaker["component"]), word(&breaker["state"]), because(&breaker["cause"]));
    }
    let _ = writeln!(text, "{} instances ask for a person, {} are held", waiting["attention"], waiting["held"]);
    text
}

fn because(cause: &Value) -> String {
    cause.as_str().map_or_else(String::new, |cause| format!(": {cause}"))
}
