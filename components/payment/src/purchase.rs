//! What is to be paid, and with which card, read from the instance's data.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use step_sdk::answer::accepted;
use step_sdk::{Answer, Failure, Job, input, log};

use crate::amount::Amount;
use crate::card::DEFAULT_TOKEN;

/// What the customer owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// How much.
    pub amount: Amount,
    /// Token of the card.
    pub token: String,
}

#[derive(Deserialize)]
struct Data<'job> {
    /// Kept as text, so that no cent is lost on the way.
    #[serde(borrow)]
    total: Option<&'job RawValue>,
    /// What the total is made of, for whoever keeps no catalogue and writes none.
    #[serde(borrow)]
    items: Option<&'job RawValue>,
    payment: Option<Method>,
}

#[derive(Deserialize)]
struct Method {
    token: Option<String>,
}

#[derive(Serialize)]
struct Free {
    status: &'static str,
}

/// What comes to nothing is paid: no card is asked, so there is no transaction, and nothing to give back.
pub fn free() -> Answer {
    log::info("there is nothing to charge");
    accepted(&Free { status: "free" })
}

impl Purchase {
    /// Reads a job. What cannot be charged is a permanent failure that says why.
    pub fn of(job: &Job) -> Result<Self, Failure> {
        let data: Data<'_> = input::data(job)?;
        let amount = match (data.total, data.items) {
            (None, Some(items)) => Amount::of_lines(items.get()),
            (total, _) => Amount::parse(total.map_or("null", RawValue::get)),
        };
        let token = data.payment.and_then(|method| method.token);
        Ok(Self { amount: amount.map_err(Failure::Permanent)?, token: token.unwrap_or_else(|| DEFAULT_TOKEN.to_owned()) })
    }
}
