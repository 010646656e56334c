//! `messaging.broker`: the bus inside the process.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bus::{self, embedded};
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::HumanDuration;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::topics::{self, BUSES};
use crate::plan::Runs;

/// `messaging.broker`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Broker {
    /// Topics beyond those that subscriptions and triggers name.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Events under way at once; 1000 if not given.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_queue_size: Option<u32>,
    /// How long one delivery may take; 30s if not given.
    pub delivery_timeout: Option<HumanDuration>,
}

impl ModuleType for Broker {
    const TYPE: &'static str = "messaging.broker";
    const ONE_OF: &'static [&'static str] = BUSES;

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, _: &mut Findings) -> Runs {
        draft.plan.bus = Some(bus::Settings::Embedded(embedded::Settings {
            name: at.name.to_owned(),
            topics: topics::all(context, &self.topics),
            max_queue_size: self.max_queue_size.map_or(1000, |size| size as usize),
            delivery_timeout: self.delivery_timeout.map_or(Duration::from_secs(30), |given| given.0),
        }));
        Runs::Bus
    }
}
