//! What is to be given back, read from the instance's data: `amount` in cents, of the charge `transaction_id`.
//!
//! The key of a refund is the id of its instance, whatever the visit: one that is tried again is the refund that it was before.

use serde::Deserialize;
use step_sdk::{Failure, Job, input, schema};

/// What a step asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// To take the instance's total.
    #[default]
    Charge,
    /// To give the instance's amount back.
    Refund,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    operation: Operation,
}

/// What is to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// How much, in cents.
    pub cents: u64,
    /// The charge that it is given back of.
    pub charge: String,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    amount: Option<u64>,
    #[serde(default)]
    transaction_id: Option<String>,
}

/// What the step of a job asks for.
pub fn operation(job: &Job) -> Result<Operation, Failure> {
    let Config { operation } = input::config(job)?;
    Ok(operation)
}

/// Properties of the configuration, as members of a JSON Schema.
pub fn config_schema() -> String {
    format!(
        r#""operation":{{"type":"string","enum":["charge","refund"],"default":"charge","description":{}}}"#,
        schema::text("What a step asks for: to charge the total, or to give the amount back of the charge transaction_id.")
    )
}

impl Refund {
    /// Reads a job. What cannot be given back is a permanent failure that says why.
    pub fn of(job: &Job) -> Result<Self, Failure> {
        let Data { amount, transaction_id } = input::data(job)?;
        let cents = amount.filter(|cents| *cents > 0);
        let cents = cents.ok_or_else(|| Failure::Permanent("there is no `amount` to give back: cents, 1 or more".to_owned()))?;
        let charge = transaction_id.filter(|id| !id.is_empty());
        let charge =
            charge.ok_or_else(|| Failure::Permanent("there is no `transaction_id`: nothing is known to have been charged".to_owned()))?;
        Ok(Self { cents, charge })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use step_sdk::testing;

    use super::*;

    #[test]
    fn a_step_charges_unless_it_is_told_to_give_back() {
        let asks = |config: &Value| operation(&testing::job(&json!({}), config));
        assert_eq!(asks(&json!({})), Ok(Operation::Charge));
        assert_eq!(asks(&json!({"operation": "charge", "simulate": {}})), Ok(Operation::Charge));
        assert_eq!(asks(&json!({"operation": "refund"})), Ok(Operation::Refund));
        assert!(matches!(asks(&json!({"operation": "void"})), Err(Failure::Permanent(text)) if text.contains("void")));
    }

    #[test]
    fn an_amount_of_a_charge_is_given_back_and_nothing_else() {
        let refund = |data: &Value| Refund::of(&testing::job(data, &json!({})));
        assert_eq!(refund(&json!({"amount": 2_000, "transaction_id": "ch_1"})), Ok(Refund { cents: 2_000, charge: "ch_1".into() }));
        for data in
            [json!({"amount": 0, "transaction_id": "c"}), json!({"transaction_id": "c"}), json!({"amount": 1}), json!({"amount": -1})]
        {
            assert!(matches!(refund(&data), Err(Failure::Permanent(_))), "{data}");
        }
    }
}
