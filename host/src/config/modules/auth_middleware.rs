//! `http.middleware.auth`: asks for a token.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::{HumanDuration, RoleList};
use crate::config::module_type::{Draft, ModuleType};
use crate::plan::{Middleware, Runs};

/// `http.middleware.auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthMiddleware {
    /// Kind of token.
    #[serde(default)]
    pub auth_type: AuthType,
    /// Who passes: one of these roles is needed, and everybody with an account is a customer. Without it, everybody with a token.
    #[schemars(with = "RoleList", default)]
    pub roles: Option<RoleList>,
    /// How long ago who passes has shown the password again, at most, such as 5m; `POST /sudo` takes it. Without it, that is not asked for.
    pub sudo: Option<HumanDuration>,
}

/// Kind of token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(extend("x-expected" = "Bearer"))]
pub enum AuthType {
    /// `Authorization: Bearer <token>`.
    #[default]
    Bearer,
}

impl ModuleType for AuthMiddleware {
    const TYPE: &'static str = "http.middleware.auth";

    fn resolve(&self, at: At<'_>, _: &Context<'_>, draft: &mut Draft, _: &mut Findings) -> Runs {
        draft.middlewares.insert(at.index, Middleware::Auth);
        Runs::Nothing
    }
}
