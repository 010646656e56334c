//! `log.events`: writes the events of some topics to the log.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::values;
use crate::plan::{MessagingHandler, Runs};

/// `log.events`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogEvents {
    /// Topics whose events are written to the log.
    #[schemars(length(min = 1))]
    pub topics: Vec<String>,
}

impl ModuleType for LogEvents {
    const TYPE: &'static str = "log.events";

    fn resolve(&self, at: At<'_>, _: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        for (i, topic) in self.topics.iter().enumerate().filter(|(_, topic)| !topic.is_empty() && !values::topic(topic)) {
            let help = "a topic has letters, digits, dots, dashes and underscores, for example return.approved".to_owned();
            findings.error(at.setting(&format!("topics/{i}")), Code::InvalidValue, format!("'{topic}' is not the name of a topic"), help);
        }
        // A handler without a component does nothing but that.
        let (name, topics) = (at.name.to_owned(), self.topics.clone());
        draft.plan.handlers.push(MessagingHandler { name, prefix: String::new(), component: None, topics });
        Runs::Consumer
    }
}
