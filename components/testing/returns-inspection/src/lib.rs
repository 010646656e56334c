//! Inspection of returned goods: another business, to show that a host that knows one business knows any.
//!
//! The condition in the data decides: `damaged_by_customer` is rejected, `unknown` needs a second look (a transient failure at
//! attempt 1), everything else is graded and refunded in part or in full.

use serde::{Deserialize, Serialize};
use step_sdk::answer::{accepted, rejected, transient};
use step_sdk::{Answer, Description, Guest, Job, Simulation, input, log, schema};

/// The component.
pub struct ReturnsInspection;

#[derive(Deserialize)]
struct Data {
    reason: String,
    condition: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Config {
    simulate: Simulation,
}

#[derive(Serialize)]
struct Inspected {
    grade: &'static str,
    refund_percent: u8,
}

#[derive(Serialize)]
struct Refused {
    grade: &'static str,
    refund_percent: u8,
    reason: &'static str,
}

impl Guest for ReturnsInspection {
    fn describe() -> Description {
        Description {
            name: "returns-inspection".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: schema::config(
                "Values of condition in the data: damaged_by_customer is rejected, unknown fails at attempt 1, new and opened are refunded in full, others in part.",
                "Share of attempts at which somebody is there to inspect.",
                "",
            ),
        }
    }

    fn process(job: Job) -> Answer {
        let config: Config = input::config(&job)?;
        let data: Data = input::data(&job)?;
        config.simulate.wait(&job);
        if !config.simulate.works(&job) {
            return transient("nobody is there to inspect");
        }
        inspect(&data, job.attempt)
    }
}

fn inspect(data: &Data, attempt: u32) -> Answer {
    let (grade, refund_percent) = match (data.condition.as_str(), data.reason.as_str()) {
        ("damaged_by_customer", _) => {
            let reason = "The goods were damaged after they had been delivered.";
            return rejected("damaged_by_customer", reason, &Refused { grade: "D", refund_percent: 0, reason });
        }
        ("unknown", _) if attempt == 1 => return transient("the condition of the goods needs a second look"),
        ("new" | "opened", _) | (_, "defective") => ("A", 100),
        ("unknown", _) => ("C", 50),
        _ => ("B", 80),
    };
    log::info(&format!("graded {grade}, {refund_percent}% is refunded"));
    accepted(&Inspected { grade, refund_percent })
}

#[cfg(target_family = "wasm")]
step_sdk::export!(ReturnsInspection with_types_in step_sdk::bindings);

#[cfg(test)]
mod tests {
    use serde_json::json;
    use step_sdk::{Failure, testing};

    use super::*;

    fn inspected(reason: &str, condition: &str, attempt: u32) -> Answer {
        let data = json!({"orderId": "order-1", "reason": reason, "condition": condition});
        ReturnsInspection::process(Job { attempt, ..testing::job(&data, &json!({})) })
    }

    #[test]
    fn goods_are_graded_by_condition_and_reason() {
        for (reason, condition, percent) in [("changed_mind", "new", 100), ("changed_mind", "used", 80), ("defective", "used", 100)] {
            assert_eq!(testing::accepted(inspected(reason, condition, 1))["refund_percent"], percent);
        }
    }

    #[test]
    fn what_the_customer_broke_is_rejected() {
        let (code, reason, details) = testing::rejected(inspected("defective", "damaged_by_customer", 1));
        assert_eq!((code.as_str(), &details["reason"]), ("damaged_by_customer", &json!(reason)));
    }

    #[test]
    fn an_unknown_condition_gets_a_second_look() {
        assert!(matches!(inspected("x", "unknown", 1), Err(Failure::Transient(_))));
        assert_eq!(testing::accepted(inspected("x", "unknown", 2))["grade"], "C");
    }
}
