//! The shipping step: checks the address, issues a label, says when the parcel will come.
//!
//! It plays a carrier whose reserved ZIP codes decide, see [`carrier`]; one idempotency key is one label.

pub mod address;
mod carrier;
pub mod delivery;
pub mod tracking;

use step_sdk::{Answer, Description, Guest, Job, clock, schema};

/// The component.
pub struct Shipping;

impl Guest for Shipping {
    fn describe() -> Description {
        Description {
            name: "shipping".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: schema::config(
                carrier::RESERVED_VALUES,
                "Share of attempts at which the carrier answers; the others fail and may work when tried again.",
                "",
            ),
        }
    }

    fn process(job: Job) -> Answer {
        carrier::ship(&job, clock::now())
    }
}

#[cfg(target_family = "wasm")]
step_sdk::export!(Shipping with_types_in step_sdk::bindings);
