//! `millrace instances`: find them, look at one, act on one or on many.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Map, Value, json};

use super::{Client, Target, Why, each, tell, word};
use crate::commands::printed::Printed;

/// What is done with instances.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List instances, the newest first.
    List {
        /// Which ones.
        #[command(flatten)]
        filter: FilterArgs,
        /// Entries of a page.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// What the page before has said is the next.
        #[arg(long)]
        cursor: Option<String>,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Show one instance: how it came to where it is, what happens next, what may be done.
    Show {
        /// Kind and id, for example `returns return-1`.
        #[command(flatten)]
        named: Named,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Make what waits due now, and give what was set aside another chance.
    Retry(Deed),
    /// Make a transition that the machine allows.
    Fire {
        /// Which one.
        #[command(flatten)]
        named: Named,
        /// Its name; `show` lists those that may be fired.
        transition: String,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
    /// Pause one: nothing begins and no timer fires; what is under way still lands.
    Hold(Deed),
    /// Let one go on after a pause.
    Release(Deed),
    /// Do what its kind calls `cancel`.
    Cancel(Deed),
    /// Do the same with all that a filter finds, a thousand at most. Without --yes it only says how many there are. Ctrl-C ends it: the
    /// rest is left alone.
    Bulk {
        /// retry, fire, hold, release or cancel.
        action: String,
        /// Which ones.
        #[command(flatten)]
        filter: FilterArgs,
        /// Transition to make, of `fire`.
        #[arg(long)]
        transition: Option<String>,
        /// Why.
        #[command(flatten)]
        why: Why,
        /// Do it.
        #[arg(long)]
        yes: bool,
        /// As many as were found before: with another number nothing is done.
        #[arg(long)]
        expected: Option<u64>,
        /// The same key does the same only once; a new one is made if not given.
        #[arg(long)]
        key: Option<String>,
        /// Where and as whom it is asked.
        #[command(flatten)]
        target: Target,
    },
}

/// A deed about one instance.
#[derive(Debug, clap::Args)]
pub struct Deed {
    /// Which one.
    #[command(flatten)]
    named: Named,
    /// Why.
    #[command(flatten)]
    why: Why,
    /// Where and as whom it is asked.
    #[command(flatten)]
    target: Target,
}

/// One instance.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// Kind of the resource, for example `returns`.
    kind: String,
    /// Its id.
    id: String,
}

/// Which instances; all that is given must hold.
#[derive(Debug, clap::Args)]
pub struct FilterArgs {
    /// Kind of the resource.
    #[arg(long)]
    kind: Option<String>,
    /// Name of the workflow.
    #[arg(long)]
    workflow: Option<String>,
    /// State.
    #[arg(long)]
    state: Option<String>,
    /// Whether they have ended.
    #[arg(long)]
    finished: Option<bool>,
    /// Only those that ask for a person.
    #[arg(long)]
    attention: bool,
    /// Only those that are held.
    #[arg(long)]
    held: bool,
    /// Id of the user they belong to.
    #[arg(long)]
    owner: Option<String>,
    /// Beginning of the digest of a component that has moved them, 6 hex digits or more.
    #[arg(long)]
    digest: Option<String>,
    /// A part of their id.
    #[arg(long)]
    text: Option<String>,
    /// How long ago they last changed at least, such as 5m.
    #[arg(long)]
    older_than: Option<String>,
}

impl FilterArgs {
    fn given(&self) -> Map<String, Value> {
        let texts = [
            ("kind", &self.kind),
            ("workflow", &self.workflow),
            ("state", &self.state),
            ("owner", &self.owner),
            ("digest", &self.digest),
            ("text", &self.text),
            ("olderThan", &self.older_than),
        ];
        let texts = texts.into_iter().filter_map(|(name, value)| Some((name, Value::from(value.clone()?))));
        let flags = [("attention", self.attention), ("held", self.held)].into_iter().filter(|(_, given)| *given);
        let finished = self.finished.map(|finished| ("finished", finished));
        let all = texts.chain(flags.chain(finished).map(|(name, value)| (name, Value::from(value))));
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let names = ["kind", "workflow", "state", "owner", "digest", "text", "olderThan", "attention", "held", "finished"];
        let given = self.given();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        names.into_iter().filter_map(|name| Some((name, text(given.get(name)?)))).collect()
    }
}

/// Ctrl-C, which closes the connection.
const INTERRUPTED: &str = "interrupted: the process leaves the rest alone as soon as it sees that nobody waits for its answer. What was done \
                           until then stays done and is in the audit log; the same command without --yes says how many are left";

/// `millrace instances`.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::List { filter, limit, cursor, target } => list(&target, &filter, limit, cursor),
        Command::Show { named, target } => target.ask(async |client, out| {
            let shown = client.get(&["instances", &named.kind, &named.id], &[]).await?;
            tell(&target, out, &shown, page)
        }),
        Command::Retry(deed) => act(&deed.target, "retry", &deed.named, json!({"reason": deed.why.reason})),
        Command::Hold(deed) => act(&deed.target, "hold", &deed.named, json!({"reason": deed.why.reason})),
        Command::Release(deed) => act(&deed.target, "release", &deed.named, json!({"reason": deed.why.reason})),
        Command::Cancel(deed) => act(&deed.target, "cancel", &deed.named, json!({"reason": deed.why.reason})),
        Command::Fire { named, transition, why, target } => {
            act(&target, "fire", &named, json!({"reason": why.reason, "transition": transition}))
        }
        Command::Bulk { action, filter, transition, why, yes, expected, key, target } => {
            let body = json!({
                "action": action, "filter": filter.given(), "reason": why.reason, "transition": transition, "preview": !yes, "expected": expected,
            });
            let key = key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
            target.ask(async |client, out| {
                let asked = client.post(&["instances", "bulk"], &body, yes.then_some(key.as_str()));
                let result = tokio::select! {
                    result = asked => result?,
                    _ = tokio::signal::ctrl_c() => bail!(INTERRUPTED),
                };
                tell(&target, out, &result, |result| bulk(result, yes))
            })
        }
    }
}

fn list(target: &Target, filter: &FilterArgs, limit: u32, cursor: Option<String>) -> ExitCode {
    let mut query = filter.query();
    query.push(("limit", limit.to_string()));
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    target.ask(async |client, out| {
        let page = client.get(&["instances"], &query).await?;
        tell(target, out, &page, |page| {
            let items = each(page, "items");
            let mut text: String = items.iter().map(|item| line(item) + "\n").collect();
            let _ = writeln!(text, "{} instances", items.len());
            if let Some(next) = page["nextCursor"].as_str() {
                let _ = writeln!(text, "there are more: --cursor {next}");
            }
            text
        })
    })
}

fn act(target: &Target, action: &str, named: &Named, body: Value) -> ExitCode {
    target.ask(async |client: &Client, out: &mut Printed| {
        let done = client.post(&["instances", &named.kind, &named.id, action], &body, None).await?;
        tell(target, out, &done, |done| format!("{}\n{}\n", word(&done["done"]), line(&done["instance"])))
    })
}

fn line(item: &Value) -> String {
    let mut line = format!("{} {} {} since {}", word(&item["kind"]), word(&item["id"]), word(&item["state"]), word(&item["lastUpdate"]));
    for (name, value) in [("owner", &item["owner"]), ("attention", &item["attention"]), ("held", &item["held"]["reason"])] {
        if let Some(value) = value.as_str() {
            let _ = write!(line, " {name}={value:?}");
        }
    }
    line
}

fn page(shown: &Value) -> String {
    let mut text = line(shown) + "\n";
    let _ = writeln!(text, "\ncourse");
    for stage in each(shown, "stages") {
        let _ = write!(text, "  {} {} by {}", word(&stage["enteredAt"]), word(&stage["state"]), word(&stage["transition"]));
        if let (Some(component), Some(digest)) = (stage["component"].as_str(), stage["digest"].as_str()) {
            let _ = write!(
                text,
                "; {component} {} attempt {}: {}",
                digest.get(..8).unwrap_or(digest),
                stage["attempts"],
                word(&stage["outcome"])
            );
        }
        if let Some(reason) = stage["reason"].as_str() {
            let _ = write!(text, " ({reason})");
        }
        text.push('\n');
        // What has ended the stay has changed them.
        let ended = stage["seq"].as_u64().map_or(0, |seq| seq + 1);
        for change in each(shown, "changes").iter().filter(|change| change["seq"] == ended) {
            let _ = writeln!(text, "    {}: {} -> {}", word(&change["field"]), held(&change["before"]), held(&change["after"]));
        }
    }
    let _ = writeln!(text, "\nnext");
    for next in each(shown, "next") {
        let _ = writeln!(text, "  {}", word(&next["text"]));
    }
    if !each(shown, "transitions").is_empty() {
        let _ = writeln!(text, "\nmay be fired");
        for one in each(shown, "transitions") {
            let _ = writeln!(text, "  {} -> {}", word(&one["transition"]), word(&one["to"]));
        }
    }
    if !each(shown, "actions").is_empty() {
        let _ = writeln!(text, "\nmay be done");
        for one in each(shown, "actions") {
            let _ = writeln!(text, "  {}", word(&one["command"]));
        }
    }
    text
}

/// What a field holds, in words.
fn held(value: &Value) -> String {
    if value["is"] == "value" { value["value"].to_string() } else { word(&value["is"]).replace('_', " ") }
}

fn bulk(result: &Value, done: bool) -> String {
    let mut text = String::new();
    let more = if result["more"] == true { " and more, which this leaves alone" } else { "" };
    if !done {
        for name in each(result, "first") {
            let _ = writeln!(text, "{}", word(name));
        }
        let _ = writeln!(text, "{} instances{more}; nothing was done: add --yes --expected {}", result["count"], result["count"]);
        return text;
    }
    for failed in result["failed"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "{} {}: {}", word(&failed["kind"]), word(&failed["id"]), word(&failed["detail"]));
    }
    let replayed = if result["replayed"] == true { "; it was done before, with the same key" } else { "" };
    let _ = writeln!(text, "done for {} of {} instances{more}{replayed}", result["done"], result["count"]);
    text
}
