//! What a job asks of the stock: decided from the state that the instance has entered.

use serde::{Deserialize, Serialize};
use step_sdk::http::{CallError, Method, Reply, Request};
use step_sdk::jiff::{SignedDuration, Timestamp};
use step_sdk::{Answer, Failure, Job, Simulation, input, schema};

use crate::lines::{self, Item, Line};
use crate::stock;

const RESERVE_ON: &[&str] = &["validating"];
const RELEASE_ON: &[&str] = &["cancelled", "failed"];
const COMMIT_ON: &[&str] = &["delivered"];
const RETURN_ON: &[&str] = &["restocking"];
const HOLD_MINUTES: u32 = 30;

/// What to do about a job.
#[derive(Debug, PartialEq)]
pub enum Plan {
    /// The answer is clear without asking.
    Answer(Answer),
    /// Ask the stock service.
    Ask(Ask),
}

/// A request, and what is needed to understand the reply.
#[derive(Debug, PartialEq)]
pub struct Ask {
    /// To be sent.
    pub request: Request,
    purpose: Purpose,
}

#[derive(Debug, PartialEq)]
enum Purpose {
    Reserve { items: Vec<Item>, hold: SignedDuration },
    Release,
    Commit,
    Return,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Config {
    reserve_on: Vec<String>,
    release_on: Vec<String>,
    commit_on: Vec<String>,
    return_on: Vec<String>,
    hold_minutes: u32,
    simulate: Simulation,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    items: Vec<Item>,
    /// Whether what has come back can be sold again.
    #[serde(default)]
    restock: bool,
}

#[derive(Serialize)]
struct ReservationBody {
    lines: Vec<Line>,
}

impl Default for Config {
    fn default() -> Self {
        let owned = |states: &[&str]| states.iter().map(|&state| state.to_owned()).collect();
        Self {
            reserve_on: owned(RESERVE_ON),
            release_on: owned(RELEASE_ON),
            commit_on: owned(COMMIT_ON),
            return_on: owned(RETURN_ON),
            hold_minutes: HOLD_MINUTES,
            simulate: Simulation::default(),
        }
    }
}

/// Properties of the configuration, as members of a JSON Schema.
pub fn config_schema() -> String {
    [
        schema::states("reserveOn", "States on entering which stock is reserved.", RESERVE_ON),
        schema::states("releaseOn", "States on entering which the reservation is given back.", RELEASE_ON),
        schema::states("commitOn", "States on entering which the reserved stock is taken for good.", COMMIT_ON),
        schema::states("returnOn", "States on entering which sold items are put back, if the data has restock: true.", RETURN_ON),
        format!(
            r#""holdMinutes":{{"type":"integer","minimum":1,"maximum":525600,"default":{HOLD_MINUTES},"description":{}}}"#,
            schema::text("For how long the customer is told that the stock is held.")
        ),
    ]
    .join(",")
}

/// What to do about `job`.
pub fn plan(job: &Job) -> Result<Plan, Failure> {
    let config: Config = input::config(job)?;
    config.simulate.wait(job);
    let path = stock::path(&job.instance_id);
    let ask = |method, path, purpose| Ok(Plan::Ask(Ask { request: Request { method, path, body: String::new() }, purpose }));
    if config.reserve_on.contains(&job.to_state) {
        reserve(job, &config)
    } else if config.release_on.contains(&job.to_state) {
        ask(Method::Delete, path, Purpose::Release)
    } else if config.commit_on.contains(&job.to_state) {
        ask(Method::Post, format!("{path}/commit"), Purpose::Commit)
    } else if config.return_on.contains(&job.to_state) {
        put_back(job)
    } else {
        Err(Failure::Permanent(nothing_to_do(&job.to_state, &config)))
    }
}

fn put_back(job: &Job) -> Result<Plan, Failure> {
    let Data { items, restock } = input::data(job)?;
    if !restock {
        return Ok(Plan::Answer(stock::nothing_to_put_back()));
    }
    if items.is_empty() || items.iter().any(|item| item.quantity == 0) {
        return Err(Failure::Permanent(format!("{} has no items to put back, or one of quantity 0", job.instance_id)));
    }
    let body = serde_json::to_string(&ReservationBody { lines: lines::aggregate(&items) })
        .map_err(|problem| Failure::Permanent(format!("the items cannot be written as JSON: {problem}")))?;
    let request = Request { method: Method::Put, path: stock::path_of_return(&job.instance_id), body };
    Ok(Plan::Ask(Ask { request, purpose: Purpose::Return }))
}

fn reserve(job: &Job, config: &Config) -> Result<Plan, Failure> {
    let Data { items, .. } = input::data(job)?;
    if items.is_empty() || items.iter().any(|item| item.quantity == 0) {
        return Err(Failure::Permanent(format!("{} has no items to reserve, or one of quantity 0", job.instance_id)));
    }
    if !config.simulate.agrees(job) {
        let name = items.first().map_or("Something", |item| lines::name(&items, &item.product_id));
        return Ok(Plan::Answer(stock::out_of_stock(&format!("{name} could not be found in the warehouse."))));
    }
    let body = serde_json::to_string(&ReservationBody { lines: lines::aggregate(&items) })
        .map_err(|problem| Failure::Permanent(format!("the reservation could not be written as JSON: {problem}")))?;
    let hold = SignedDuration::from_mins(i64::from(config.hold_minutes));
    let request = Request { method: Method::Put, path: stock::path(&job.instance_id), body };
    Ok(Plan::Ask(Ask { request, purpose: Purpose::Reserve { items, hold } }))
}

fn nothing_to_do(state: &str, config: &Config) -> String {
    let Config { reserve_on, release_on, commit_on, .. } = config;
    format!(
        "inventory has nothing to do on entering {state}: it reserves on {}, releases on {} and commits on {}, see reserveOn, releaseOn and commitOn",
        reserve_on.join(", "),
        release_on.join(", "),
        commit_on.join(", ")
    )
}

impl Ask {
    /// What the reply, or its absence, means.
    pub fn conclude(&self, reply: Result<Reply, CallError>, now: Timestamp) -> Answer {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return stock::unreachable(&error),
        };
        match &self.purpose {
            Purpose::Reserve { items, hold } => stock::reserved(&reply, items, *hold, now),
            Purpose::Release => stock::released(&reply),
            Purpose::Commit => stock::committed(&reply),
            Purpose::Return => stock::put_back(&reply),
        }
    }

    /// What the request means where there is nobody to ask.
    #[cfg(feature = "simulated")]
    pub fn simulate(&self) -> Answer {
        match &self.purpose {
            Purpose::Reserve { items, .. } => stock::simulated(items),
            Purpose::Release | Purpose::Commit | Purpose::Return => stock::nothing_kept(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use step_sdk::testing;

    use super::*;

    fn job(to_state: &str, config: &Value) -> Job {
        let items = json!([{"productId": "prod-002", "quantity": 1, "name": "Wireless Mouse", "price": 49.99}, {"productId": "prod-001", "quantity": 2}]);
        Job { to_state: to_state.to_owned(), ..testing::job(&json!({"items": items, "total": 349.97}), config) }
    }

    fn asked(job: &Job) -> Request {
        match plan(job) {
            Ok(Plan::Ask(ask)) => ask.request,
            other => panic!("expected a request, got {other:?}"),
        }
    }

    #[test]
    fn entering_validating_reserves_the_lines() {
        let request = asked(&job("validating", &json!({})));
        assert_eq!((request.method, request.path.as_str()), (Method::Put, "/internal/reservations/order-1"));
        assert_eq!(request.body, r#"{"lines":[{"sku":"prod-001","quantity":2},{"sku":"prod-002","quantity":1}]}"#);
    }

    #[test]
    fn an_end_without_goods_gives_back_and_an_end_with_goods_commits() {
        for state in ["cancelled", "failed"] {
            assert_eq!(asked(&job(state, &json!({}))).method, Method::Delete);
        }
        let commit = asked(&job("delivered", &json!({})));
        assert_eq!((commit.method, commit.path.as_str()), (Method::Post, "/internal/reservations/order-1/commit"));
    }

    #[test]
    fn what_comes_back_is_put_back_if_it_can_be_sold_again() {
        let items = json!([{"productId": "prod-002", "quantity": 1}, {"productId": "prod-002", "quantity": 2}]);
        let returned = |restock: bool| Job {
            to_state: "restocking".into(),
            ..testing::job(&json!({"items": items, "restock": restock, "amount": 1}), &json!({}))
        };
        let request = asked(&returned(true));
        assert_eq!((request.method, request.path.as_str()), (Method::Put, "/internal/reservations/order-1/return"));
        assert_eq!(request.body, r#"{"lines":[{"sku":"prod-002","quantity":3}]}"#);
        assert!(matches!(plan(&returned(false)), Ok(Plan::Answer(answer)) if testing::accepted(answer.clone()) == json!({})));
    }

    #[test]
    fn the_operator_names_the_states() {
        let config = json!({"reserveOn": ["checking"], "releaseOn": ["rejected"], "commitOn": []});
        assert_eq!(asked(&job("checking", &config)).method, Method::Put);
        assert_eq!(asked(&job("rejected", &config)).method, Method::Delete);
        let refused = plan(&job("delivered", &config));
        assert!(
            matches!(&refused, Err(Failure::Permanent(text)) if text.contains("delivered") && text.contains("checking")),
            "{refused:?}"
        );
    }

    #[cfg(feature = "simulated")]
    #[test]
    fn where_no_stock_is_kept_the_items_are_counted_and_nothing_is_promised() {
        let simulated = |state: &str| {
            let Ok(Plan::Ask(ask)) = plan(&job(state, &json!({}))) else { panic!("{state} asks") };
            testing::accepted(ask.simulate())
        };
        assert_eq!(simulated("validating"), json!({"available": true, "checked_items": 2}));
        assert_eq!(simulated("delivered"), json!({}));
    }

    #[test]
    fn nothing_to_reserve_is_a_permanent_failure() {
        for data in [
            json!({}),
            json!({"items": []}),
            json!({"items": [{"productId": "a", "quantity": 0}]}),
            json!({"items": [{"productId": "a", "quantity": -1}]}),
        ] {
            let job = Job { data: data.to_string(), ..job("validating", &json!({})) };
            assert!(matches!(plan(&job), Err(Failure::Permanent(_))), "{data}");
        }
    }

    #[test]
    fn a_simulated_shortage_is_a_rejection_that_does_not_ask() {
        let short = job("validating", &json!({"simulate": {"successRate": 0}}));
        match plan(&short) {
            Ok(Plan::Answer(answer)) => assert_eq!(testing::rejected(answer).0, "out_of_stock"),
            other => panic!("expected an answer, got {other:?}"),
        }
    }

    #[test]
    fn the_published_schema_lists_every_key_of_the_configuration() {
        let schema: Value = serde_json::from_str(&format!("{{{}}}", config_schema())).expect("JSON");
        let properties = schema.as_object().expect("an object");
        for (key, property) in properties {
            let config: Result<Config, _> = serde_json::from_value(json!({key: property["default"]}));
            assert!(config.is_ok(), "{key}");
        }
        assert_eq!(properties.len(), 5);
    }
}
