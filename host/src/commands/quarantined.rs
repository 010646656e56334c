//! What an operator does about runs that were set aside: look at them, and give them another chance. Works beside a running process.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use super::audit::actor;
use super::database;
use super::printed::printing;
use crate::clock::Clock;
use crate::store::{StepRun, offline};

/// What a config without a database lacks.
const NOTHING: &str = "nothing can be quarantined";

/// `millrace quarantined list`: one line for each run.
#[must_use]
pub fn list(config: &Path) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, NOTHING)? else { return Ok(ExitCode::FAILURE) };
        let quarantined = offline::parked(&database)?;
        quarantined.iter().try_for_each(|run| writeln!(out, "{}", line(run)))?;
        writeln!(out, "{} quarantined runs", quarantined.len())?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace quarantined release`: lets the runs with these keys go on, or `all` of them; a running process takes them up within seconds.
#[must_use]
pub fn release(config: &Path, keys: &[String], all: bool) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, NOTHING)? else { return Ok(ExitCode::FAILURE) };
        let now = Clock::system().now();
        let entry = |key: &str| actor().did(now, "quarantined.release", format!("runs/{key}"), None);
        if all {
            let count = offline::release_all(&database, now, entry)?;
            out.done(&format!("{count} quarantined runs go on"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let entries = keys.iter().map(|key| entry(key)).collect();
        let unknown = offline::release(&database, keys, now, entries)?;
        if !unknown.is_empty() {
            bail!(
                "no quarantined run has the key {}; `millrace quarantined list` shows those that are. Nothing was changed",
                unknown.join(", ")
            );
        }
        out.done(&format!("{} quarantined runs go on", keys.len()))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn line(run: &StepRun) -> String {
    let StepRun { key, resource_kind, resource_id, name, component, attempt, crashes, .. } = run;
    let reason = run.last_error.as_deref().unwrap_or("-");
    format!("{key} {resource_kind}={resource_id} step={name} component={component} attempt={attempt} crashes={crashes} reason={reason:?}")
}
