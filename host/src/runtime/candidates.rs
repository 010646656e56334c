//! Versions of a component before they serve, and after: judged, listed, put into the place that the config names.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::attempt::{attempt, guest_job, own_of_attempt, terms};
use super::compile::{Fault, Unfit};
use super::components::Runtime;
use super::guest::Granted;
use super::guest_log::Speaker;
use super::kv::{GivenKv, KvSource};
use super::loader::Found;
use super::sandbox::Terms;
use super::signature::SIGNATURE_ENDING;
use super::slot::{Candidate, Slot, Version};
use super::source::off_thread;
use super::tape::{Deck, Tape};
use super::{ActiveVersion, ComponentSettings, Job, Recording, Refusal, Report, Said, Source, Verdict};
use crate::durable;

/// Bytes of a component's file, at most.
pub const MAX_COMPONENT_BYTES: usize = 32 << 20;

/// A file may be good, and this machine cannot take it now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotNow(String);

/// Why a file is not taken, for who has sent it.
pub(super) fn refusal(Unfit { reason, fault }: Unfit) -> anyhow::Error {
    match fault {
        Fault::Machine => NotNow(format!("nothing is known against the file, and it {reason}")).into(),
        Fault::File | Fault::Signature => anyhow!("the file {reason}"),
    }
}

impl Runtime {
    /// What the config says of a component.
    #[must_use]
    pub fn settings(&self, component: &str) -> Option<ComponentSettings> {
        self.slot(component).ok().map(|slot| slot.settings.clone())
    }

    /// The versions of a component that are ready to serve at once, those that served last first.
    #[must_use]
    pub fn versions(&self, component: &str) -> Vec<ActiveVersion> {
        self.slot(component).map(|slot| slot.versions()).unwrap_or_default()
    }

    /// The versions that were uploaded since the start and have not served, newest first.
    #[must_use]
    pub fn uploaded(&self, component: &str) -> Vec<ActiveVersion> {
        self.slot(component).map(|slot| slot.uploaded()).unwrap_or_default()
    }

    /// Judges a file as if it were that of the component: compiled, linked and asked what it is. A good one is kept by its digest, and nothing
    /// else happens. `signature` is the text of its signature, which counts where the config asks for one.
    ///
    /// # Errors
    /// There is no such component; the file would be refused, and why. [`NotNow`] if that is not the file's fault.
    pub async fn judge(&self, component: &str, file: Bytes, signature: Option<String>) -> anyhow::Result<ActiveVersion> {
        let slot = self.slot(component)?;
        let _turn = slot.turn.lock().await;
        let judged = self.loader.judge(&slot, file, signature).await;
        self.tidy().await;
        let version = judged.map_err(refusal)?;
        slot.note_uploaded(version.about.clone());
        Ok(version.about.clone())
    }

    /// Has a version do one job for a trial, in a sandbox of its own with the limits of the component and nothing granted: what it asks of
    /// others is refused. Nobody hears of the answer but who asks. With a `tape` it finds what that says; `step_config` goes over the
    /// component's own.
    ///
    /// # Errors
    /// There is no such component.
    pub async fn try_out(
        &self,
        component: &str,
        candidate: &Candidate,
        job: Job,
        step_config: Option<&Map<String, Value>>,
        tape: Option<Tape>,
    ) -> anyhow::Result<Report> {
        let (slot, version) = (self.slot_or_newcomer(component)?, candidate.version());
        // In the line of those that were attempted before, which leaves places to those that count.
        let _place = self.place(component, true).await;
        let began = Instant::now();
        // It finds an empty state, unless the tape has one, and what it writes is seen by nobody.
        let empty: Arc<dyn KvSource> = Arc::new(GivenKv::default());
        let own = own_of_attempt(&slot, &version, (&job.kind, &job.instance_id), &empty);
        let granted = Arc::new(Granted { secrets: slot.granted.secrets.clone(), ..Granted::default() });
        let terms = Terms { granted, deck: tape.map(Deck::playing), ..terms(&slot, &version, &job, own) };
        let job = guest_job(&self.clock, job, slot.config_for(step_config));
        let (report, _) = attempt(&self.sandbox, &version, terms, &job, began).await;
        Ok(report.map(|answer| answer.unwrap_or_else(Verdict::Transient)))
    }

    /// Makes a recorded run again, on a version named by its whole digest, in a sandbox with nothing granted but its values: it finds what was
    /// recorded, asks nobody, and nobody hears of what it says but who asks.
    ///
    /// # Errors
    /// There is no such component or version.
    pub async fn replay(&self, component: &str, digest: &str, recording: &Recording) -> anyhow::Result<Said> {
        let slot = self.slot(component)?;
        let version = self.version(&slot, digest).await?;
        let _place = self.place(component, true).await;
        let Recording { job, tape, wall, .. } = recording;
        let (instance, step) = (job.instance_id.clone(), job.step.clone());
        let speaker = Speaker { component: slot.name(), digest: Arc::clone(&version.digest), instance, step };
        let config = slot.settings.capabilities.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let granted = Arc::new(Granted { config, secrets: slot.granted.secrets.clone(), ..Granted::default() });
        let (deck, contract) = (Some(Deck::playing(tape.clone())), version.contract());
        // What it reads of its state is on the tape.
        let empty: Arc<dyn KvSource> = Arc::new(GivenKv::default());
        let own = own_of_attempt(&slot, &version, ("", recording.instance()), &empty);
        let limits = &slot.settings.limits;
        let terms = Terms { speaker, limits, granted, wall: *wall, traceparent: None, deck, keeps_lines: false, own, contract };
        Ok(Said::of(&self.sandbox.process(&version.pre, terms, job).await.answer))
    }

    /// A version that was uploaded or has served, to run some jobs beside the one that serves.
    ///
    /// # Errors
    /// There is no such component or version, or it is not that component.
    pub async fn candidate(&self, component: &str, digest: &str) -> anyhow::Result<Candidate> {
        let slot = self.slot_or_newcomer(component)?;
        let version = self.version(&slot, digest).await?;
        self.loader.check_name_before(&slot, &version).await.map_err(|reason| anyhow!("version {digest} {reason}"))?;
        Ok(Candidate::new(version, &slot))
    }

    async fn version(&self, slot: &Slot, digest: &str) -> anyhow::Result<Arc<Version>> {
        if let Some(ready) = slot.ready(digest) {
            return Ok(ready);
        }
        let _turn = slot.turn.lock().await;
        self.loader.take_copy(slot, digest).await.map_err(|reason| anyhow!(reason))
    }

    /// Writes the kept copy of a version as the component's file, whole or not at all, with its signature beside it. It serves once it is looked at, see
    /// [`Runtime::reload`].
    ///
    /// # Errors
    /// There is no such component or copy, or the file cannot be written.
    pub async fn put_in_place(&self, component: &str, digest: &str) -> anyhow::Result<()> {
        let slot = self.slot_or_newcomer(component)?;
        let Source::File(source) = slot.settings.source.clone() else {
            let source = &slot.settings.source;
            return Err(anyhow!(
                "component '{component}' comes from {source}, which cannot be written: pin another digest in its `source`"
            ));
        };
        let bytes = self.loader.copy(digest).await.map_err(|reason| anyhow!(reason))?;
        let signature = if slot.settings.signatures.keys.is_empty() { None } else { self.loader.signature(digest).await };
        let written = off_thread(move || {
            // What a link leads to is what is replaced.
            let place = source.canonicalize().unwrap_or_else(|_| source.clone());
            // Before the file, which is looked at as soon as it is there. It is looked for beside the link.
            if let Some(text) = signature {
                let beside = durable::beside(&source, SIGNATURE_ENDING);
                let beside = beside.canonicalize().unwrap_or(beside);
                durable::write(&beside, &[text.as_bytes()], durable::Sync::Yes)
                    .with_context(|| format!("cannot write '{}'", beside.display()))?;
            }
            durable::write(&place, &[&bytes], durable::Sync::Yes).with_context(|| format!("cannot write '{}'", place.display()))
        });
        written.await.map_err(|reason| anyhow!(reason))?
    }

    /// The same for a version that serves already. It goes on to serve where it cannot be written; then the component counts as refusing its file
    /// until that is another one, and the next start takes what the file has.
    ///
    /// # Errors
    /// As there.
    pub async fn keep_in_place(&self, component: &str, digest: &str) -> anyhow::Result<()> {
        let Err(error) = self.put_in_place(component, digest).await else { return Ok(()) };
        let slot = self.slot(component)?;
        let _turn = slot.turn.lock().await;
        let refusal = match self.loader.look_at_file(&slot).await {
            Found::Version(other) => {
                let reason = format!(
                    "'{}' has version {}, which the next start takes; the version that serves could not be written there: {error:#}",
                    slot.settings.source, other.digest
                );
                Some(Refusal { digest: Some(other.digest.to_string()), reason, unsigned: false })
            }
            Found::Refused(refusal) => Some(refusal),
            Found::Same | Found::StillRefused => None,
        };
        refusal.into_iter().for_each(|refusal| self.refused(&slot, refusal));
        Err(error)
    }
}
