//! The stock service as seen from here: requests, replies, and what a reply means.

use serde::{Deserialize, Serialize};
use step_sdk::answer::{accepted, permanent, rejected, transient};
use step_sdk::http::{CallError, Reply, segment};
use step_sdk::jiff::{SignedDuration, Timestamp};
use step_sdk::{Answer, log};

use crate::lines::{self, Item};

/// Name of the HTTP service that the operator grants.
pub const SERVICE: &str = "stock";

/// What a 409 carries: a problem (RFC 9457) with what lacks.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    shortages: Vec<Shortage>,
}

#[derive(Deserialize)]
struct Shortage {
    sku: String,
    requested: u64,
    available: u64,
}

#[derive(Serialize)]
struct Reserved {
    available: bool,
    checked_items: usize,
    reserved_until: String,
}

#[cfg(feature = "simulated")]
#[derive(Serialize)]
struct Checked {
    available: bool,
    checked_items: usize,
}

#[derive(Serialize)]
struct OutOfStock<'reason> {
    available: bool,
    reason: &'reason str,
}

#[derive(Serialize)]
struct Nothing {}

/// Path of the reservation of `instance`.
pub fn path(instance: &str) -> String {
    format!("/internal/reservations/{}", segment(instance))
}

/// Path of what `instance` brings back.
pub fn path_of_return(instance: &str) -> String {
    format!("{}/return", path(instance))
}

/// What the reply to putting items back means.
pub fn put_back(reply: &Reply) -> Answer {
    match reply.status {
        200..=299 => accepted(&Nothing {}),
        _ => refused(reply, "the return"),
    }
}

/// What it means that nothing is put back.
pub fn nothing_to_put_back() -> Answer {
    accepted(&Nothing {})
}

/// What the reply to a reservation means.
pub fn reserved(reply: &Reply, items: &[Item], hold: SignedDuration, now: Timestamp) -> Answer {
    match reply.status {
        200..=299 => {
            let until = now.saturating_add(hold).unwrap_or(Timestamp::MAX);
            log::info(&format!("reserved {} item(s)", items.len()));
            accepted(&Reserved { available: true, checked_items: items.len(), reserved_until: until.to_string() })
        }
        409 => {
            let shortages = problem(reply).shortages;
            out_of_stock(&describe_shortages(&shortages, items))
        }
        _ => refused(reply, "the reservation"),
    }
}

/// What the reply to giving a reservation back means. One that is not there is given back.
pub fn released(reply: &Reply) -> Answer {
    match reply.status {
        200..=299 => accepted(&Nothing {}),
        404 if is_of_the_stock(reply) => accepted(&Nothing {}),
        _ => refused(reply, "the release of the reservation"),
    }
}

/// What the reply to a commit means.
pub fn committed(reply: &Reply) -> Answer {
    match reply.status {
        200..=299 => accepted(&Nothing {}),
        _ => refused(reply, "the commit of the reservation"),
    }
}

/// What it means that no reply came.
pub fn unreachable(error: &CallError) -> Answer {
    match error {
        CallError::Denied(why) => permanent(format!(
            "the component may not call the HTTP service `{SERVICE}` ({why}); grant it under `capabilities.http` of the component"
        )),
        CallError::Broken(why) => transient(format!("the stock service did not answer: {why}")),
    }
}

/// What a reservation means where nobody keeps stock: the lines are all there is to check, and no time is promised.
#[cfg(feature = "simulated")]
pub fn simulated(items: &[Item]) -> Answer {
    log::info(&format!("found {} item(s); no stock is kept here", items.len()));
    accepted(&Checked { available: true, checked_items: items.len() })
}

/// What it means that there is no reservation to give back or to commit.
#[cfg(feature = "simulated")]
pub fn nothing_kept() -> Answer {
    accepted(&Nothing {})
}

/// The rejection for want of stock.
pub fn out_of_stock(reason: &str) -> Answer {
    log::info("out of stock");
    rejected("out_of_stock", reason, &OutOfStock { available: false, reason })
}

fn refused(reply: &Reply, what: &str) -> Answer {
    let Reply { status, .. } = reply;
    let detail = problem(reply).detail;
    match status {
        // Not by somebody who keeps a stock: a firewall, or the wrong address. It passes when an operator sees to it.
        _ if !is_of_the_stock(reply) => {
            transient(format!("who answers for the stock service knows nothing of {what}: status {status} {detail}; is its address right?"))
        }
        408 | 425 | 429 | 500..=599 => transient(format!("the stock service could not do {what} now: status {status} {detail}")),
        _ => permanent(format!("the stock service refused {what}: status {status} {detail}")),
    }
}

/// Whether it is the answer of a stock service: a JSON object that says nothing or what is the matter, as a problem does, and not that
/// nothing is at this path. A gateway or a firewall in its place has words of its own.
fn is_of_the_stock(reply: &Reply) -> bool {
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&reply.body);
    object.is_ok_and(|object| (object.is_empty() || object.contains_key("detail")) && problem(reply).code != "no_such_path")
}

fn problem(reply: &Reply) -> Problem {
    serde_json::from_str(&reply.body).unwrap_or_default()
}

fn describe_shortages(shortages: &[Shortage], items: &[Item]) -> String {
    let sentences: Vec<String> = shortages
        .iter()
        .map(|shortage| {
            let (name, Shortage { requested, available, .. }) = (lines::name(items, &shortage.sku), shortage);
            match available {
                0 => format!("{name} is out of stock."),
                _ => format!("Only {available} of {name} left, {requested} wanted."),
            }
        })
        .collect();
    if sentences.is_empty() { "Something in this purchase is out of stock.".to_owned() } else { sentences.join(" ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use step_sdk::Failure;
    use step_sdk::testing;

    use super::*;

    fn items() -> Vec<Item> {
        let item = |id: &str, quantity, name: Option<&str>| Item { product_id: id.into(), quantity, name: name.map(str::to_owned) };
        vec![item("prod-001", 60, Some("Mechanical Keyboard")), item("prod-002", 1, None)]
    }

    fn reply(status: u16, body: &serde_json::Value) -> Reply {
        Reply { status, body: body.to_string() }
    }

    fn to_reservation(reply: &Reply) -> Answer {
        reserved(reply, &items(), SignedDuration::from_mins(30), "2026-11-02T08:00:00Z".parse().expect("a timestamp"))
    }

    #[test]
    fn a_reservation_says_what_was_checked_and_until_when_it_holds() {
        for status in [200, 201] {
            let answer = testing::accepted(to_reservation(&reply(status, &json!({"status": "reserved"}))));
            assert_eq!(answer, json!({"available": true, "checked_items": 2, "reserved_until": "2026-11-02T08:30:00Z"}));
        }
    }

    #[test]
    fn shortages_are_told_in_words_for_the_customer() {
        let body = json!({"status": 409, "detail": "not enough stock", "shortages": [
            {"sku": "prod-001", "requested": 60, "available": 50}, {"sku": "prod-002", "requested": 1, "available": 0}]});
        let (code, reason, details) = testing::rejected(to_reservation(&reply(409, &body)));
        assert_eq!(code, "out_of_stock");
        assert_eq!(reason, "Only 50 of Mechanical Keyboard left, 60 wanted. prod-002 is out of stock.");
        assert_eq!(details, json!({"available": false, "reason": reason}));
    }

    #[test]
    fn a_conflict_without_details_is_out_of_stock_all_the_same() {
        let (code, reason, _) = testing::rejected(to_reservation(&Reply { status: 409, body: "<html>".into() }));
        assert_eq!((code.as_str(), reason.as_str()), ("out_of_stock", "Something in this purchase is out of stock."));
    }

    #[test]
    fn what_may_pass_is_transient_and_what_will_not_is_permanent() {
        for status in [408, 429, 500, 503] {
            assert!(matches!(to_reservation(&reply(status, &json!({}))), Err(Failure::Transient(_))), "{status}");
        }
        for status in [301, 400, 401, 404, 422] {
            let answer = to_reservation(&reply(status, &json!({"detail": "no such product"})));
            assert!(
                matches!(&answer, Err(Failure::Permanent(text)) if text.contains("no such product") && text.contains(&status.to_string())),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn releasing_what_is_not_there_is_fine_and_committing_it_is_not() {
        assert_eq!(testing::accepted(released(&reply(404, &json!({})))), json!({}));
        assert_eq!(testing::accepted(released(&reply(204, &json!({})))), json!({}));
        assert!(matches!(committed(&reply(404, &json!({}))), Err(Failure::Permanent(_))));
        assert_eq!(testing::accepted(committed(&reply(200, &json!({})))), json!({}));
    }

    #[test]
    fn an_answer_of_somebody_else_ends_nothing() {
        let elsewhere = reply(404, &json!({"detail": "nothing answers '/stock'", "code": "no_such_path"}));
        let gateway = reply(404, &json!({"message": "no Route matched with those values"}));
        let nothing = Reply { status: 404, body: String::new() };
        let walls = [301, 403, 404, 503].map(|status| Reply { status, body: "<html>no</html>".into() });
        for reply in walls.iter().chain([&elsewhere, &gateway, &nothing]) {
            for answer in [to_reservation(reply), released(reply), committed(reply), put_back(reply)] {
                assert!(matches!(&answer, Err(Failure::Transient(text)) if text.contains(&reply.status.to_string())), "{answer:?}");
            }
        }
    }

    #[test]
    fn a_denied_call_says_what_to_grant() {
        let answer = unreachable(&CallError::Denied("not granted".into()));
        assert!(
            matches!(&answer, Err(Failure::Permanent(text)) if text.contains("capabilities.http") && text.contains("`stock`")),
            "{answer:?}"
        );
        assert!(matches!(unreachable(&CallError::Broken("refused".into())), Err(Failure::Transient(_))));
    }

    #[test]
    fn an_instance_id_stays_inside_its_path_segment() {
        assert_eq!(path("order-0192f0c1"), "/internal/reservations/order-0192f0c1");
        assert_eq!(path("../a b?"), "/internal/reservations/%2E%2E%2Fa%20b%3F");
    }
}
