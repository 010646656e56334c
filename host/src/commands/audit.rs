//! The audit log, for who looks after it: whether it is whole, and all of it. Works beside a running process.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::printed::printing;
use super::{Output, database};
use crate::services::audit::Actor;
use crate::store::offline::{self, Verified};
use crate::store::{AuditEntry, AuditRow};

/// What a config without a database lacks.
const NOTHING: &str = "it has no audit log";
/// Where the system keeps the names of its users.
const USERS: &str = "/etc/passwd";

/// Who calls a command: the user of the system.
pub(super) fn actor() -> Actor {
    let user = rustix::process::getuid().as_raw();
    let name = std::fs::read_to_string(USERS).ok().and_then(|users| name_of(user, &users));
    Actor { id: format!("cli:{}", name.unwrap_or_else(|| user.to_string())), ..Actor::default() }
}

/// The name of a user in a file such as `/etc/passwd`.
fn name_of(user: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(user)).then(|| name.to_owned())
    })
}

/// A row that somebody has noted: `<number>:<hash>`.
///
/// # Errors
/// It is none.
pub fn noted(text: &str) -> Result<(u64, String), String> {
    let wrong = || "expected <number>:<hash> of a row, such as 42:9f86d081..., as `audit verify` prints it".to_owned();
    let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let seq = seq.parse().ok().filter(|seq| *seq > 0 && is_hash).ok_or_else(wrong)?;
    Ok((seq, hash.to_owned()))
}

/// `millrace audit verify`: says whether the log is as it was written.
#[must_use]
pub fn verify(config: &Path, noted: Option<(u64, String)>, output: Output) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, NOTHING)? else { return Ok(ExitCode::FAILURE) };
        let Verified { chain, last_at, broken } = offline::verify_audit(&database)?;
        let unlike = match &noted {
            Some((seq, hash)) if broken.is_none() => !has(&database, *seq, hash)?,
            _ => false,
        };
        let why = broken.map(|broken| broken.to_string()).or_else(|| {
            noted.filter(|_| unlike).map(|(seq, _)| format!("row {seq} is not the one that was noted: the log was written anew, or cut"))
        });
        if output == Output::Json {
            let last = (chain.seq > 0).then(|| json!({"seq": chain.seq, "hash": chain.hash, "at": last_at}));
            writeln!(out, "{:#}", json!({"whole": why.is_none(), "rows": chain.seq, "last": last, "broken": why}))?;
        } else if let Some(why) = &why {
            writeln!(out, "the audit log is NOT whole: {why}. The {} rows before are as they were written", chain.seq)?;
        } else if let Some(at) = last_at {
            writeln!(out, "{} rows, whole. The last is of {at}; note it elsewhere as {}:{}", chain.seq, chain.seq, chain.hash)?;
        } else {
            writeln!(out, "0 rows, whole")?;
        }
        Ok(if why.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Whether the row of that number has this hash.
fn has(database: &Path, seq: u64, hash: &str) -> anyhow::Result<bool> {
    let mut found = false;
    // The first is the one; no other is asked for.
    let _first = offline::audited(database, seq - 1, |row| {
        found = row.seq == seq && row.hash == hash;
        Err::<(), _>(())
    })?;
    Ok(found)
}

/// `millrace audit export`: the rows after `after`, a line each.
#[must_use]
pub fn export(config: &Path, after: u64, output: Output) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, NOTHING)? else { return Ok(ExitCode::FAILURE) };
        offline::audited(&database, after, |row| {
            let text = if output == Output::Json { serde_json::to_string(&row)? } else { line(&row) };
            writeln!(out, "{text}").map_err(anyhow::Error::from)
        })??;
        Ok(ExitCode::SUCCESS)
    })
}

fn line(row: &AuditRow) -> String {
    let AuditEntry { at, actor, action, subject, version_before, version_after, reason, address, .. } = &row.entry;
    let version = |version: &Option<u64>| version.map_or("-".to_owned(), |version| version.to_string());
    let (before, after) = (version(version_before), version(version_after));
    let (reason, address) = (reason.as_deref().unwrap_or("-"), address.as_deref().unwrap_or("-"));
    format!("{} {at} {actor} {action} {subject:?} version={before}->{after} from={address} reason={reason:?}", row.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_called_as_the_system_calls_them() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!((name_of(1000, users), name_of(1, users)), (Some("ada".into()), None));
    }

    #[test]
    fn a_noted_row_is_a_number_and_a_hash() {
        let hash = "0f".repeat(32);
        assert_eq!(noted(&format!("7:{hash}")), Ok((7, hash.clone())));
        for wrong in ["", "7", &hash, "0:00", &format!("0:{hash}"), &format!("7:{}", hash.to_uppercase())] {
            assert!(noted(wrong).is_err(), "{wrong}");
        }
    }
}
