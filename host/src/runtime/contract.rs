//! A component as it is called, whichever version of the contract it was built for.

use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::bindings::second_reversible::exports::millrace::step::settlement::Effect as SecondEffect;
use super::bindings::{Description, Effect, Failure, GuestJob, Outcome, reversible, second, second_reversible, step};
use super::guest::Guest;
use super::inspect::Contract;

/// What instances of a component are made of.
#[derive(Clone)]
pub(super) enum StepPre {
    First(step::StepPre<Guest>),
    Second(second::StepPre<Guest>),
}

/// An instance.
pub(super) enum Step {
    First(step::Step),
    Second(second::Step),
}

impl StepPre {
    /// For the instances of `linked`.
    pub fn new(contract: Contract, linked: InstancePre<Guest>) -> wasmtime::Result<Self> {
        Ok(match contract {
            Contract::First => Self::First(step::StepPre::new(linked)?),
            Contract::Second => Self::Second(second::StepPre::new(linked)?),
        })
    }

    pub async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Step> {
        Ok(match self {
            Self::First(pre) => Step::First(pre.instantiate_async(store).await?),
            Self::Second(pre) => Step::Second(pre.instantiate_async(store).await?),
        })
    }
}

impl Step {
    pub async fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Description> {
        Ok(match self {
            Self::First(step) => {
                let said = step.call_describe(store).await?;
                let step::millrace::step::types::Description { name, version, summary, config_schema } = said;
                Description { name, version, summary, config_schema, data_schema: None, answer_schema: None }
            }
            Self::Second(step) => {
                let said = step.call_describe(store).await?;
                let second::millrace::step::about::Description { name, version, summary, config_schema, data_schema, answer_schema } = said;
                Description { name, version, summary, config_schema, data_schema, answer_schema }
            }
        })
    }

    pub async fn process(&self, store: &mut Store<Guest>, job: &GuestJob) -> wasmtime::Result<Result<Outcome, Failure>> {
        match self {
            Self::First(step) => step.call_process(store, job).await,
            Self::Second(step) => step.call_process(store, job).await,
        }
    }
}

/// The same of a component that exports the interface `settlement`.
#[derive(Clone)]
pub(super) enum ReversiblePre {
    First(reversible::ReversibleStepPre<Guest>),
    Second(second_reversible::ReversibleStepPre<Guest>),
}

/// An instance of one.
pub(super) enum Reversible {
    First(reversible::ReversibleStep),
    Second(second_reversible::ReversibleStep),
}

impl ReversiblePre {
    /// For the instances of `linked`.
    pub fn new(contract: Contract, linked: InstancePre<Guest>) -> wasmtime::Result<Self> {
        Ok(match contract {
            Contract::First => Self::First(reversible::ReversibleStepPre::new(linked)?),
            Contract::Second => Self::Second(second_reversible::ReversibleStepPre::new(linked)?),
        })
    }

    pub async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Reversible> {
        Ok(match self {
            Self::First(pre) => Reversible::First(pre.instantiate_async(store).await?),
            Self::Second(pre) => Reversible::Second(pre.instantiate_async(store).await?),
        })
    }
}

impl Reversible {
    pub async fn status(&self, store: &mut Store<Guest>, job: &GuestJob) -> wasmtime::Result<Result<Effect, Failure>> {
        match self {
            Self::First(step) => step.millrace_step_settlement().call_status(store, job).await,
            Self::Second(step) => {
                let said = step.millrace_step_settlement().call_status(store, job).await?;
                Ok(said.map(|effect| match effect {
                    SecondEffect::Done(results) => Effect::Done(results),
                    SecondEffect::NotDone => Effect::NotDone,
                }))
            }
        }
    }

    pub async fn undo(&self, store: &mut Store<Guest>, job: &GuestJob) -> wasmtime::Result<Result<(), Failure>> {
        match self {
            Self::First(step) => step.millrace_step_settlement().call_undo(store, job).await,
            Self::Second(step) => step.millrace_step_settlement().call_undo(store, job).await,
        }
    }
}
