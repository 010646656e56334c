//! A bank behind the HTTP service `bank` that the operator grants: requests, replies, and what a reply means.
//!
//! Its contract: a charge has a key, and one key is charged once, however often it is asked for. A key that was voided can never be
//! charged again, whether or not it was before, so a request that comes late does nothing.
//!
//! | request | answers |
//! |---|---|
//! | `POST /charges {"key","amount","token"}`, the amount in cents | 200 `{"status":"charged","id","last4"}`; 402 `{"code","reason"}`; 409 when the key was voided |
//! | `GET /charges/{key}` | 200 `{"status":"charged"\|"declined"\|"voided","id","last4"}`; 404 when it knows nothing of the key |
//! | `POST /charges/{key}/void` | 200; 404 never: a key that it does not know is voided all the same |
//! | `POST /refunds {"key","charge","amount"}` | 200 `{"status":"refunded","id"}`; 402 `{"code","reason"}` when it never will be; one key is one refund |
//! | `GET /refunds/{key}` | 200 `{"status":"refunded"\|"refused","id"}`; 404 when it knows nothing of the key |

use serde::{Deserialize, Serialize};
use step_sdk::answer::{permanent, rejected};
use step_sdk::http::{CallError, Method, Reply, Request, segment};
use step_sdk::reversible::Effect;
use step_sdk::{Answer, Failure, Job, Outcome};

use crate::purchase::Purchase;
use crate::refund::Refund;

/// Name of the HTTP service that the operator grants.
pub const SERVICE: &str = "bank";

/// What came of a request.
pub type Called = Result<Reply, CallError>;

#[derive(Serialize)]
struct Charge<'job> {
    key: &'job str,
    amount: u64,
    token: &'job str,
}

#[derive(Serialize)]
struct Back<'job> {
    key: &'job str,
    charge: &'job str,
    amount: u64,
}

#[derive(Serialize)]
struct Refunded<'reply> {
    refund_id: &'reply str,
}

#[derive(Deserialize)]
struct Charged {
    status: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    last4: String,
}

#[derive(Deserialize)]
struct Decline {
    code: String,
    reason: String,
}

#[derive(Serialize)]
struct Approved<'reply> {
    transaction_id: &'reply str,
    status: &'static str,
    last4: &'reply str,
}

#[derive(Serialize)]
struct Declined<'reply> {
    status: &'static str,
    reason: &'reply str,
}

/// Asks for the instance's total, once for each idempotency key.
pub fn charge(job: &Job) -> Result<Request, Failure> {
    let Purchase { amount, token } = Purchase::of(job)?;
    let body = json(&Charge { key: &job.idempotency_key, amount: amount.cents(), token: &token })?;
    Ok(Request { method: Method::Post, path: "/charges".to_owned(), body })
}

/// What the reply to a charge means.
pub fn charged(called: Called) -> Answer {
    let reply = called.or_else(unreachable)?;
    match reply.status {
        200..=299 => Ok(Outcome::Accepted(approved(&reply, &read(&reply)?)?)),
        402 => {
            let Decline { code, reason } = read(&reply)?;
            rejected(&code, reason.clone(), &Declined { status: "declined", reason: &reason })
        }
        409 => permanent("the bank has voided this key: it can no longer be charged"),
        _ => Err(refused(&reply, "the charge")),
    }
}

/// Asks about the key of a job.
pub fn status(job: &Job) -> Request {
    Request { method: Method::Get, path: format!("/charges/{}", segment(&job.idempotency_key)), body: String::new() }
}

/// What the reply about a key means.
pub fn found(called: Called) -> Result<Effect, Failure> {
    let reply = called.or_else(unreachable)?;
    match reply.status {
        200..=299 => {
            let charged: Charged = read(&reply)?;
            if charged.status == "charged" { approved(&reply, &charged).map(Effect::Done) } else { Ok(Effect::NotDone) }
        }
        404 => Ok(Effect::NotDone),
        _ => Err(refused(&reply, "the question about a charge")),
    }
}

/// Asks for the money back, and that the key is never charged.
pub fn undo(job: &Job) -> Request {
    Request { method: Method::Post, path: format!("/charges/{}/void", segment(&job.idempotency_key)), body: String::new() }
}

/// What the reply to that means.
pub fn undone(called: Called) -> Result<(), Failure> {
    let reply = called.or_else(unreachable)?;
    if (200..300).contains(&reply.status) { Ok(()) } else { Err(refused(&reply, "to void a charge")) }
}

/// A charge that cannot be told apart from another is not known to be one.
fn approved(reply: &Reply, charged: &Charged) -> Result<String, Failure> {
    if charged.status != "charged" || charged.id.is_empty() {
        let start: String = reply.body.chars().take(200).collect();
        return Err(Failure::Transient(format!("the bank's answer names no charge: {start}")));
    }
    json(&Approved { transaction_id: &charged.id, status: "approved", last4: &charged.last4 })
}

/// Asks for the instance's amount to be given back, once for each instance.
pub fn refund(job: &Job) -> Result<Request, Failure> {
    let Refund { cents, charge } = Refund::of(job)?;
    let body = json(&Back { key: &job.instance_id, charge: &charge, amount: cents })?;
    Ok(Request { method: Method::Post, path: "/refunds".to_owned(), body })
}

/// What the reply to a refund means.
pub fn refunded(called: Called) -> Answer {
    let reply = called.or_else(unreachable)?;
    match reply.status {
        200..=299 => Ok(Outcome::Accepted(given_back(&reply, &read(&reply)?)?)),
        402 => {
            let Decline { code, reason } = read(&reply)?;
            rejected(&code, reason.clone(), &Declined { status: "refused", reason: &reason })
        }
        _ => Err(refused(&reply, "the refund")),
    }
}

/// Asks about the refund of a job.
pub fn refund_status(job: &Job) -> Request {
    Request { method: Method::Get, path: format!("/refunds/{}", segment(&job.instance_id)), body: String::new() }
}

/// What the reply about a refund means.
pub fn refund_found(called: Called) -> Result<Effect, Failure> {
    let reply = called.or_else(unreachable)?;
    match reply.status {
        200..=299 => {
            let found: Charged = read(&reply)?;
            if found.status == "refunded" { given_back(&reply, &found).map(Effect::Done) } else { Ok(Effect::NotDone) }
        }
        404 => Ok(Effect::NotDone),
        _ => Err(refused(&reply, "the question about a refund")),
    }
}

fn given_back(reply: &Reply, found: &Charged) -> Result<String, Failure> {
    if found.status != "refunded" || found.id.is_empty() {
        let start: String = reply.body.chars().take(200).collect();
        return Err(Failure::Transient(format!("the bank's answer names no refund: {start}")));
    }
    json(&Refunded { refund_id: &found.id })
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|problem| Failure::Permanent(format!("cannot be written as JSON: {problem}")))
}

fn read<T: for<'text> Deserialize<'text>>(reply: &Reply) -> Result<T, Failure> {
    serde_json::from_str(&reply.body).map_err(|problem| {
        let start: String = reply.body.chars().take(200).collect();
        Failure::Transient(format!("the bank's answer ({}) cannot be read: {problem}: {start}", reply.status))
    })
}

fn unreachable(error: CallError) -> Result<Reply, Failure> {
    Err(match error {
        CallError::Denied(why) => Failure::Permanent(format!(
            "the HTTP service `{SERVICE}` cannot be called ({why}): grant it in the component's capabilities.http, with the bank's URL"
        )),
        CallError::Broken(why) => Failure::Transient(format!("the bank did not answer: {why}")),
    })
}

fn refused(reply: &Reply, what: &str) -> Failure {
    let Reply { status, body } = reply;
    let start: String = body.chars().take(200).collect();
    let text = format!("the bank refused {what} with {status}: {start}");
    // Of all other answers none says anything of this charge: a firewall gives 403, another address 404, a proxy 407. They pass when somebody
    // sees to it, and no order should end by them.
    if matches!(status, 400 | 422) && body.trim_start().starts_with('{') { Failure::Permanent(text) } else { Failure::Transient(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use step_sdk::testing::{self, accepted};

    use super::*;

    fn reply(status: u16, body: &Value) -> Called {
        Ok(Reply { status, body: body.to_string() })
    }

    fn charged_as(id: &str) -> Value {
        json!({"status": "charged", "id": id, "last4": "4242"})
    }

    #[test]
    fn a_charge_asks_for_whole_cents_under_the_key_of_the_visit() {
        let job = testing::job(&json!({"total": 149.99, "payment": {"token": "tok_visa"}}), &json!({}));
        let request = charge(&job).unwrap_or_else(|failure| panic!("{failure:?}"));
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        assert_eq!(body, json!({"key": job.idempotency_key, "amount": 14_999, "token": "tok_visa"}));
        assert_eq!((request.method, request.path.as_str()), (Method::Post, "/charges"));
    }

    #[test]
    fn the_key_is_one_segment_of_the_path() {
        let job = Job { idempotency_key: "order-1:pay/../x:1".into(), ..testing::job(&json!({}), &json!({})) };
        assert_eq!(status(&job).path, "/charges/order-1%3Apay%2F%2E%2E%2Fx%3A1");
        assert_eq!(undo(&job).path, "/charges/order-1%3Apay%2F%2E%2E%2Fx%3A1/void");
    }

    #[test]
    fn replies_to_a_charge_are_the_four_answers() {
        assert_eq!(
            accepted(charged(reply(200, &charged_as("ch_1")))),
            json!({"transaction_id": "ch_1", "status": "approved", "last4": "4242"})
        );
        let declined = charged(reply(402, &json!({"code": "expired_card", "reason": "The card has expired."})));
        assert_eq!(testing::rejected(declined).0, "expired_card");
        for (called, lasting) in [
            (reply(409, &json!({})), true),
            (reply(400, &json!({})), true),
            (Err(CallError::Denied("no".into())), true),
            (reply(422, &json!({})), true),
            (reply(500, &json!({})), false),
            (reply(429, &json!({})), false),
            // Of a firewall, of another address, of a proxy: nothing that this charge has deserved.
            (Ok(Reply { status: 400, body: "<html>".into() }), false),
            (reply(302, &json!({})), false),
            (reply(401, &json!({})), false),
            (reply(403, &json!({})), false),
            (reply(404, &json!({"detail": "there is nothing here"})), false),
            (reply(405, &json!({})), false),
            (reply(407, &json!({})), false),
            (reply(200, &json!({"status": "charged"})), false),
            (Ok(Reply { status: 200, body: "<html>".into() }), false),
            (Err(CallError::Broken("late".into())), false),
        ] {
            let text = format!("{called:?}");
            match charged(called) {
                Err(Failure::Permanent(_)) => assert!(lasting, "{text}"),
                Err(Failure::Transient(_)) => assert!(!lasting, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_refund_is_asked_for_under_the_id_of_its_instance_whatever_the_visit() {
        let job = testing::job(&json!({"amount": 2_000, "transaction_id": "ch_1"}), &json!({"operation": "refund"}));
        let again = Job { visit: 7, idempotency_key: "another:key:7".into(), ..job.clone() };
        for job in [&job, &again] {
            let request = refund(job).unwrap_or_else(|failure| panic!("{failure:?}"));
            let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
            assert_eq!(body, json!({"key": job.instance_id, "charge": "ch_1", "amount": 2_000}));
            assert_eq!(refund_status(job).path, format!("/refunds/{}", job.instance_id));
        }
    }

    #[test]
    fn replies_to_a_refund_are_the_four_answers() {
        let done = json!({"status": "refunded", "id": "re_1"});
        assert_eq!(accepted(refunded(reply(200, &done))), json!({"refund_id": "re_1"}));
        let never = refunded(reply(402, &json!({"code": "charge_disputed", "reason": "The charge is disputed."})));
        assert_eq!(testing::rejected(never).0, "charge_disputed");
        assert!(matches!(refunded(reply(400, &json!({}))), Err(Failure::Permanent(_))));
        for called in [reply(500, &json!({})), reply(200, &json!({"status": "refunded"})), Err(CallError::Broken("late".into()))] {
            assert!(matches!(refunded(called), Err(Failure::Transient(_))));
        }
        assert!(matches!(refund_found(reply(200, &done)), Ok(Effect::Done(text)) if text.contains("re_1")));
        for known in [reply(404, &json!({})), reply(200, &json!({"status": "refused"}))] {
            assert!(matches!(refund_found(known), Ok(Effect::NotDone)));
        }
        assert!(refund_found(reply(503, &json!({}))).is_err());
    }

    #[test]
    fn only_a_charge_that_is_named_was_done() {
        assert!(matches!(found(reply(200, &charged_as("ch_1"))), Ok(Effect::Done(text)) if text.contains("ch_1")));
        for known in [reply(404, &json!({})), reply(200, &json!({"status": "voided"})), reply(200, &json!({"status": "declined"}))] {
            assert!(matches!(found(known), Ok(Effect::NotDone)));
        }
        assert!(found(reply(503, &json!({}))).is_err() && found(Err(CallError::Broken("late".into()))).is_err());
        assert!(undone(reply(200, &json!({}))).is_ok() && undone(reply(404, &json!({}))).is_err());
    }
}
