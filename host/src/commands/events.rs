//! What an operator does about events: look at dead letters, send them again, publish a stretch of time again. All of it
//! works beside a running process.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};

use super::audit::actor;
use super::printed::printing;
use super::{database, one_worker, plan_for_repair};
use crate::bus::kafka::Settings;
use crate::bus::kafka::dead_letters::{self, DeadLetter, Failed};
use crate::clock::Clock;
use crate::plan::{Bus, Plan};
use crate::store::{self, AuditEntry, offline};

/// Characters of a payload that a list shows.
const SHOWN: usize = 120;

/// Where the dead letters of a config are.
enum Place {
    /// Beside their topics; what is done to them is written to the database, if there is one.
    Kafka(Settings, Option<PathBuf>),
    /// In the database, where there is no broker.
    Database(PathBuf),
}

/// `millrace dlq list`: one line per dead letter that was not sent again.
#[must_use]
pub fn list_dead_letters(config: &Path, topics: &[String]) -> ExitCode {
    printing(|out| {
        let Some((place, topics)) = letters_of(config, topics)? else { return Ok(ExitCode::FAILURE) };
        let (lines, failed): (Vec<String>, Vec<Failed>) = match &place {
            Place::Kafka(settings, _) => {
                let listed = dead_letters::list(settings, &topics)?;
                (listed.letters.iter().map(line).collect(), listed.failed)
            }
            Place::Database(path) => {
                let letters = offline::dead_letters(path)?.into_iter().filter(|letter| topics.contains(&letter.event.topic));
                (letters.map(|letter| line(&kept(letter))).collect(), Vec::new())
            }
        };
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        writeln!(out, "{} dead letters in {} topics", lines.len(), topics.len() - failed.len())?;
        tell(&failed)
    })
}

/// `millrace dlq discard`: takes dead letters of a topic from the list, up to the one with the offset `through` if there is one.
#[must_use]
pub fn discard_dead_letters(config: &Path, topic: &str, through: Option<i64>) -> ExitCode {
    printing(|out| {
        let Some((place, _)) = letters_of(config, &[topic.to_owned()])? else { return Ok(ExitCode::FAILURE) };
        let entry = deed("dlq.discard", topic, through.map(|through| format!("up to {through}")));
        let discarded = match &place {
            Place::Kafka(settings, database) => {
                let discarded = dead_letters::discard(settings, topic, through)?;
                note(database.as_deref(), (discarded > 0).then_some(entry))?;
                discarded
            }
            Place::Database(path) => {
                let through = through.map(u64::try_from).transpose().context("a dead letter has a number from 1")?;
                let unknown = |number: &u64| format!("the list has no dead letter {number} of '{topic}'");
                if let Some(number) = through {
                    let letters = offline::dead_letters(path)?;
                    let there = letters.iter().any(|letter| letter.id == number && letter.event.topic == topic);
                    anyhow::ensure!(there, unknown(&number));
                }
                usize::try_from(offline::discard(path, topic, through, entry)?)?
            }
        };
        out.done(&format!("{discarded} dead letters are not listed and not sent any more"))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace dlq redrive`: sends dead letters to their topics again; without a broker, has the process publish their events again.
#[must_use]
pub fn redrive_dead_letters(config: &Path, topics: &[String]) -> ExitCode {
    printing(|out| {
        let Some((place, topics)) = letters_of(config, topics)? else { return Ok(ExitCode::FAILURE) };
        let entry = deed("dlq.redrive", &topics.join(","), None);
        match &place {
            Place::Kafka(settings, database) => {
                let runtime = one_worker()?;
                let sent = runtime.block_on(dead_letters::redrive(settings, &topics))?;
                note(database.as_deref(), (sent.letters > 0).then_some(entry))?;
                out.done(&format!("{} dead letters were sent again, as {} events", sent.letters, sent.events))?;
                tell(&sent.failed)
            }
            Place::Database(path) => {
                let sent = offline::redrive(path, &topics, entry)?;
                out.done(&format!(
                    "{} dead letters wait to be published again, as {} events: the process that has them does it within seconds, or when it starts",
                    sent.letters, sent.events
                ))?;
                if sent.forgotten > 0 {
                    bail!(
                        "{} dead letters stay, because their events are older than what the database keeps of events: `dlq discard` takes them from the list",
                        sent.forgotten
                    );
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

/// What the audit log is to say of what is done to dead letters.
fn deed(action: &str, topics: &str, reason: Option<String>) -> AuditEntry {
    actor().did(Clock::system().now(), action, format!("topics/{topics}"), reason)
}

/// Writes it to the database. What was done to a broker was done all the same if that cannot be.
fn note(database: Option<&Path>, entry: Option<AuditEntry>) -> anyhow::Result<()> {
    let Some((database, entry)) = database.zip(entry) else { return Ok(()) };
    offline::note(database, entry).context("it was done, and cannot be written to the audit log")
}

/// Says of which topics something could not be done. The others are done.
fn tell(failed: &[Failed]) -> anyhow::Result<ExitCode> {
    let mut err = std::io::stderr().lock();
    failed.iter().try_for_each(|Failed { topic, reason }| writeln!(err, "millrace: topic '{topic}': {reason}"))?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `millrace republish`: makes events unpublished again; the process that has the database publishes them within seconds, or
/// as soon as it is started.
#[must_use]
pub fn republish(config: &Path, since: &str) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, "it has no events")? else { return Ok(ExitCode::FAILURE) };
        let since = time(since, Clock::system().now())?;
        let events = offline::republish(&database, since)?;
        out.done(&format!(
            "{events} events since {since} wait to be published again: the process that has them does it as soon as its bus is there"
        ))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Where the dead letters are, and those of which topics: all that the config knows, or that there are, unless some are given.
fn letters_of(config: &Path, wanted: &[String]) -> anyhow::Result<Option<(Place, Vec<String>)>> {
    let Some(plan) = plan_for_repair(config)? else { return Ok(None) };
    let in_database = plan.database.is_some() && !matches!(plan.bus, Some(Bus::Kafka(_)));
    if in_database && database(config, "no event is kept")?.is_none() {
        return Ok(None);
    }
    let (place, known) = place_of(&plan).with_context(|| config.display().to_string())?;
    if let Some(unknown) = wanted.iter().find(|topic| !known.contains(*topic)) {
        bail!("'{unknown}' is no topic of {}; it has {}", config.display(), known.into_iter().collect::<Vec<_>>().join(", "));
    }
    Ok(Some((place, if wanted.is_empty() { known.into_iter().collect() } else { wanted.to_vec() })))
}

fn place_of(plan: &Plan) -> anyhow::Result<(Place, BTreeSet<String>)> {
    let bus = plan.bus.as_ref().context("there is no messaging.kafka and no messaging.broker, so there are no events")?;
    let mut known: BTreeSet<String> = bus.topics().iter().cloned().collect();
    if let Bus::Kafka(settings) = bus {
        // A gateway to the topics may have none, and one that was never started has none yet.
        let database = plan.database.as_ref().map(|database| database.path.clone()).filter(|path| path.is_file());
        return Ok((Place::Kafka(settings.clone(), database), known));
    }
    let database = plan.database.as_ref().context("there is no persistence.store, so no event is kept")?;
    known.extend(offline::dead_letters(&database.path)?.into_iter().map(|letter| letter.event.topic));
    Ok((Place::Database(database.path.clone()), known))
}

/// A dead letter of the database as one of a topic: its number is its place.
fn kept(letter: store::DeadLetter) -> DeadLetter {
    DeadLetter {
        topic: letter.event.topic,
        partition: 0,
        offset: i64::try_from(letter.id).unwrap_or(i64::MAX),
        key: letter.event.key,
        event_id: Some(letter.event.event_id),
        group: String::new(),
        consumer: letter.consumer,
        reason: letter.reason,
        payload: Some(letter.event.payload.as_bytes().to_vec()),
        lost: false,
    }
}

fn line(letter: &DeadLetter) -> String {
    let payload = letter.payload.as_deref().map(String::from_utf8_lossy);
    let none = if letter.lost { "(not kept)" } else { "(no value)" };
    let payload: String = payload.as_deref().unwrap_or(none).chars().take(SHOWN).collect();
    let DeadLetter { topic, partition, offset, key, event_id, group, consumer, reason, .. } = letter;
    let offset = if *partition == 0 { offset.to_string() } else { format!("{partition}/{offset}") };
    let (key, id, group, consumer) = (word(key), word(event_id.as_deref().unwrap_or_default()), word(group), word(consumer));
    format!("{topic} {offset} key={key} id={id} group={group} consumer={consumer} reason={reason:?} event={payload:?}")
}

/// A word as it is; quoted if it is anything else, which somebody else may have written; `-` for none.
fn word(text: &str) -> String {
    let is_word = text.chars().all(|character| character.is_ascii_graphic() && !"\"=".contains(character));
    match text {
        "" => "-".to_owned(),
        word if is_word => word.to_owned(),
        other => format!("{other:?}"),
    }
}

/// A point in time, or how long ago it was.
fn time(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || format!("'{text}' is no time: write 2026-01-31T12:00:00Z, or how long ago it was, such as 90m or 2days");
    let ago: Duration = humantime::parse_duration(text).with_context(wrong)?;
    let ago = SignedDuration::try_from(ago).with_context(wrong)?;
    now.checked_sub(ago).with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_cannot_look_like_what_the_list_says() {
        let shown = ["", "return-1", "trigger:a:b", "x group=y", "\u{1b}[31mred", "a\nb"].map(word);
        assert_eq!(shown, ["-", "return-1", "trigger:a:b", "\"x group=y\"", "\"\\u{1b}[31mred\"", "\"a\\nb\""]);
    }

    #[test]
    fn a_time_is_written_as_such_or_as_how_long_ago() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(time("2026-01-30T00:00:00Z", now).unwrap().to_string(), "2026-01-30T00:00:00Z");
        assert_eq!(time("90m", now).unwrap().to_string(), "2026-01-31T10:30:00Z");
        let wrong = time("yesterday", now).unwrap_err().to_string();
        assert!(wrong.contains("'yesterday'") && wrong.contains("90m"), "{wrong}");
    }
}
