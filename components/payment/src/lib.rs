//! The payment step: charges the instance's `total` to the card behind `payment.token`.
//!
//! It plays a gateway whose test tokens decide, see [`card`]; charging twice with one idempotency key is one transaction.
//! With the feature `transactions-v2` it is a later generation of itself, to be told apart by its transaction ids.

pub mod amount;
pub mod card;
mod gateway;

use step_sdk::{Answer, Description, Guest, Job, schema};

/// The component.
pub struct Payment;

impl Guest for Payment {
    fn describe() -> Description {
        Description {
            name: "payment".to_owned(),
            version: gateway::VERSION.to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: schema::config(
                &card::reserved_values(),
                "Share of payments that are approved; the others are declined for insufficient funds.",
                "",
            ),
        }
    }

    fn process(job: Job) -> Answer {
        gateway::charge(&job)
    }
}

#[cfg(target_family = "wasm")]
step_sdk::export!(Payment with_types_in step_sdk::bindings);
