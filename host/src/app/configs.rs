//! The config of this process, for those who want to change it: read and judged as it would be at a start, never run.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::{self, Environment};
use crate::plan::Plan;
use crate::services::console::{Changed, Configs, Judged, Written};
use crate::services::engine::hex;

/// The file that the process was started from.
pub(super) struct ConfigFile {
    path: PathBuf,
    /// Without secrets: whoever asks is told what their text says.
    environment: Environment,
    /// What it said at the start, and the digest of that.
    started: Option<(String, String)>,
}

impl ConfigFile {
    /// That of `plan`, as it is now.
    pub(super) fn of(plan: &Plan, environment: Environment) -> Arc<dyn Configs> {
        let started = std::fs::read_to_string(&plan.source).ok().map(|text| {
            let digest = digest(&text);
            (text, digest)
        });
        let (named, secret) = config::changes::variables(started.as_ref().map_or("", |(text, _)| text.as_str()), &environment);
        Arc::new(Self { path: plan.source.clone(), environment: environment.without_secrets(&named, &secret), started })
    }
}

impl Configs for ConfigFile {
    fn read(&self) -> std::io::Result<Written> {
        let text = std::fs::read_to_string(&self.path)?;
        let digest = digest(&text);
        let shown = config::check_text(&self.path, &text, &self.environment).report.source.to_string();
        let runs = self.started.as_ref().is_some_and(|(_, started)| *started == digest);
        Ok(Written { path: self.path.display().to_string(), text: shown, digest, runs })
    }

    fn judge(&self, text: &str) -> Judged {
        let checked = config::check_text(&self.path, text, &self.environment);
        Judged { report: checked.report.json(), plan: checked.plan, digest: digest(text) }
    }

    fn changes(&self, text: &str) -> Vec<Changed> {
        let running = self.started.as_ref().map_or("", |(text, _)| text.as_str());
        let changes = config::changes::between(running, text, &self.environment).into_iter();
        changes.map(|change| Changed { part: change.part, pointer: change.pointer, from: change.from, to: change.to }).collect()
    }

    fn schema(&self) -> serde_json::Value {
        config::schema()
    }
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
