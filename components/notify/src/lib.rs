//! The notification component: writes the message that tells a customer of a new state, and plays the mailer.
//!
//! It renders a template per state (the operator may bring others), escapes what comes from data, and writes the message
//! to the log instead of an outbox. It knows no address of anybody, and hides whatever looks like an e-mail address.

pub mod escape;
pub mod message;
pub mod template;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use step_sdk::answer::{accepted, transient};
use step_sdk::{Answer, Description, Failure, Guest, Job, Simulation, input, log, schema};

use crate::message::{Channel, Message};
use crate::template::Templates;

/// The component.
pub struct Notify;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Config {
    channel: Channel,
    templates: Templates,
    simulate: Simulation,
}

#[derive(Serialize)]
struct Notified<'message> {
    notified: bool,
    channel: Channel,
    subject: &'message str,
}

impl Guest for Notify {
    fn describe() -> Description {
        Description {
            name: "notify".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: schema::config(
                "The message for each state.",
                "Share of attempts at which the mailer answers; the others fail and may work when tried again.",
                &template::config_schema(),
            ),
        }
    }

    fn process(job: Job) -> Answer {
        let (channel, message) = render(&job)?;
        log::info(&format!("{} sent: {} | {}", channel.name(), message.subject, message.body));
        accepted(&Notified { notified: true, channel, subject: &message.subject })
    }
}

/// The message that `job` asks for.
fn render(job: &Job) -> Result<(Channel, Message), Failure> {
    let config: Config = input::config(job)?;
    let data = input::data(job)?;
    config.simulate.wait(job);
    if !config.simulate.works(job) {
        transient("the mailer did not answer")?;
    }
    for gap in gaps(&config.templates, job, &data) {
        log::warn(&gap);
    }
    let template = config.templates.for_state(&job.to_state, &data);
    Ok((config.channel, Message::render(&template, config.channel, job, &data)))
}

/// Lines about what the message will lack.
fn gaps(templates: &Templates, job: &Job, data: &Value) -> Vec<String> {
    templates.gaps(&job.to_state, |name| message::placeholder(name, job, data), data)
}

#[cfg(target_family = "wasm")]
step_sdk::export!(Notify with_types_in step_sdk::bindings);

#[cfg(test)]
mod tests {
    use serde_json::json;
    use step_sdk::testing;

    use super::*;

    fn job(to_state: &str, config: &serde_json::Value) -> Job {
        let data = json!({"total": 149.99, "tracking_number": "9400111202555842332669", "carrier": "USPS", "shipping": {"address": "mail <me@example.com>"}});
        Job { to_state: to_state.to_owned(), ..testing::job(&data, config) }
    }

    #[test]
    fn what_is_free_is_not_told_of_a_charge() {
        let free = |config| render(&Job { to_state: "paid".into(), ..testing::job(&json!({"total": 0}), &config) }).expect("a message").1;
        assert_eq!(free(json!({})).subject, "Nothing is to be paid for order-1");
        let own = json!({"templates": {"paid": {"subject": "own", "body": "words"}}});
        assert_eq!(free(own).subject, "own");
    }

    #[test]
    fn each_state_has_its_own_words() {
        let subject = |state: &str| render(&job(state, &json!({}))).expect("a message").1.subject;
        assert_eq!(subject("shipped"), "order-1 is on its way");
        assert_ne!(subject("delivered"), subject("cancelled"));
        assert_eq!(subject("state_nobody_wrote_for"), "order-1: state nobody wrote for");
    }

    #[test]
    fn the_operator_brings_other_words_and_another_channel() {
        let config =
            json!({"channel": "sms", "templates": {"shipped": {"subject": "Sent", "body": "Look for {data.tracking_number}, {nothing}."}}});
        let (channel, message) = render(&job("shipped", &config)).expect("a message");
        assert_eq!((channel, message.subject.as_str()), (Channel::Sms, "Sent"));
        assert_eq!(message.body, "Look for 9400111202555842332669, .");
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_the_template_and_what_there_is() {
        let lines = |state: &str, body: &str| {
            let config = json!({"templates": {state: {"subject": "{instance}", "body": body}}});
            let job = job(state, &config);
            let config: Config = input::config(&job).expect("a config");
            gaps(&config.templates, &job, &input::data(&job).expect("data"))
        };
        let told = lines("shipped", "within {nonsense} minutes by {data.carrier}");
        assert_eq!(
            told,
            ["the template for 'shipped' leaves a gap in its body: there is no {nonsense}; it can have {instance}, {workflow}, {state}, \
              {transition}, and {data.<path>} where the data has: carrier, shipping, total, tracking_number"]
        );
        assert!(lines("paid", "{data.carier}, {data.shipping}").iter().all(|line| line.contains("'paid'")));
        assert_eq!(lines("paid", "{data.carier}, {data.shipping}").len(), 2);
        // As in the component's own words, a reason may lack; what is there, and a brace that nothing closes, are no gaps.
        assert_eq!(lines("cancelled", "{data.reason} {data.total} {"), Vec::<String>::new());
        assert_eq!(lines("paid", "{data.reason}").len(), 1);
    }

    #[test]
    fn no_address_and_no_markup_of_the_data_reach_the_message() {
        let config = json!({"templates": {"paid": {"subject": "{data.shipping.address}", "body": "{data.shipping.address}"}}});
        let (_, message) = render(&job("paid", &config)).expect("a message");
        assert_eq!(message.subject, "mail [address hidden]");
        assert_eq!(message.body, message.subject);
    }

    #[test]
    fn the_answer_says_what_was_sent() {
        let answer = testing::accepted(Notify::process(job("delivered", &json!({}))));
        assert_eq!(answer, json!({"notified": true, "channel": "email", "subject": "order-1 has arrived"}));
    }

    #[test]
    fn a_mailer_that_does_not_answer_is_a_transient_failure() {
        let down = render(&job("paid", &json!({"simulate": {"successRate": 0}})));
        assert!(matches!(down, Err(Failure::Transient(_))), "{down:?}");
    }
}
