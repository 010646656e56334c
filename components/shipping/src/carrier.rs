//! The carrier: takes a parcel, answers as its ZIP code says.

use serde::{Deserialize, Serialize};
use step_sdk::answer::{accepted, rejected, transient};
use step_sdk::jiff::{Timestamp, tz::TimeZone};
use step_sdk::{Answer, Job, Simulation, input, log};

use crate::address::Address;
use crate::{delivery, tracking};

/// What testers and operators should know.
pub const RESERVED_VALUES: &str = "Reserved values of shipping.zip in the data: 00000 is rejected as undeliverable_address; 99999 always fails, the carrier is down; \
     99998 fails at attempt 1, then works; 99997 fails throughout the first visit and works at the second. Where simulate.faults is false the last three are ZIP codes as others are.";

const CARRIER: &str = "USPS";

#[derive(Deserialize)]
struct Data {
    shipping: Option<Address>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Config {
    simulate: Simulation,
}

#[derive(Serialize)]
struct Label {
    tracking_number: String,
    carrier: &'static str,
    estimated_delivery: String,
}

#[derive(Serialize)]
struct Refused<'reason> {
    reason: &'reason str,
}

/// Issues one label for each idempotency key.
pub fn ship(job: &Job, now: Timestamp) -> Answer {
    let config: Config = input::config(job)?;
    let address = input::data::<Data>(job)?.shipping.unwrap_or_default();
    config.simulate.wait(job);
    let zip5 = match address.zip5() {
        Ok(zip5) => zip5,
        Err(problem) => return refused(problem.code, &problem.reason),
    };
    let faults = config.simulate.faults;
    match zip5 {
        "00000" => refused("undeliverable_address", "The carrier does not deliver to this address."),
        "99999" if faults => transient("the carrier's label service is down"),
        "99998" if faults && job.attempt == 1 => transient("the carrier's label service did not answer in time"),
        "99997" if faults && job.visit == 1 => transient("the carrier's label service is closed for maintenance"),
        _ if !config.simulate.works(job) => transient("the carrier's label service did not answer"),
        _ => label(job, zip5, now),
    }
}

fn label(job: &Job, zip5: &str, now: Timestamp) -> Answer {
    let tracking_number = tracking::number(&job.idempotency_key);
    let estimated_delivery = delivery::estimated(now.to_zoned(TimeZone::UTC).date(), zip5).to_string();
    log::info(&format!("{CARRIER} label {tracking_number}, expected on {estimated_delivery}"));
    accepted(&Label { tracking_number, carrier: CARRIER, estimated_delivery })
}

fn refused(code: &str, reason: &str) -> Answer {
    log::info(&format!("refused: {code}"));
    rejected(code, reason, &Refused { reason })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use step_sdk::Failure;
    use step_sdk::testing::{self, accepted, rejected};

    use super::*;

    fn job(zip: &str) -> Job {
        testing::job(&json!({"shipping": {"address": "123 Main St", "city": "Portland", "state": "OR", "zip": zip}}), &json!({}))
    }

    fn monday() -> Timestamp {
        "2026-11-02T08:00:00Z".parse().expect("a timestamp")
    }

    fn is_transient(answer: &Answer) -> bool {
        matches!(answer, Err(Failure::Transient(_)))
    }

    #[test]
    fn a_parcel_gets_a_label_a_carrier_and_a_day() {
        let answer = accepted(ship(&job("97201"), monday()));
        assert_eq!(answer["carrier"], "USPS");
        assert_eq!(answer["estimated_delivery"], "2026-11-05");
        assert_eq!(answer["tracking_number"], tracking::number("order-1:step-under-test:1"));
    }

    #[test]
    fn addresses_that_no_carrier_reaches_are_rejections() {
        for (zip, code) in [("00000", "undeliverable_address"), ("1234", "invalid_zip"), ("", "invalid_zip")] {
            let (said, reason, details) = rejected(ship(&job(zip), monday()));
            assert_eq!(said, code);
            assert_eq!(details, json!({"reason": reason}));
        }
        let nowhere = testing::job(&json!({"items": []}), &json!({}));
        assert_eq!(rejected(ship(&nowhere, monday())).0, "incomplete_address");
    }

    #[test]
    fn reserved_zips_fail_for_as_long_as_documented() {
        assert!(is_transient(&ship(&Job { attempt: 50, visit: 9, ..job("99999") }, monday())));
        assert!(is_transient(&ship(&job("99998"), monday())));
        assert_eq!(accepted(ship(&Job { attempt: 2, ..job("99998") }, monday()))["carrier"], "USPS");
        assert!(is_transient(&ship(&Job { attempt: 3, ..job("99997") }, monday())));
        assert_eq!(accepted(ship(&Job { visit: 2, ..job("99997") }, monday()))["carrier"], "USPS");
    }

    #[test]
    fn where_faults_are_off_no_zip_code_makes_the_carrier_silent() {
        for zip in ["99999", "99998", "99997"] {
            let job = Job { config: json!({"simulate": {"faults": false}}).to_string(), ..job(zip) };
            assert_eq!(accepted(ship(&job, monday()))["carrier"], "USPS", "{zip}");
        }
    }

    #[test]
    fn a_simulated_failure_may_work_when_tried_again() {
        let config = json!({"simulate": {"seed": 3, "successRate": 0.5}});
        let parcel = Job { config: config.to_string(), ..job("97201") };
        let answers: Vec<Answer> = (1..=20).map(|attempt| ship(&Job { attempt, ..parcel.clone() }, monday())).collect();
        assert!(answers.iter().any(is_transient) && answers.iter().any(Result::is_ok));
    }
}
