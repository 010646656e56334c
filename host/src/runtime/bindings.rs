//! The contract with components in Rust, generated from `wit/step.wit` and `wit/0.2/step.wit`. What both versions exchange has one type.

pub(super) mod step {
    //! Generated from `wit/step.wit`.
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "step",
        imports: { default: trappable },
        exports: { default: async },
    });
}

pub(super) mod reversible {
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

pub(super) mod second {
    //! Generated from `wit/0.2/step.wit`.
    wasmtime::component::bindgen!({
        path: "../wit/0.2",
        world: "step",
        imports: {
            "millrace:step/kv": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "millrace:step/types": super::step::millrace::step::types,
        },
    });
}

pub(super) mod second_reversible {
    //! Generated from `wit/0.2/step.wit`: the same world with what an effect can be found out and undone by.
    wasmtime::component::bindgen!({
        path: "../wit/0.2",
        world: "reversible-step",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "millrace:step/types": super::step::millrace::step::types,
            "millrace:step/about": super::second::millrace::step::about,
            "millrace:step/log": super::second::millrace::step::log,
            "millrace:step/config": super::second::millrace::step::config,
            "millrace:step/kv": super::second::millrace::step::kv,
            "millrace:step/events": super::second::millrace::step::events,
            "millrace:step/secrets": super::second::millrace::step::secrets,
        },
    });
}

pub(super) use reversible::exports::millrace::step::settlement::Effect;
pub(super) use step::millrace::step::types::{Failure, Job as GuestJob, Outcome};

/// What a component says of itself.
pub(super) struct Description {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub config_schema: String,
    /// Of the data that it reads; no component of 0.1 says it.
    pub data_schema: Option<String>,
    /// Of what it answers; no component of 0.1 says it.
    pub answer_schema: Option<String>,
}
