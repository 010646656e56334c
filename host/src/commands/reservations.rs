//! What an operator does about goods that nobody needs any more and that are reserved all the same. Works beside a running process.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use super::audit::actor;
use super::database_that;
use super::printed::printing;
use crate::clock::Clock;
use crate::plan::Plan;
use crate::store::{HeldReservation, offline};

/// What a config without a database lacks.
const NOTHING: &str = "nothing can be reserved";

/// `millrace reservations list`: one line for each key under which something is reserved.
#[must_use]
pub fn list(config: &Path) -> ExitCode {
    printing(|out| {
        let Some(database) = database_that(config, NOTHING, keeps_stock)? else { return Ok(ExitCode::FAILURE) };
        let held = offline::held(&database)?;
        held.iter().try_for_each(|one| writeln!(out, "{}", line(one)))?;
        let units: u64 = held.iter().map(HeldReservation::units).sum();
        writeln!(out, "{} reservations of {units} units", held.len())?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace reservations release`: gives back what is reserved under these keys. A reservation that comes under one later finds it ended.
#[must_use]
pub fn release(config: &Path, keys: &[String]) -> ExitCode {
    printing(|out| {
        let Some(database) = database_that(config, NOTHING, keeps_stock)? else { return Ok(ExitCode::FAILURE) };
        let now = Clock::system().now();
        let did = |key: &String| (key.clone(), actor().did(now, "reservations.release", format!("reservations/{key}"), None));
        let unknown = offline::release_reservations(&database, keys.iter().map(did).collect())?;
        if !unknown.is_empty() {
            bail!(
                "nothing is reserved under the key {}; `millrace reservations list` shows what is. Nothing was changed",
                unknown.join(", ")
            );
        }
        out.done(&format!("{} reservations are given back", keys.len()))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn keeps_stock(plan: &Plan) -> bool {
    plan.resources.iter().any(|handler| handler.stock_field.is_some())
}

fn line(held: &HeldReservation) -> String {
    let lines: Vec<String> = held.lines.iter().map(|(sku, units)| format!("{sku}={units}")).collect();
    format!("{} {}", held.key, lines.join(" "))
}
