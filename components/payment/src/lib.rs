//! The payment step: charges the instance's `total` to the card behind `payment.token`, and can be asked what became of a charge that
//! gave no answer, and to undo it.
//!
//! It plays a gateway whose test tokens decide, see [`card`]; charging twice with one idempotency key is one transaction. With the feature
//! `bank` it charges through an HTTP service instead. With `transactions-v2` the played gateway is a later generation of itself, to be told
//! apart by its transaction ids.

pub mod amount;
#[cfg(feature = "bank")]
pub mod bank;
pub mod card;
#[cfg(not(feature = "bank"))]
mod gateway;
pub mod purchase;

use step_sdk::reversible::{Effect, Guest, Settlement};
#[cfg(not(feature = "bank"))]
use step_sdk::schema;
use step_sdk::{Answer, Description, Failure, Job};

/// The component.
pub struct Payment;

impl Guest for Payment {
    fn describe() -> Description {
        Description {
            name: "payment".to_owned(),
            version: VERSION.to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: config_schema(),
        }
    }

    fn process(job: Job) -> Answer {
        behind::charge(&job)
    }
}

impl Settlement for Payment {
    fn status(job: Job) -> Result<Effect, Failure> {
        behind::status(&job)
    }

    fn undo(job: Job) -> Result<(), Failure> {
        behind::undo(&job)
    }
}

#[cfg(feature = "bank")]
const VERSION: &str = env!("CARGO_PKG_VERSION");
#[cfg(not(feature = "bank"))]
use gateway::{self as behind, VERSION};

#[cfg(not(feature = "bank"))]
fn config_schema() -> String {
    schema::config(&card::reserved_values(), "Share of payments that are approved; the others are declined for insufficient funds.", "")
}

#[cfg(feature = "bank")]
fn config_schema() -> String {
    r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,
"description":"Charges through the HTTP service `bank`, which capabilities.http has to grant. There is nothing to configure."}"#
        .to_owned()
}

#[cfg(all(feature = "bank", target_family = "wasm"))]
mod behind {
    //! The bank, asked.

    use std::time::Duration;

    use step_sdk::http::{Request, call};
    use step_sdk::reversible::Effect;
    use step_sdk::{Answer, Failure, Job, clock};

    use crate::bank::{self, Called};

    pub fn charge(job: &Job) -> Answer {
        bank::charged(ask(job, &bank::charge(job)?))
    }

    pub fn status(job: &Job) -> Result<Effect, Failure> {
        bank::found(ask(job, &bank::status(job)))
    }

    pub fn undo(job: &Job) -> Result<(), Failure> {
        bank::undone(ask(job, &bank::undo(job)))
    }

    /// A tenth of the time is left to say that there was no answer, rather than to be stopped while waiting.
    fn ask(job: &Job, request: &Request) -> Called {
        let left: Duration = clock::time_left(job.deadline);
        call(bank::SERVICE, request, left - left / 10)
    }
}

#[cfg(all(feature = "bank", not(target_family = "wasm")))]
mod behind {
    //! No bank: it can only be reached from inside the host.

    use step_sdk::reversible::Effect;
    use step_sdk::{Answer, Failure, Job};

    fn out_of_reach<T>() -> Result<T, Failure> {
        Err(Failure::Permanent("the bank can only be reached from inside the host".to_owned()))
    }

    pub fn charge(job: &Job) -> Answer {
        crate::bank::charge(job).and_then(|_| out_of_reach())
    }

    pub fn status(_: &Job) -> Result<Effect, Failure> {
        out_of_reach()
    }

    pub fn undo(_: &Job) -> Result<(), Failure> {
        out_of_reach()
    }
}

#[cfg(target_family = "wasm")]
step_sdk::reversible::export!(Payment with_types_in step_sdk::reversible);
