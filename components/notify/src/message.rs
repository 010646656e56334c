//! A message, ready to go out.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use step_sdk::Job;

use crate::escape::harmless;
use crate::template::{self, Template};

/// Characters of a value that comes from data.
const VALUE_LIMIT: usize = 200;

/// Characters of an SMS of one part.
const SMS_LIMIT: usize = 160;

/// Characters of an e-mail's body; with the subject it fits one log line.
const EMAIL_LIMIT: usize = 2000;

/// How a message goes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Subject and body.
    #[default]
    Email,
    /// One part of text.
    Sms,
}

/// What a customer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub subject: String,
    /// The text.
    pub body: String,
}

impl Channel {
    /// Its name, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Email => EMAIL_LIMIT,
            Self::Sms => SMS_LIMIT,
        }
    }
}

impl Message {
    /// Fills `template` with what `job` and its `data` say. Values are made harmless, the operator's own words are not touched.
    pub fn render(template: &Template, channel: Channel, job: &Job, data: &Value) -> Self {
        let value = |name: &str| placeholder(name, job, data).map(|text| harmless(&text, VALUE_LIMIT));
        let fill = |text: &str, limit| template::fill(text, value).trim().chars().take(limit).collect();
        Self { subject: fill(&template.subject, VALUE_LIMIT), body: fill(&template.body, channel.limit()) }
    }
}

/// What stands in the place of `{name}`; none where neither `job` nor its `data` has it.
pub fn placeholder(name: &str, job: &Job, data: &Value) -> Option<String> {
    match name {
        "instance" => Some(job.instance_id.clone()),
        "workflow" => Some(job.workflow.clone()),
        "state" => Some(job.to_state.replace('_', " ")),
        "transition" => Some(job.transition.replace('_', " ")),
        _ => template::lookup(data, name.strip_prefix(template::DATA)?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use step_sdk::testing;

    use super::*;

    #[test]
    fn an_sms_is_cut_to_one_part_and_an_email_is_not() {
        let template = Template { subject: "s".into(), body: "{data.a}{data.a}".into() };
        let data = json!({"a": "x".repeat(150)});
        let job = testing::job(&data, &json!({}));
        assert_eq!(Message::render(&template, Channel::Sms, &job, &data).body.len(), 160);
        assert_eq!(Message::render(&template, Channel::Email, &job, &data).body.len(), 300);
    }
}
