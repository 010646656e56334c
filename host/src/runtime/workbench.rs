//! One component by itself, before it serves anywhere: judged as a host that runs would judge it, and tried.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value};

use super::attempt::{attempt, guest_job, own_of_attempt, terms};
use super::code_cache::CodeCache;
use super::components::slots;
use super::engine::{self, Ticker};
use super::guest_log::Line;
use super::kv::{GivenKv, KvSource};
use super::loader::{Found, Loader};
use super::sandbox::{Sandbox, Terms};
use super::slot::Slot;
use super::{ActiveVersion, ComponentSettings, InProcess, Job, Report, Verdict};
use crate::clock::Clock;

/// What there is to know of a file that would serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// What it says of itself.
    pub about: ActiveVersion,
    /// What it asks of the host, for example `millrace:step/log@0.1.0`.
    pub imports: Vec<String>,
    /// What it offers, for example `process`.
    pub exports: Vec<String>,
    /// Linear memories of all modules in the file.
    pub memories: u32,
    /// How long compiling took; no time if its code was kept.
    pub compiled_in: Option<Duration>,
    /// A signature was asked for, and is good.
    pub signed: bool,
}

/// A job that was done for a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// How it ended.
    pub report: Report,
    /// What it wrote to the log.
    pub lines: Vec<Line>,
}

/// A place to judge and try one component.
pub struct Workbench {
    loader: Loader,
    sandbox: Arc<Sandbox>,
    slot: Arc<Slot>,
    clock: Clock,
    _ticker: Ticker,
}

impl Workbench {
    /// For the file that `settings` name. `compiler` is the program whose hidden command `compiler` compiles; `services` are what grants of
    /// modules lead to, by the module's name; code is kept in the private folder `cache`, if anywhere.
    ///
    /// # Errors
    /// The engine does not start, the folder cannot be used, or a grant cannot.
    pub fn new(
        compiler: PathBuf,
        settings: ComponentSettings,
        services: &HashMap<String, InProcess>,
        cache: Option<&Path>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let engine = engine::serving(1)?;
        let kept = cache.map(|folder| CodeCache::open(folder, engine::fingerprint(&engine))).transpose()?.flatten();
        let ticker = Ticker::start(&engine)?;
        let sandbox = Arc::new(Sandbox::new(engine.clone(), clock.clone()));
        let slot = slots(vec![settings], services, &engine)?.into_values().next().context("there is one component")?;
        let loader = Loader::new(compiler, engine, kept, Arc::clone(&sandbox), clock.clone());
        Ok(Self { loader, sandbox, slot, clock, _ticker: ticker })
    }

    /// Judges the file as a host that runs would: read, compiled, linked, asked what it is.
    ///
    /// # Errors
    /// Why it would be refused, in the words of the host that runs: what is wrong with the file, and what to change.
    pub async fn examine(&self) -> anyhow::Result<Examined> {
        let _turn = self.slot.turn.lock().await;
        let version = match self.loader.look_at_file(&self.slot).await {
            Found::Refused(refusal) => return Err(anyhow!(refusal.reason)),
            Found::Version(version) => version,
            Found::Same | Found::StillRefused => self.slot.serving().context("the file was looked at before")?,
        };
        let compiled_in =
            self.loader.compilations().into_iter().find(|compilation| !compilation.cached).map(|compilation| compilation.took);
        // Each build of an author is another file: their folder would grow without end.
        self.loader.tidy(HashSet::from([version.digest.to_string()])).await;
        let outline = &version.outline;
        let (imports, exports) = (outline.imports.clone(), outline.exports.clone());
        let signed = !self.slot.settings.signatures.keys.is_empty();
        let examined = Examined { about: version.about.clone(), imports, exports, memories: outline.memories, compiled_in, signed };
        self.slot.serve((*version).clone());
        Ok(examined)
    }

    /// Has the file that was [examined](Self::examine) do one job with what it is granted; `step_config` goes over its configuration, key by key;
    /// `kv` is the state that it finds.
    ///
    /// # Errors
    /// No file was found good.
    pub async fn run(&self, job: Job, step_config: Option<&Map<String, Value>>, kv: GivenKv) -> anyhow::Result<Tried> {
        let version = self.slot.serving().context("no file was found good")?;
        let kv: Arc<dyn KvSource> = Arc::new(kv);
        let own = own_of_attempt(&self.slot, &version, (&job.kind, &job.instance_id), &kv);
        let terms = Terms { keeps_lines: true, ..terms(&self.slot, &version, &job, own) };
        let job = guest_job(&self.clock, job, self.slot.config_for(step_config));
        let (report, lines) = attempt(&self.sandbox, &version, terms, &job, Instant::now()).await;
        Ok(Tried { report: report.map(|answer| answer.unwrap_or_else(Verdict::Transient)), lines })
    }
}
