//! `http.middleware.ratelimit`: slows a client down.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::values;
use crate::plan::{self, Middleware, Runs};

/// `http.middleware.ratelimit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Sustained rate of one client; 60 if not given.
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<u32>,
    /// Requests at once; as many as in a minute if not given.
    #[schemars(range(min = 1))]
    pub burst_size: Option<u32>,
    /// A second, slower limit.
    #[schemars(range(min = 1))]
    pub requests_per_hour: Option<u32>,
    /// Peers whose `X-Forwarded-For` is believed: addresses or networks such as `10.0.0.0/8`.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
}

impl ModuleType for RateLimit {
    const TYPE: &'static str = "http.middleware.ratelimit";

    fn resolve(&self, at: At<'_>, _: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        for (i, network) in self.trusted_proxies.iter().enumerate().filter(|(_, n)| !n.is_empty() && !values::network(n)) {
            let help = "write an address such as 10.0.0.7 or a network such as 10.0.0.0/8".to_owned();
            let message = format!("'{network}' is not a network");
            findings.error(at.setting(&format!("trustedProxies/{i}")), Code::InvalidValue, message, help);
        }
        draft.middlewares.insert(at.index, Middleware::RateLimit(self.limit(at.name)));
        Runs::Nothing
    }
}

impl RateLimit {
    /// As it is written, under the name `name`.
    pub(super) fn limit(&self, name: &str) -> plan::RateLimit {
        let requests_per_minute = self.requests_per_minute.unwrap_or(60);
        plan::RateLimit {
            name: name.to_owned(),
            requests_per_minute,
            burst_size: self.burst_size.unwrap_or(requests_per_minute),
            requests_per_hour: self.requests_per_hour,
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }
}

/// Those of all rate limits: who may say on whose behalf it asks is the peer of many.
pub(super) fn trusted_proxies(context: &Context<'_>) -> Vec<String> {
    let networks: BTreeSet<&String> = context.all::<RateLimit>().into_iter().flat_map(|(_, limit)| &limit.trusted_proxies).collect();
    networks.into_iter().cloned().collect()
}
