//! `millrace top`: what the processes of an installation are doing, live in a terminal or once as text.
//!
//! Reads nothing but `/metrics` and `/healthz`, so it works from anywhere and on anything that can be scraped.

mod address;
mod page;
mod reading;
mod screen;

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use self::page::Page;
use self::reading::{Reader, Reading};
use self::screen::{Key, Screen};

/// How long one process may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(900);

/// Shows the processes at `urls` (each like `http://127.0.0.1:8080`) again and again, or, with `once` or without a terminal, one time in `out`.
/// `token` is for those that tell their metrics only to who knows it; an empty one is none.
pub(super) fn run(urls: &[String], token: Option<&str>, once: bool, interval: Duration, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reader = Reader::new(urls, token.map(str::trim).filter(|token| !token.is_empty()), ANSWER_LIMIT)?;
    let first = runtime.block_on(reader.read());
    if once || !std::io::stdout().is_terminal() {
        return show_once(&runtime, &reader, &first, interval, out);
    }
    let mut screen = Screen::open();
    let mut last = first;
    loop {
        let now = runtime.block_on(reader.read());
        let (page, next) = (Page::of(&last, &now), Instant::now() + interval);
        screen.draw(&page)?;
        loop {
            match screen.key_until(next)? {
                Key::Quit => return Ok(ExitCode::SUCCESS),
                Key::Moved => screen.draw(&page)?,
                Key::None => break,
            }
        }
        last = now;
    }
}

/// Rates need two readings, so this takes one interval.
fn show_once(
    runtime: &tokio::runtime::Runtime,
    reader: &Reader,
    first: &[Reading],
    interval: Duration,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let second = runtime.block_on(async {
        tokio::time::sleep(interval).await;
        reader.read().await
    });
    write!(out, "{}", Page::of(first, &second))?;
    let answered = second.iter().all(|reading| reading.problem.is_none());
    Ok(if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
