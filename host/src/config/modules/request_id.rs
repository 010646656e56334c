//! `http.middleware.requestid`: gives each request an id.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::plan::{Middleware, Runs};

/// A type without settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "NoSettings")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestId {}

impl ModuleType for RequestId {
    const TYPE: &'static str = "http.middleware.requestid";

    fn resolve(&self, at: At<'_>, _: &Context<'_>, draft: &mut Draft, _: &mut Findings) -> Runs {
        draft.middlewares.insert(at.index, Middleware::RequestId);
        Runs::Nothing
    }
}
