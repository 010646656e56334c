//! The gateway: takes a charge, answers as its card says.

use serde::{Deserialize, Serialize};
use step_sdk::answer::{accepted, rejected, transient};
use step_sdk::reversible::Effect;
use step_sdk::{Answer, Failure, Job, Simulation, derive, input, log};

use crate::amount::Amount;
use crate::card::{self, Behaviour, Card, Decline, INSUFFICIENT_FUNDS};
use crate::purchase::{self, Purchase};
use crate::refund::{Operation, Refund};

#[cfg(not(feature = "transactions-v2"))]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
#[cfg(not(feature = "transactions-v2"))]
const TRANSACTION_PREFIX: &str = "txn_";
#[cfg(feature = "transactions-v2")]
pub const VERSION: &str = "2.0.0";
#[cfg(feature = "transactions-v2")]
const TRANSACTION_PREFIX: &str = "pay2_";
/// Transactions of cards whose refunds are not answered begin like this, as long as any other.
const KEPT_PREFIX: &str = "txn_00000000";

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Config {
    simulate: Simulation,
    operation: Operation,
}

#[derive(Serialize)]
struct Refunded {
    refund_id: String,
}

#[derive(Serialize)]
struct Approved<'charge> {
    transaction_id: String,
    status: &'static str,
    last4: &'charge str,
}

#[derive(Serialize)]
struct Declined<'charge> {
    status: &'static str,
    reason: &'charge str,
}

/// Charges the instance's total once for each idempotency key.
pub fn charge(job: &Job) -> Answer {
    let config: Config = input::config(job)?;
    if config.operation == Operation::Refund {
        return refund(job, &config);
    }
    let Purchase { amount, token } = Purchase::of(job)?;
    if amount.is_nothing() {
        return purchase::free();
    }
    config.simulate.wait(job);

    let Some(card) = card::find(&token, config.simulate.faults) else {
        return declined(&Decline { code: "invalid_token", reason: "The payment method is not known to the payment provider." });
    };
    match card.behaviour {
        Behaviour::Declines(decline) => declined(&decline),
        Behaviour::TimesOutBefore { attempt } if job.attempt < attempt => {
            transient(format!("the payment gateway did not answer in time (attempt {} of this payment)", job.attempt))
        }
        Behaviour::IsDown => transient("the payment gateway is down"),
        _ if !config.simulate.agrees(job) => declined(&INSUFFICIENT_FUNDS),
        Behaviour::Approves | Behaviour::TimesOutBefore { .. } | Behaviour::KeepsTheMoney => approved(job, card, amount),
    }
}

/// Gives back, once for each instance.
fn refund(job: &Job, config: &Config) -> Answer {
    let Refund { cents, charge } = Refund::of(job)?;
    config.simulate.wait(job);
    if charge.starts_with(KEPT_PREFIX) {
        return transient("the payment gateway is down");
    }
    if !config.simulate.agrees(job) {
        return declined(&Decline { code: "refund_refused", reason: "The payment provider does not give this payment back." });
    }
    let refund_id = format!("re_{}", derive::hex(&["refund", &job.instance_id], 20));
    log::info(&format!("gave {cents} cents of {charge} back as {refund_id}"));
    accepted(&Refunded { refund_id })
}

/// This gateway charges when it answers: what was not answered was not charged.
pub fn status(_: &Job) -> Result<Effect, Failure> {
    Ok(Effect::NotDone)
}

/// There is nothing to give back, and nothing on its way.
pub fn undo(_: &Job) -> Result<(), Failure> {
    Ok(())
}

fn approved(job: &Job, card: &Card, amount: Amount) -> Answer {
    let transaction_id = transaction_id(card, &job.idempotency_key);
    log::info(&format!("charged {amount} to the card ending in {} as {transaction_id}", card.last4));
    accepted(&Approved { transaction_id, status: "approved", last4: card.last4 })
}

fn declined(decline: &Decline) -> Answer {
    log::info(&format!("declined: {}", decline.code));
    rejected(decline.code, decline.reason, &Declined { status: "declined", reason: decline.reason })
}

/// Derived from the key alone, so that a payment that is tried again after a crash is the payment it was before.
fn transaction_id(card: &Card, idempotency_key: &str) -> String {
    let prefix = if card.behaviour == Behaviour::KeepsTheMoney { KEPT_PREFIX } else { TRANSACTION_PREFIX };
    format!("{prefix}{}", derive::hex(&["transaction", idempotency_key], 20 + TRANSACTION_PREFIX.len() - prefix.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use step_sdk::testing::{self, accepted, rejected};

    use super::*;

    fn job(token: &str) -> Job {
        testing::job(&json!({"total": 149.99, "payment": {"token": token}, "items": []}), &json!({}))
    }

    fn permanent_text(data: &Value, config: &Value) -> String {
        match charge(&testing::job(data, config)) {
            Err(Failure::Permanent(text)) => text,
            other => panic!("expected a permanent failure, got {other:?}"),
        }
    }

    #[test]
    fn cards_that_approve_answer_with_their_last_four_digits() {
        for (token, last4) in [("tok_visa", "4242"), ("tok_mastercard", "4444"), ("tok_amex", "8431")] {
            let answer = accepted(charge(&job(token)));
            assert_eq!((&answer["status"], &answer["last4"]), (&json!("approved"), &json!(last4)), "{token}");
        }
    }

    #[test]
    fn a_refund_is_the_same_however_often_it_is_asked_for() {
        let job = testing::job(&json!({"amount": 2_000, "transaction_id": "txn_1"}), &json!({"operation": "refund"}));
        let again = Job { visit: 3, attempt: 2, idempotency_key: "another".into(), ..job.clone() };
        let other = Job { instance_id: "another".into(), ..job.clone() };
        let id = |job: &Job| accepted(charge(job))["refund_id"].clone();
        assert_eq!(id(&job), id(&again));
        assert_ne!(id(&job), id(&other));
        let refusing = json!({"operation": "refund", "simulate": {"successRate": 0}});
        let refused = charge(&testing::job(&json!({"amount": 1, "transaction_id": "txn_1"}), &refusing));
        assert_eq!(rejected(refused).0, "refund_refused");
    }

    #[test]
    fn without_a_token_the_visa_is_charged() {
        for data in [json!({"total": 1}), json!({"total": 1, "payment": null}), json!({"total": 1, "payment": {}})] {
            assert_eq!(accepted(charge(&testing::job(&data, &json!({}))))["last4"], "4242");
        }
    }

    #[test]
    fn declined_cards_are_rejections_with_a_reason_for_the_customer() {
        for (token, code) in [
            ("tok_chargeDeclined", "insufficient_funds"),
            ("tok_chargeDeclinedExpiredCard", "expired_card"),
            ("tok_chargeDeclinedFraudulent", "fraudulent"),
            ("tok_malformed!", "invalid_token"),
            ("", "invalid_token"),
        ] {
            let (said, reason, details) = rejected(charge(&job(token)));
            assert_eq!(said, code, "{token}");
            assert_eq!(details, json!({"status": "declined", "reason": reason}));
        }
    }

    #[test]
    fn a_timeout_passes_at_the_third_attempt_with_the_key_unchanged() {
        let attempt = |attempt| charge(&Job { attempt, ..job("tok_gatewayTimeout") });
        assert!(matches!(attempt(1), Err(Failure::Transient(_))));
        assert!(matches!(attempt(2), Err(Failure::Transient(_))));
        assert_eq!(accepted(attempt(3))["status"], "approved");
        assert!(matches!(charge(&Job { attempt: 9, ..job("tok_gatewayDown") }), Err(Failure::Transient(_))));
    }

    #[test]
    fn where_faults_are_off_no_token_makes_the_gateway_silent() {
        let charged = |token: &str| {
            let data = json!({"total": 149.99, "payment": {"token": token}, "items": []});
            charge(&testing::job(&data, &json!({"simulate": {"faults": false}})))
        };
        for token in ["tok_gatewayTimeout", "tok_gatewayDown"] {
            assert_eq!(rejected(charged(token)).0, "invalid_token", "{token}");
        }
        assert_eq!(accepted(charged("tok_visa"))["last4"], "4242");
        assert_eq!(rejected(charged("tok_chargeDeclined")).0, "insufficient_funds");
    }

    #[test]
    fn one_key_is_one_transaction_and_another_key_another() {
        let id = |key: &str, attempt| {
            accepted(charge(&Job { idempotency_key: key.to_owned(), attempt, ..job("tok_visa") }))["transaction_id"].clone()
        };
        assert_eq!(id("order-1:pay:1", 1), id("order-1:pay:1", 2));
        assert_ne!(id("order-1:pay:1", 1), id("order-1:pay:2", 1));
        let text = id("order-1:pay:1", 1);
        let digits = text.as_str().and_then(|id| id.strip_prefix(TRANSACTION_PREFIX)).map(str::len);
        assert_eq!(digits, Some(20), "{text}");
    }

    #[test]
    fn a_total_that_cannot_be_charged_is_a_permanent_failure_that_names_it() {
        for (total, expected) in
            [(json!(0.001), "total is 0.001"), (json!(-3), "total is -3"), (json!("9"), "total is \"9\""), (json!(null), "total is null")]
        {
            let text = permanent_text(&json!({"total": total}), &json!({}));
            assert!(text.contains(expected), "{text}");
        }
        assert!(permanent_text(&json!({}), &json!({})).contains("total is null"));
    }

    #[test]
    fn what_is_free_is_paid_with_any_card_or_none_and_without_a_transaction() {
        for data in [
            json!({"total": 0}),
            json!({"total": 0, "payment": {"token": "tok_chargeDeclined"}}),
            json!({"items": [{"price": 0, "quantity": 1}]}),
        ] {
            let paid = accepted(charge(&testing::job(&data, &json!({}))));
            assert_eq!(paid, json!({"status": "free"}), "{data}");
        }
    }

    #[test]
    fn a_mistake_in_the_configuration_is_named() {
        let text = permanent_text(&json!({"total": 1}), &json!({"simulate": {"sucessRate": 1}}));
        assert!(text.contains("sucessRate") && text.contains("successRate"), "{text}");
    }

    #[test]
    fn a_simulated_decline_stays_declined_however_often_it_is_tried() {
        let config = json!({"simulate": {"seed": 1, "successRate": 0.5}});
        for n in 0..50 {
            let attempt = |attempt| {
                let job = testing::job(&json!({"total": 5}), &config);
                charge(&Job { attempt, idempotency_key: format!("order-{n}:pay:1"), ..job })
            };
            assert_eq!(attempt(1), attempt(2));
        }
    }
}
