//! The config of this process, for those who want to change it: read and judged as it would be at a start, written as a whole, and taken as far
//! as that goes without one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use parking_lot::RwLock;
use rustix::fs::{Access, access};

use super::live::Switch;
use crate::config::{self, Environment};
use crate::durable;
use crate::plan::Plan;
use crate::services::console::{Changed, Configs, Judged, Outward, TakeOver, Written, digest};

/// The file that the process was started from.
pub(super) struct ConfigFile {
    path: PathBuf,
    /// Without secrets: whoever asks is told what their text says.
    shown: Environment,
    /// As it is: what runs is made with it.
    environment: Environment,
    runs: RwLock<Option<Arc<Runs>>>,
    switch: Arc<Switch>,
}

/// The text that the process runs.
struct Runs {
    text: String,
    digest: String,
    /// What it means without secrets, once somebody has asked: a start has no use for it.
    shown: OnceLock<Option<Arc<Plan>>>,
}

impl Runs {
    fn of(text: String) -> Arc<Self> {
        Arc::new(Self { digest: digest(&text), text, shown: OnceLock::new() })
    }
}

impl ConfigFile {
    /// That of the process that `switch` is of, as it is now.
    pub(super) fn of(switch: Arc<Switch>, environment: Environment) -> Arc<dyn Configs> {
        let path = switch.plan().source.clone();
        let started = fs::read_to_string(&path).ok().map(Runs::of);
        let (named, secret) = config::changes::variables(started.as_ref().map_or("", |runs| runs.text.as_str()), &environment);
        let shown = environment.without_secrets(&named, &secret);
        Arc::new(Self { path, shown, environment, runs: RwLock::new(started), switch })
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// Where the texts that a config had are kept: beside the database, or beside the config where there is none.
pub(super) fn history_folder(plan: &Plan) -> PathBuf {
    match &plan.database {
        Some(database) => database.path.with_extension("configs"),
        None => {
            let stem = plan.source.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            plan.source.with_file_name(format!(".{stem}.configs"))
        }
    }
}

impl Configs for ConfigFile {
    fn read(&self) -> io::Result<Written> {
        let text = self.text()?;
        let digest = digest(&text);
        let runs = self.running_digest().as_ref() == Some(&digest);
        let why_not = self.refusal();
        let path = self.path.display().to_string();
        Ok(Written { path, text: self.shown(&text), digest, runs, writable: why_not.is_none(), why_not })
    }

    fn judge(&self, text: &str) -> Judged {
        let checked = config::check_text(&self.path, text, &self.shown);
        Judged { report: checked.report.json(), plan: checked.plan, digest: digest(text) }
    }

    fn changes(&self, text: &str) -> Vec<Changed> {
        let runs = self.runs.read().clone();
        let running = runs.as_ref().map_or("", |runs| runs.text.as_str());
        let changes = config::changes::between(running, text, &self.shown).into_iter();
        changes.map(|change| Changed { part: change.part, pointer: change.pointer, from: change.from, to: change.to }).collect()
    }

    fn schema(&self) -> serde_json::Value {
        config::schema()
    }

    fn text(&self) -> io::Result<String> {
        fs::read_to_string(&self.path)
    }

    fn place_of_new(&self, component: &str) -> Result<(String, PathBuf), String> {
        let text = self.text().map_err(|error| format!("the config cannot be read: {error}"))?;
        config::insertion::place_of_new(&self.path, &text, component, &self.environment)
    }

    fn restored(&self, text: &str) -> Result<String, Vec<serde_json::Value>> {
        let restored = config::blotted::restored(text, &self.text().unwrap_or_default());
        restored.map_err(|problems| problems.iter().map(|problem| serde_json::json!(problem)).collect())
    }

    fn outward(&self, text: &str) -> Result<Outward, String> {
        let current = self.text().unwrap_or_default();
        let told = config::outward::Outward::of(text, &current, &self.environment)?;
        let (config, secrets) = (told.config.clone(), told.secrets.iter().cloned().collect());
        Ok(Outward {
            config,
            secrets,
            is_secret: config::outward::is_secret_place,
            is_open: config::outward::is_open,
            is_blot: config::outward::is_blot,
            blotted: Box::new(move |words| told.blotted(words)),
        })
    }

    fn shown(&self, text: &str) -> String {
        config::blotted::shown(text)
    }

    fn resolve(&self, text: &str) -> Result<Plan, String> {
        let checked = config::check_text(&self.path, text, &self.environment);
        checked.plan.ok_or_else(|| {
            let places = checked.report.problems.iter().map(|problem| format!("line {} ({})", problem.line, problem.pointer));
            let places: Vec<String> = places.take(3).collect();
            format!("with the variables of the process the config cannot run here: look at {}", places.join(", "))
        })
    }

    fn shown_running(&self) -> Option<Arc<Plan>> {
        let runs = self.runs.read().clone()?;
        runs.shown.get_or_init(|| config::check_text(&self.path, &runs.text, &self.shown).plan.map(Arc::new)).clone()
    }

    fn running(&self) -> Arc<Plan> {
        self.switch.plan()
    }

    fn running_digest(&self) -> Option<String> {
        self.runs.read().as_ref().map(|runs| runs.digest.clone())
    }

    fn refusal(&self) -> Option<String> {
        let path = self.path.display();
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) => return Some(format!("'{path}' cannot be written: {error}")),
        };
        if metadata.is_symlink() {
            return Some(format!(
                "'{path}' is a link, as in a folder that an orchestrator fills (a ConfigMap): it would be written over there. Change what it is made from, and roll that out"
            ));
        }
        if let Err(error) = access(self.folder(), Access::WRITE_OK | Access::EXEC_OK) {
            let folder = self.folder().display();
            return Some(format!(
                "the folder '{folder}' cannot be written by this process ({error}): mount it writable, or change '{path}' elsewhere"
            ));
        }
        None
    }

    fn put(&self, text: &str) -> io::Result<()> {
        durable::remove_parts(&self.path)?;
        durable::replace(&self.path, text.as_bytes())
    }

    fn prepare(&self, plan: Plan) -> BoxFuture<'static, anyhow::Result<TakeOver>> {
        Box::pin(Arc::clone(&self.switch).prepare(plan))
    }

    fn take<'a>(&'a self, text: &'a str, TakeOver { record, put }: TakeOver) -> BoxFuture<'a, anyhow::Result<()>> {
        Box::pin(async move {
            record.await?;
            let mut runs = self.runs.write();
            put()?;
            *runs = Some(Runs::of(text.to_owned()));
            Ok(())
        })
    }
}
