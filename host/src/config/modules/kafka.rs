//! `messaging.kafka`: Apache Kafka.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bus::{self, kafka};
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::topics::{self, BUSES};
use crate::config::values;
use crate::plan::Runs;

/// `messaging.kafka`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kafka {
    /// `host:port`; one entry may hold several, separated by commas.
    #[schemars(length(min = 1))]
    pub brokers: Vec<String>,
    /// Consumer group; `millrace` if not given.
    #[schemars(length(min = 1))]
    pub group_id: Option<String>,
    /// Tells this member of the group from the others, and is the same after a restart, so that its partitions wait for it; the
    /// name of the machine or container if not given. Two processes of one group on one machine need two.
    #[schemars(length(min = 1))]
    pub instance_id: Option<String>,
    /// What the name of every topic begins with at the broker, for example `staging.`; nothing if not given. Two shops at one Kafka need
    /// topics of their own, or each takes events of the other. Events, metrics and commands name topics without it.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]*$"), extend("x-expected" = "letters, digits, dots, dashes and underscores, for example staging."))]
    pub topic_prefix: Option<String>,
}

impl ModuleType for Kafka {
    const TYPE: &'static str = "messaging.kafka";
    const ONE_OF: &'static [&'static str] = BUSES;

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        draft.plan.bus = Some(bus::Settings::Kafka(kafka::Settings {
            name: at.name.to_owned(),
            brokers: self.brokers(at, findings),
            group_id: self.group_id.clone().unwrap_or_else(|| "millrace".to_owned()),
            instance_id: self.instance_id.clone(),
            topics: topics::all(context, &[]),
            topic_prefix: self.topic_prefix(at, context, findings),
        }));
        Runs::Bus
    }
}

impl Kafka {
    fn topic_prefix(&self, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> String {
        let prefix = self.topic_prefix.clone().unwrap_or_default();
        if let Some(topic) = topics::all(context, &[]).iter().find(|topic| is_lengthened_too_much(&prefix, topic)) {
            let message = format!("'{prefix}{topic}' is too long to be the name of a topic that has dead letters");
            let help = "such a topic has 245 letters at most; shorten the prefix".to_owned();
            findings.error(at.setting("topicPrefix"), Code::InvalidValue, message, help);
        }
        prefix
    }

    /// One variable may hold all brokers, separated by commas.
    fn brokers(&self, at: At<'_>, findings: &mut Findings) -> Vec<String> {
        let mut brokers = Vec::new();
        for (i, entry) in self.brokers.iter().enumerate().filter(|(_, entry)| !entry.is_empty()) {
            for broker in entry.split(',').map(str::trim) {
                if !values::broker(broker) {
                    let help = "write host:port, for example kafka:9092".to_owned();
                    let message = format!("'{broker}' is not a broker");
                    findings.error(at.setting(&format!("brokers/{i}")), Code::InvalidValue, message, help);
                }
                brokers.push(broker.to_owned());
            }
        }
        brokers
    }
}

/// Whether only the prefix makes the name too long; without it, something else is said.
fn is_lengthened_too_much(prefix: &str, topic: &str) -> bool {
    values::has_room_for_dead_letters(topic) && !values::has_room_for_dead_letters(&format!("{prefix}{topic}"))
}
