//! Canaries: begun and stopped by people, ended by their rule.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::actor::Actor;
use super::canary_view::{CanaryAnswer, CanaryBody, CanaryView, StopBody, TallyView};
use super::components::check_reason;
use super::service::Console;
use crate::services::ServiceError;
use crate::services::audit;
use crate::services::engine::Canary;
use crate::services::engine::canary::{End, MIN_RUNS, Phase, Rule, Terms};
use crate::services::error::FieldError;
use crate::shutdown::Stop;

/// Runs after which a canary ends that has no end of its own.
const RUNS: u32 = 50;
/// Failures that are forgiven, if nobody says how many.
const MAX_FAILURES: u32 = 1;
/// How many times as long runs may take, if nobody says so.
const MAX_SLOWDOWN: f64 = 2.0;
/// Most of what a request may say.
const MOST_RUNS: u32 = 10_000;
const MOST_SECONDS: u32 = 604_800;
const MOST_SHARE: u8 = 50;
const MOST_SLOWDOWN: f64 = 1_000.0;
/// How often those are looked at that end at a time.
const LOOK: Duration = Duration::from_millis(200);

impl Console {
    /// Has a share of a component's new visits run on another version, until its rule takes that version or throws it out.
    ///
    /// # Errors
    /// There is no such component or version, no reason, a number out of its range, it serves already, or another canary has not ended.
    pub async fn begin_canary(&self, actor: &Actor, name: &str, body: &CanaryBody) -> Result<CanaryAnswer, ServiceError> {
        self.component(name)?;
        check(body)?;
        let conflict = |error: anyhow::Error| ServiceError::Conflict(format!("{error:#}"));
        let candidate = self.parts.runtime.candidate(name, &body.digest).await.map_err(conflict)?;
        let none = || ServiceError::Conflict(format!("no version of '{name}' serves beside which another could be tried; swap it"));
        let against = self.parts.runtime.digest(name).ok_or_else(none)?;
        if *against == *candidate.about().digest {
            return Err(ServiceError::Conflict(format!("version {against} serves already")));
        }
        let until = body.seconds.map(|seconds| SignedDuration::from_secs(i64::from(seconds)));
        let until = until.and_then(|left| self.parts.clock.steady().checked_add(left).ok());
        let terms = Terms {
            share: body.share,
            runs: body.runs.or_else(|| until.is_none().then_some(RUNS)),
            until,
            rule: Rule { max_failures: body.max_failures.unwrap_or(MAX_FAILURES), max_slowdown: body.max_slowdown.unwrap_or(MAX_SLOWDOWN) },
        };
        let canary = Arc::new(Canary::new(candidate, against, terms));
        if self.parts.canaries.of(name).is_some_and(|other| !matches!(other.standing().phase, Phase::Ended(..))) {
            return Err(is_there(name));
        }
        self.note_canary(&actor.of, name, &canary, ("canary", &body.reason)).await?;
        self.parts.canaries.begin(name, Arc::clone(&canary)).map_err(|_| is_there(name))?;
        let (digest, share, reason) = (&body.digest, body.share, &body.reason);
        tracing::info!(
            component = name,
            digest,
            share,
            who = actor.who(),
            reason,
            "a share of a component's visits runs on another version"
        );
        self.canary(name)
    }

    /// The last canary of a component, with its runs so far.
    ///
    /// # Errors
    /// There is no such component.
    pub fn canary(&self, name: &str) -> Result<CanaryAnswer, ServiceError> {
        self.component(name)?;
        let canary = self.parts.canaries.of(name).map(|canary| view(&canary));
        Ok(CanaryAnswer { component: name.to_owned(), canary })
    }

    /// Ends a canary; the version serves that served.
    ///
    /// # Errors
    /// There is no such component, no reason, or nothing to stop.
    pub async fn stop_canary(&self, actor: &Actor, name: &str, body: &StopBody) -> Result<CanaryAnswer, ServiceError> {
        self.component(name)?;
        check_reason(&body.reason)?;
        let nothing = || ServiceError::Conflict(format!("no canary of '{name}' is running"));
        let canary = self.parts.canaries.of(name).filter(|canary| canary.standing().phase == Phase::Running).ok_or_else(nothing)?;
        self.note_canary(&actor.of, name, &canary, ("canary.stop", &body.reason)).await?;
        canary.stop(&body.reason).map_err(|_| nothing())?;
        self.parts.metrics.component_canary(name, End::Stopped.as_str());
        tracing::info!(component = name, who = actor.who(), reason = body.reason, "a canary was stopped");
        self.canary(name)
    }

    /// Does what the rules of canaries have decided, until `stop`.
    ///
    /// # Errors
    /// None: what cannot be done is told in the log, and the version serves that served.
    pub async fn keep_canaries(self, stop: Stop) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = self.parts.canaries.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            for (name, canary, end, reason) in self.parts.canaries.decided(self.parts.clock.steady()) {
                self.end_canary(&name, &canary, (end, reason)).await;
            }
        }
    }

    async fn end_canary(&self, name: &str, canary: &Arc<Canary>, (end, reason): (End, String)) {
        let (end, reason) = match self.parts.runtime.digest(name).filter(|serving| **serving != *canary.against()) {
            // Somebody has put another version in its place since a visit came last.
            Some(serving) if end == End::Taken => (End::Replaced, format!("version {serving} serves by now")),
            _ => (end, reason),
        };
        let digest = canary.candidate().about().digest.as_str();
        let action = match end {
            End::Taken => "canary.take",
            End::ThrownOut | End::Stopped => "canary.throw_out",
            End::Replaced => "canary.replace",
        };
        // Nobody does it but the rule that somebody has made.
        let rule = audit::Actor { id: "rule:canary".into(), ..audit::Actor::default() };
        let noted = self.note_canary(&rule, name, canary, (action, &reason)).await;
        let done = match (end, noted) {
            (End::Taken, Ok(())) => self
                .take(name, (digest, canary.against()))
                .await
                .map_err(|error| format!("it was to be taken, and could not be: {error:#}")),
            (End::Taken, Err(error)) => Err(format!("it was to be taken, and that could not be written down: {error}")),
            _ => Ok(()),
        };
        let (end, reason) = match done {
            Ok(()) => (end, reason),
            Err(why) => (End::ThrownOut, why),
        };
        self.parts.metrics.component_canary(name, end.as_str());
        if end == End::Taken {
            tracing::info!(component = name, digest, reason, "a canary was taken: its version serves");
        } else {
            tracing::warn!(component = name, digest, end = end.as_str(), reason, "a canary has ended: the version serves that served");
        }
        canary.ended(end, reason);
    }

    /// Has the version `digest` serve, and its file say so. If it cannot serve, the file says again what serves.
    async fn take(&self, name: &str, (digest, serving): (&str, &str)) -> anyhow::Result<()> {
        let runtime = &self.parts.runtime;
        runtime.put_in_place(name, digest).await?;
        let Err(error) = runtime.reload(name).await else { return Ok(()) };
        match runtime.put_in_place(name, serving).await {
            Ok(()) => Err(error),
            Err(other) => Err(error.context(format!("its file is there all the same, and the next start takes it: {other:#}"))),
        }
    }

    async fn note_canary(&self, actor: &audit::Actor, name: &str, canary: &Canary, what: (&str, &str)) -> Result<(), ServiceError> {
        let (action, reason) = what;
        let subject = format!("components/{name}@{}", canary.candidate().about().digest);
        self.note(actor.did(self.parts.clock.now(), format!("components.{action}"), subject, Some(reason.to_owned()))).await
    }
}

fn is_there(name: &str) -> ServiceError {
    ServiceError::Conflict(format!("a canary of '{name}' has not ended; stop it first"))
}

fn view(canary: &Canary) -> CanaryView {
    let (standing, terms, about) = (canary.standing(), canary.terms(), canary.candidate().about());
    let (state, reason) = match standing.phase {
        Phase::Running => ("running", None),
        Phase::Decided(_, reason) => ("ending", Some(reason)),
        Phase::Ended(end, reason) => (end.as_str(), Some(reason)),
    };
    CanaryView {
        state,
        reason,
        digest: about.digest.clone(),
        version: about.version.clone(),
        against: canary.against().to_owned(),
        share: terms.share,
        runs: terms.runs,
        until: terms.until,
        max_failures: terms.rule.max_failures,
        max_slowdown: terms.rule.max_slowdown,
        candidate: TallyView::from(&standing.candidate),
        serving: TallyView::from(&standing.serving),
    }
}

fn check(body: &CanaryBody) -> Result<(), ServiceError> {
    let CanaryBody { share, runs, seconds, max_failures, max_slowdown, reason, .. } = body;
    let least = u32::try_from(MIN_RUNS).unwrap_or(u32::MAX);
    let mut errors = Vec::new();
    let mut expect = |fits: bool, name: &str, value: String, expected: String| {
        if !fits {
            errors.push(FieldError { pointer: format!("/{name}"), detail: format!("{value} is not accepted; expected {expected}") });
        }
    };
    expect((1..=MOST_SHARE).contains(share), "share", share.to_string(), format!("1 to {MOST_SHARE}, a percentage"));
    if let Some(runs) = runs {
        expect((least..=MOST_RUNS).contains(runs), "runs", runs.to_string(), format!("{least} to {MOST_RUNS}"));
    }
    if let Some(seconds) = seconds {
        expect((1..=MOST_SECONDS).contains(seconds), "seconds", seconds.to_string(), format!("1 to {MOST_SECONDS}"));
    }
    if let Some(most) = max_failures {
        expect(*most <= MOST_RUNS, "maxFailures", most.to_string(), format!("0 to {MOST_RUNS}"));
    }
    if let Some(most) = max_slowdown {
        expect((1.0..=MOST_SLOWDOWN).contains(most), "maxSlowdown", most.to_string(), format!("1 to {MOST_SLOWDOWN}"));
    }
    if errors.is_empty() { check_reason(reason) } else { Err(ServiceError::fields(errors)) }
}
