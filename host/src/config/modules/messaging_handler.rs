//! `messaging.handler`: reacts to events.

use schemars::JsonSchema;
use serde::Deserialize;

use super::dynamic_component::DynamicComponent;
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::plan::{self, Runs};

/// `messaging.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessagingHandler {
    /// Topics it is about, for example `return.*`: entering state S is the event `return.S`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$"), extend("x-expected" = "a topic such as return.approved, or a pattern such as return.*"))]
    pub topic: String,
    /// Shown to people.
    pub description: Option<String>,
    /// A `dynamic.component` that it runs; without one it only logs.
    #[schemars(length(min = 1))]
    pub component: Option<String>,
}

impl ModuleType for MessagingHandler {
    const TYPE: &'static str = "messaging.handler";

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        let component = self.component.as_ref().and_then(|name| DynamicComponent::named(context, name, &at.setting("component"), findings));
        let mut topics: Vec<String> = Vec::new();
        let subscriptions = context.workflows.messaging.iter().flat_map(|messaging| &messaging.subscriptions);
        for subscription in subscriptions.filter(|own| own.handler == at.name && !own.topic.is_empty()) {
            if !topics.contains(&subscription.topic) {
                topics.push(subscription.topic.clone());
            }
        }
        let prefix = self.prefix().to_owned();
        draft.plan.handlers.push(plan::MessagingHandler { name: at.name.to_owned(), prefix, component, topics });
        Runs::Consumer
    }
}

impl MessagingHandler {
    /// What comes before the state in an event: the pattern without its star, or without its last word.
    pub(in crate::config) fn prefix(&self) -> &str {
        prefix(&self.topic)
    }
}

/// What comes before the last word of a topic or pattern.
pub(in crate::config) fn prefix(topic: &str) -> &str {
    topic.rsplit_once('.').map_or(topic, |(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn a_prefix_is_the_pattern_without_its_star() {
        assert_eq!(prefix("return.*"), "return");
        assert_eq!(prefix("shop.return.*"), "shop.return");
        assert_eq!(prefix("return.approved"), "return");
        assert_eq!(prefix("returns"), "returns");
    }
}
