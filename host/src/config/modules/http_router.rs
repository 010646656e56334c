//! `http.router`: groups the routes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::values;
use crate::plan::Runs;

/// `http.router`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRouter {
    /// Path below which only routes answer, `/api`.
    pub prefix: Option<String>,
}

impl ModuleType for HttpRouter {
    const TYPE: &'static str = "http.router";
    const ONE_OF: &'static [&'static str] = &[Self::TYPE];

    fn resolve(&self, at: At<'_>, _: &Context<'_>, _: &mut Draft, findings: &mut Findings) -> Runs {
        values::plain_path(self.prefix.as_deref(), "/api", &at.setting("prefix"), findings);
        Runs::Nothing
    }
}
