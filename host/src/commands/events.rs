//! What an operator does about events: look at dead letters, send them again, publish a stretch of time again. All of it
//! works beside a running process.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};

use super::printed::printing;
use super::{database, plan};
use crate::app;
use crate::bus::kafka::Settings;
use crate::bus::kafka::dead_letters::{self, Letter};
use crate::clock::Clock;
use crate::plan::Plan;
use crate::store::sqlite::beside;

/// Characters of a payload that a list shows.
const SHOWN: usize = 120;

/// `millrace dlq list`: one line per dead letter that was not sent again.
#[must_use]
pub fn list_dead_letters(config: &Path, topics: &[String]) -> ExitCode {
    printing(|out| {
        let Some((settings, topics)) = letters_of(config, topics)? else { return Ok(ExitCode::FAILURE) };
        let letters = dead_letters::list(&settings, &topics)?;
        letters.iter().try_for_each(|letter| writeln!(out, "{}", line(letter)))?;
        writeln!(out, "{} dead letters in {} topics", letters.len(), topics.len())?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace dlq discard`: takes dead letters of a topic from the list, up to the one with the offset `through` if there is one.
#[must_use]
pub fn discard_dead_letters(config: &Path, topic: &str, through: Option<i64>) -> ExitCode {
    printing(|out| {
        let Some((settings, _)) = letters_of(config, &[topic.to_owned()])? else { return Ok(ExitCode::FAILURE) };
        let discarded = dead_letters::discard(&settings, topic, through)?;
        writeln!(out, "{discarded} dead letters are not listed and not sent any more")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace dlq redrive`: sends dead letters to their topics again.
#[must_use]
pub fn redrive_dead_letters(config: &Path, topics: &[String]) -> ExitCode {
    printing(|out| {
        let Some((settings, topics)) = letters_of(config, topics)? else { return Ok(ExitCode::FAILURE) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let sent = runtime.block_on(dead_letters::redrive(&settings, &topics))?;
        writeln!(out, "{} dead letters were sent again, as {} events", sent.letters, sent.events)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace republish`: makes events unpublished again; the process that has the database publishes them within seconds, or
/// as soon as it is started.
#[must_use]
pub fn republish(config: &Path, since: &str) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, "it has no events")? else { return Ok(ExitCode::FAILURE) };
        let since = time(since, Clock::system().now())?;
        let events = beside::republish(&database, since)?;
        writeln!(
            out,
            "{events} events since {since} wait to be published again: the process that has them does it as soon as its bus is there"
        )?;
        Ok(ExitCode::SUCCESS)
    })
}

/// How to reach the dead letters, and those of which topics: all that the config knows unless some are given.
fn letters_of(config: &Path, wanted: &[String]) -> anyhow::Result<Option<(Settings, Vec<String>)>> {
    let Some(plan) = plan(config)? else { return Ok(None) };
    let (settings, known) = kafka(&plan).with_context(|| config.display().to_string())?;
    if let Some(unknown) = wanted.iter().find(|topic| !known.contains(topic)) {
        bail!("'{unknown}' is no topic of {}; it has {}", config.display(), known.join(", "));
    }
    Ok(Some((settings, if wanted.is_empty() { known } else { wanted.to_vec() })))
}

fn kafka(plan: &Plan) -> anyhow::Result<(Settings, Vec<String>)> {
    let settings = plan.bus.as_ref().and_then(app::kafka_settings);
    let settings = settings.context("there is no messaging.kafka; dead letters of messaging.broker stay in its database")?;
    let topics = settings.topics.clone();
    Ok((settings, topics))
}

fn line(letter: &Letter) -> String {
    let payload = letter.payload.as_deref().map(String::from_utf8_lossy);
    let payload: String = payload.as_deref().unwrap_or("(not kept)").chars().take(SHOWN).collect();
    let Letter { topic, offset, key, event_id, group, consumer, reason, .. } = letter;
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
