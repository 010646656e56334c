//! What the step components share: the bindings of the world `millrace:step/step`, reading a job, answering it,
//! reproducible simulation, names derived from keys, and dates. It knows no business: no word of stock, money or parcels.
//!
//! A component implements [`Guest`] and calls [`export!`]; one whose effect can be undone implements the two traits of [`reversible`]
//! and calls its `export!`. Everything here also compiles natively, so the logic of a component is
//! tested without a sandbox; only the host's imports are missing there.

#[expect(missing_docs, reason = "generated; the docs are in the WIT file")]
pub mod bindings {
    //! Generated from `wit/step.wit`.
    wit_bindgen::generate!({
        path: "../../wit",
        world: "step",
        pub_export_macro: true,
        default_bindings_module: "step_sdk::bindings",
        additional_derives: [PartialEq],
    });
}

#[expect(missing_docs, reason = "generated; the docs are in the WIT file")]
pub mod reversible {
    //! Generated from `wit/step.wit`: the world `reversible-step`, for a step whose effect can be found out and undone.
    wit_bindgen::generate!({
        path: "../../wit",
        world: "reversible-step",
        pub_export_macro: true,
        default_bindings_module: "step_sdk::reversible",
        additional_derives: [PartialEq],
        with: {
            "millrace:step/types@0.1.0": crate::bindings::millrace::step::types,
            "millrace:step/log@0.1.0": crate::bindings::millrace::step::log,
        },
    });

    pub use exports::millrace::step::settlement::{Effect, Guest as Settlement};
}

#[expect(missing_docs, reason = "generated; the docs are in the WIT file")]
pub mod second_bindings {
    //! Generated from `wit/0.2/step.wit`. A job and its answers are those of 0.1. The world has a name of its own, because a crate has one
    //! export macro for each name of a world.
    wit_bindgen::generate!({
        inline: r"
            package step:sdk;
            world second-step {
                include millrace:step/step@0.2.0;
            }
        ",
        path: "../../wit/0.2",
        world: "step:sdk/second-step",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "step_sdk::second_bindings",
        additional_derives: [PartialEq],
        with: {
            "millrace:step/types@0.2.0": crate::bindings::millrace::step::types,
        },
    });
}

pub mod answer;
pub mod clock;
pub mod derive;
#[cfg(feature = "http")]
pub mod http;
pub mod input;
pub mod log;
pub mod schema;
pub mod second;
pub mod simulate;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use answer::Answer;
pub use bindings::millrace::step::types::{Description, Failure, Job, Outcome, Rejection};
pub use bindings::{Guest, export};
pub use simulate::Simulation;

/// Dates and times, the version that [`clock`] speaks.
pub use jiff;
