//! Loads components as a start would, without keeping or running anything: what `millrace validate` asks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;

use super::ComponentSettings;
use super::engine::{self, Ticker};
use super::fitting::clash;
use super::guest::linker;
use super::loader::{Found, Loader};
use super::sandbox::Sandbox;
use super::slot::Slot;
use crate::clock::Clock;

/// A component that a start would not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Name of its module.
    pub module: String,
    /// Its file, what is wrong with it, and what to do.
    pub reason: String,
}

/// Reads, compiles, links and asks each component what it is; `compiler` is the program whose hidden command `compiler` compiles. Nothing is
/// kept, so all are compiled, and leave the processors to runs that are served `beside_runs`.
///
/// # Errors
/// The engine does not start, or a component's grants cannot be linked.
pub async fn check(
    compiler: PathBuf,
    components: Vec<ComponentSettings>,
    clock: Clock,
    beside_runs: bool,
) -> anyhow::Result<Vec<Rejected>> {
    let engine = engine::serving(1)?;
    let _ticker = Ticker::start(&engine)?;
    let sandbox = Arc::new(Sandbox::new(engine.clone(), clock.clone()));
    let loader = Loader::new(compiler, engine.clone(), None, sandbox, clock);
    if beside_runs {
        loader.stand_back();
    }
    let (mut rejected, mut taken) = (Vec::new(), BTreeMap::new());
    for settings in components {
        let linker = linker(&engine, &settings.capabilities)
            .map_err(|error| anyhow!("component '{}' cannot be linked: {error:#}", settings.name))?;
        // Nothing is called, so nothing is granted.
        let slot = Arc::new(Slot::new(settings, Arc::default(), linker, 1));
        let name = slot.settings.name.clone();
        match loader.look_at_file(&slot).await {
            Found::Refused(refusal) => rejected.push(Rejected { module: name, reason: refusal.reason }),
            Found::Version(version) => match clash(&taken, &slot, &version) {
                Some(why) => rejected.push(Rejected { module: name, reason: format!("'{}' {why}", slot.settings.source) }),
                None => {
                    slot.serve((*version).clone());
                    taken.insert(name, slot);
                }
            },
            Found::Same | Found::StillRefused => {}
        }
    }
    Ok(rejected)
}
