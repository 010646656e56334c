//! The payment step: charges the instance's `total` to the card behind `payment.token`, and can be asked what became of a charge that
//! gave no answer, and to undo it. A total of 0 is paid without a charge. With `operation: refund` it gives the instance's `amount` back of an earlier charge, see [`refund`].
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
pub mod refund;

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
    schema::config(
        &card::reserved_values(),
        "Share of payments that are approved; the others are declined for insufficient funds.",
        &refund::config_schema(),
    )
}

#[cfg(feature = "bank")]
fn config_schema() -> String {
    format!(
        r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,
"description":"Charges through the HTTP service `bank`, which capabilities.http has to grant.","properties":{{{}}}}}"#,
        refund::config_schema()
    )
}

#[cfg(all(feature = "bank", target_family = "wasm"))]
mod behind {
    //! The bank, asked.

    use std::time::Duration;

    use step_sdk::http::{Request, call};
    use step_sdk::reversible::Effect;
    use step_sdk::{Answer, Failure, Job, clock};

    use crate::bank::{self, Called};
    use crate::purchase::{self, Purchase};
    use crate::refund::{self, Operation};

    pub fn charge(job: &Job) -> Answer {
        match refund::operation(job)? {
            Operation::Charge if Purchase::of(job)?.amount.is_nothing() => purchase::free(),
            Operation::Charge => bank::charged(ask(job, &bank::charge(job)?)),
            Operation::Refund => bank::refunded(ask(job, &bank::refund(job)?)),
        }
    }

    pub fn status(job: &Job) -> Result<Effect, Failure> {
        match refund::operation(job)? {
            Operation::Charge => bank::found(ask(job, &bank::status(job))),
            Operation::Refund => bank::refund_found(ask(job, &bank::refund_status(job))),
        }
    }

    /// A refund that is asked for once more is the same refund, so one that comes late does no harm and is not called back.
    pub fn undo(job: &Job) -> Result<(), Failure> {
        match refund::operation(job)? {
            Operation::Charge => bank::undone(ask(job, &bank::undo(job))),
            Operation::Refund => Ok(()),
        }
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
