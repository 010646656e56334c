//! Whether an order is on the disk before anybody is told of it. A kill leaves to the system what the system has not written yet, so it cannot
//! show that; the calls that the program makes can.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::customers::{Customer, Market};
use crate::journal::{self, Entry, Journal};
use crate::schedule::{Shape, Target};
use crate::stack::{Places, Stack};

/// How many buy at the same time.
const CUSTOMERS: u64 = 6;
/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(900);
/// How many letters of what is written are in the trace: a page of the database, each of its bytes at most four.
const LETTERS: &str = "4200";
/// What an order's id begins with, and how long it is.
const ID: (&str, usize) = ("order-", 42);

/// What a trace of system calls says of answers and of the write-ahead log.
#[derive(Debug, Default)]
pub struct Told {
    /// Answers that told of a new order.
    pub answers: u64,
    /// Orders that were told of before the log with them was on the disk.
    pub too_early: BTreeSet<String>,
    /// How often the log was put on the disk.
    pub syncs: u64,
    /// Orders in the log that are not on the disk yet.
    written: BTreeSet<String>,
    on_disk: BTreeSet<String>,
    /// By thread, what a call that has not returned will have put on the disk.
    syncing: BTreeMap<String, BTreeSet<String>>,
}

impl Told {
    /// Takes the next line of a trace: number of the thread, call, and what came of it.
    pub fn take(&mut self, line: &str) {
        let thread = line.split(' ').next().unwrap_or_default();
        let is_of_log = line.contains(".db-wal>");
        if line.contains("sync resumed>") {
            let synced = self.syncing.remove(thread);
            self.synced(synced);
        } else if line.contains("sync(") && is_of_log {
            // What is written while it goes on it need not have seen.
            let synced = std::mem::take(&mut self.written);
            if line.ends_with("<unfinished ...>") {
                self.syncing.insert(thread.to_owned(), synced);
            } else {
                self.synced(Some(synced));
            }
        } else if line.contains("HTTP/1.1 201 ") && !line.contains(" resumed>") {
            // An account is told of by a 201 too.
            if let Some(id) = ids(line).next() {
                self.answers += 1;
                if !self.on_disk.contains(id) {
                    self.too_early.insert(id.to_owned());
                }
            }
        } else if is_of_log && line.contains("write") {
            let new = ids(line).filter(|id| !self.on_disk.contains(*id));
            self.written.extend(new.map(ToOwned::to_owned));
        }
    }

    fn synced(&mut self, orders: Option<BTreeSet<String>>) {
        if let Some(orders) = orders {
            self.syncs += 1;
            self.on_disk.extend(orders);
        }
    }
}

fn ids(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices(ID.0).filter_map(|(at, _)| line.get(at..at + ID.1)).filter(|id| !id.contains('\\'))
}

/// Has customers buy until so many orders were acknowledged, and reads what the program asked the system for meanwhile.
pub async fn watch(places: &Places, folder: &Path, answers: usize) -> anyhow::Result<Told> {
    fs::create_dir_all(folder)?;
    let file = folder.join("journal.jsonl");
    let journal = Arc::new(Journal::open(&file)?);
    let mut stack = Stack::new(places, Shape::Monolith, folder, Arc::clone(&journal)).await?;
    let (trace, script) = (folder.join("trace"), folder.join("traced"));
    let calls = "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg";
    let strace = format!("strace -f --seccomp-bpf -qq -y -s {LETTERS} -e signal=none -e {calls} -o {}", trace.display());
    fs::write(&script, format!("#!/bin/sh\nexec {strace} {} \"$@\"\n", places.program.display()))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    stack.orders()?.binary = script;
    stack.start().await?;

    let market = Arc::new(Market::new(journal));
    let (foreign, mut buying) = (Arc::default(), JoinSet::new());
    for number in 0..CUSTOMERS {
        buying.spawn(Customer::register(number, 1, stack.base(), Arc::clone(&market), Arc::clone(&foreign)).await?.buy());
    }
    let deadline = Instant::now() + LIMIT;
    loop {
        let created = journal::read(&file)?.iter().filter(|line| matches!(line.entry, Entry::Created { .. })).count();
        if created >= answers {
            break;
        }
        ensure!(Instant::now() < deadline, "only {created} orders were acknowledged within {LIMIT:?}");
        sleep(Duration::from_secs(1)).await;
    }
    market.closed.store(true, Ordering::Relaxed);
    while let Some(bought) = buying.join_next().await {
        bought.context("a customer panicked")?;
    }
    for member in stack.of(Target::Shop) {
        member.stop().await?;
    }
    let mut told = Told::default();
    for line in BufReader::new(fs::File::open(&trace)?).split(b'\n') {
        told.take(&String::from_utf8_lossy(&line?));
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "order-01a226c1-584c-7344-85f7-719605c83d85";

    fn told(lines: &[&str]) -> (u64, usize) {
        let mut told = Told::default();
        lines.iter().for_each(|line| told.take(&line.replace("ORDER", ORDER)));
        (told.answers, told.too_early.len())
    }

    const WRITE: &str = r#"7 pwrite64(5</a/ecommerce.db-wal>, "\1\2ORDER\3", 4096, 56) = 4096"#;
    const SYNC: &str = "7 fdatasync(5</a/ecommerce.db-wal>) = 0";
    const ANSWER: &str = r#"8 sendto(9<socket:[1]>, "HTTP/1.1 201 Created\r\n\r\n{\"id\":\"ORDER\"}", 99, 0, NULL, 0) = 99"#;

    #[test]
    fn what_is_on_the_disk_may_be_told() {
        assert_eq!(told(&[WRITE, SYNC, ANSWER]), (1, 0));
        let begun = "7 fdatasync(5</a/ecommerce.db-wal> <unfinished ...>";
        assert_eq!(told(&[WRITE, begun, "7 <... fdatasync resumed>) = 0", ANSWER]), (1, 0));
    }

    #[test]
    fn what_is_not_may_not() {
        assert_eq!(told(&[WRITE, ANSWER, SYNC]), (1, 1));
        assert_eq!(told(&[ANSWER]), (1, 1));
        assert_eq!(told(&[SYNC, WRITE, ANSWER]), (1, 1));
        let begun = "7 fdatasync(5</a/ecommerce.db-wal> <unfinished ...>";
        assert_eq!(told(&[WRITE, begun, ANSWER, "7 <... fdatasync resumed>) = 0"]), (1, 1));
        assert_eq!(told(&[begun, WRITE, "7 <... fdatasync resumed>) = 0", ANSWER]), (1, 1));
        assert_eq!(told(&[WRITE, "7 fdatasync(6</a/ecommerce.db>) = 0", ANSWER]), (1, 1));
    }

    #[test]
    fn an_account_is_no_order() {
        assert_eq!(told(&[r#"8 sendto(9<socket:[1]>, "HTTP/1.1 201 Created\r\n\r\n{\"user\":{}}", 99, 0, NULL, 0) = 99"#]), (0, 0));
    }
}
