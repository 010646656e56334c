//! Which processes share a database on a server.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::printed::printing;
use super::{Output, plan_for_repair};
use crate::store::{self, Owner, SLOTS};

/// `millrace owners`: a line for each process that has the database of this config open.
#[must_use]
pub fn list(config: &Path, output: Output) -> ExitCode {
    printing(|out| {
        let Some(plan) = plan_for_repair(config)? else { return Ok(ExitCode::FAILURE) };
        let database = plan.database.with_context(|| format!("{} has no database, so no processes share one", config.display()))?;
        let Some(server) = &database.server else {
            bail!(
                "with the variables of this shell the database of {} is a file of SQLite, which is one process's at a time: nobody shares it. Where a \
                 variable such as DATABASE_URL says where the server is, set it here as the service has it",
                config.display()
            );
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let owners = runtime.block_on(store::owners(server))?;
        if output == Output::Json {
            writeln!(out, "{:#}", serde_json::json!(owners))?;
            return Ok(ExitCode::SUCCESS);
        }
        owners.iter().try_for_each(|owner| writeln!(out, "{}", line(owner)))?;
        writeln!(out, "{} processes", owners.len())?;
        Ok(ExitCode::SUCCESS)
    })
}

fn line(owner: &Owner) -> String {
    let Owner { id, host, pid, started_at, heartbeat_age, runs, slots } = owner;
    format!("{id} host={host} pid={pid} started={started_at:.0} heartbeat={heartbeat_age:.1}s runs={runs} slots={slots}/{SLOTS}")
}
