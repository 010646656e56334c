//! The contract with components in Rust, generated from `wit/step.wit`.

pub(super) mod step {
    //! Generated from `wit/step.wit`.
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "step",
        imports: { default: trappable },
        exports: { default: async },
    });
}

mod reversible {
    //! Generated from `wit/step.wit`: the same world with what an effect can be found out and undone by.
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "reversible-step",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "millrace:step/types": super::step::millrace::step::types,
            "millrace:step/log": super::step::millrace::step::log,
        },
    });
}

pub(super) use reversible::ReversibleStepPre;
pub(super) use reversible::exports::millrace::step::settlement::Effect;
pub(super) use step::StepPre;
pub(super) use step::millrace::step::types::{Description, Failure, Job as GuestJob, Outcome};
