//! Whoever asks for a resource that takes an amount from another one gets no more of it than it has.

use std::collections::BTreeSet;

use millrace_workflow::{Cause, Input};
use serde_json::{Value, json};

use super::caller::Caller;
use super::handler::{Handler, New, Source};
use super::service::Resources;
use super::view::View;
use crate::plan::Draws;
use crate::services::ServiceError;
use crate::services::engine::commit_plan::CommitPlan;
use crate::services::engine::{self, Drawn, LookupError, draws};
use crate::services::error::pointer;
use crate::services::shop::money::Cents;
use crate::store::{IdempotencyRow, Object, Resource, Touched};
use crate::text;

/// Resources that draw from one, at most: they are added up for each that is added.
const MOST: usize = 1_000;
/// Times that it is tried while what is drawn from goes on by itself.
const TRIES: usize = 32;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 60;

impl Resources {
    /// Creates a resource that draws from another one. While that goes on by itself it is tried again; not when somebody else draws from it at
    /// the same time, who may have meant the same.
    pub(super) async fn insert_drawn(
        &self,
        (handler, draws): (&Handler, &Draws),
        caller: &Caller,
        data: Object,
        row: Option<IdempotencyRow>,
        traceparent: String,
    ) -> Result<(View, bool), ServiceError> {
        let mut seen: Option<BTreeSet<String>> = None;
        for _ in 0..TRIES {
            let (new, others) = match self.draw((handler, draws), data.clone()).await {
                Ok(drawn) => drawn,
                Err(refused) => return self.unless_made(handler, caller, row.as_ref(), refused).await,
            };
            let (kind, id) =
                new.drawn.iter().map(|drawn| (drawn.touched.kind.clone(), drawn.touched.id.clone())).next().unwrap_or_default();
            if seen.as_ref().is_some_and(|seen| *seen != others) {
                let what = &handler.settings.kind;
                let detail = format!("other {what} of '{id}' were made at the same time; nothing was stored: look at them, and ask again");
                return self.unless_made(handler, caller, row.as_ref(), ServiceError::Conflict(detail)).await;
            }
            seen = Some(others);
            match self.insert(handler, caller, new, row.clone(), traceparent.clone()).await {
                Err(ServiceError::Moved { kind: moved, id: of }) if (&moved, &of) == (&kind, &id) => {}
                done => return done,
            }
        }
        Err(ServiceError::Conflict("what is drawn from changes too fast; nothing was stored: ask again".to_owned()))
    }

    /// The answer to a request that was refused: what is in its way may be what the same request has made meanwhile.
    async fn unless_made(
        &self,
        handler: &Handler,
        caller: &Caller,
        row: Option<&IdempotencyRow>,
        refused: ServiceError,
    ) -> Result<(View, bool), ServiceError> {
        let Some(row) = row else { return Err(refused) };
        match self.store().idempotency(&row.user, &row.key).await? {
            Some(earlier) => self.replay(handler, caller, row, &earlier).await,
            None => Err(refused),
        }
    }

    /// Finds out whether what `data` asks for may be drawn; answers what is to be created, and which others draw from the same.
    async fn draw(&self, (handler, draws): (&Handler, &Draws), mut data: Object) -> Result<(New, BTreeSet<String>), ServiceError> {
        let wrong = |field: &str, detail: String| Err(ServiceError::field(pointer("", field), detail));
        let Some(id) = data.get(&draws.by).and_then(Value::as_str).map(str::to_owned) else {
            return wrong(&draws.by, "expected the id of what it is drawn from".to_owned());
        };
        let asked = data.get(&draws.amount).and_then(Value::as_i64).and_then(Cents::new).filter(|asked| asked.get() > 0);
        let Some(asked) = asked else { return wrong(&draws.amount, "expected minor units: a whole number, 1 or more".to_owned()) };
        // First what is drawn from, then what was drawn: what is added to that later moves the version that is read here.
        let source = self.store().resource(&draws.from, &id).await?;
        let Some(source) = source else { return wrong(&draws.by, format!("there is no '{}' of that kind", text::quoted(&id, MAX_SHOWN))) };
        let all = self.draws();
        let others = all.others(&handler.settings.kind, &id).await?;
        // What was emptied has left the states in which it can be drawn from; if what has emptied it came to nothing, it is drawn from once more.
        let counted = all.counted(&others).await?;
        let of_it = engine::Draws::sum(draws, &source, &counted);
        let asked_before = others.iter().filter_map(|other| other.data.get(&draws.amount)?.as_i64()).fold(0, i64::saturating_add);
        let was_emptied = !others.is_empty() && asked_before >= of_it.has;
        if !draws.states.contains(&source.state) && !was_emptied {
            let states = draws.states.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let detail = format!("'{id}' is in state '{}', and can be drawn from in {states}; nothing was stored", source.state);
            return Err(ServiceError::Conflict(detail));
        }
        if others.len() >= MOST {
            return Err(ServiceError::Conflict(format!("'{id}' was drawn from {MOST} times, which is as often as can be")));
        }
        let left = check_amount(of_it, &source, asked)?;
        check_once(draws, &source, &counted, &data)?;
        let emptied = if left == 0 { self.emptied((handler, draws), &source).await? } else { None };
        for field in &draws.take {
            data.shift_remove(field);
        }
        data.extend(draws::taken(draws, &source));
        let touched = Touched { kind: draws.from.clone(), id, version: source.version };
        let drawn = Some(Source { owner: source.owner.clone(), touched, emptied });
        Ok((New { id: None, data, drawn }, others.into_iter().map(|other| other.id).collect()))
    }

    /// What becomes of `source` when all of it is drawn; nothing where it is fulfilled, or has ended.
    async fn emptied(&self, (handler, draws): (&Handler, &Draws), source: &Resource) -> Result<Option<CommitPlan>, ServiceError> {
        let (Some(transition), Some(progress)) = (&draws.emptied, &source.workflow) else { return Ok(None) };
        if progress.finished || draws.fulfilled.contains(&source.state) {
            return Ok(None);
        }
        let pinned = match self.workflows().pinned(&progress.workflow, &progress.machine).await {
            Ok(pinned) => pinned,
            Err(LookupError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(ServiceError::Conflict(format!("'{}' cannot be moved: {error}", source.id))),
        };
        if !pinned.machine.definition().transitions.contains_key(transition) {
            // It began before there was such a transition, and goes on as it did then.
            return Ok(None);
        }
        let input = Input::Fire { transition: transition.clone(), cause: Cause::Api };
        let Ok((instance, effects)) = pinned.machine.advance(&progress.instance, &input) else {
            let fulfilled = draws.fulfilled.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
            let detail = format!(
                "'{}' is in state '{}', where it is still at work and cannot be ended, so not all of it can be drawn; nothing was stored: ask again \
                 when it is in {fulfilled}, or has failed",
                source.id, source.state
            );
            return Err(ServiceError::Conflict(detail));
        };
        let mut plan = self.proceed(&pinned, source, instance, &effects);
        // What draws all of it is there already: no hook makes another one.
        plan.creations.retain(|creation| creation.handler != handler.settings.name);
        Ok(Some(plan))
    }
}

/// Whether the fields that one may have are free, and `source` is fulfilled.
fn check_once(draws: &Draws, source: &Resource, counted: &[&Resource], data: &Object) -> Result<(), ServiceError> {
    for field in draws.once.iter().filter(|field| data.get(*field) == Some(&Value::Bool(true))) {
        if !draws.fulfilled.contains(&source.state) {
            let fulfilled = draws.fulfilled.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
            let detail = format!(
                "`{field}` is possible once '{}' is {fulfilled}, and it is in state '{}'; nothing was stored",
                source.id, source.state
            );
            return Err(ServiceError::Conflict(detail));
        }
        if let Some(before) = counted.iter().find(|other| other.data.get(field) == Some(&Value::Bool(true))) {
            let detail = format!("'{}' has `{field}` for '{}' already, and one may have it; nothing was stored", before.id, source.id);
            return Err(ServiceError::Conflict(detail));
        }
    }
    Ok(())
}

/// Whether there is as much left as is asked for; answers what is left afterwards.
fn check_amount(of_it: Drawn, source: &Resource, asked: Cents) -> Result<i64, ServiceError> {
    let (Drawn { has, drawn }, left) = (of_it, of_it.left());
    if asked.get() <= left {
        return Ok(left - asked.get());
    }
    let members = [("drawn", drawn), ("left", left), ("upTo", has)];
    Err(ServiceError::Differs {
        detail: format!(
            "{} in minor units is more than is left of '{}': {left} of {}, {drawn} were drawn before; nothing was stored",
            asked.get(),
            source.id,
            has
        ),
        code: "more_than_is_left",
        members: members.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect(),
    })
}
