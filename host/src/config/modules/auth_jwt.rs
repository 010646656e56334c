//! `auth.jwt`: users and their tokens.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::{HumanDuration, Secret};
use crate::config::module_type::{Draft, ModuleType};
use crate::config::secrets::check_secret;
use crate::config::values::seconds;
use crate::plan::{Auth, Runs};

/// `auth.jwt`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthJwt {
    /// Key that signs tokens, 32 bytes or more.
    pub secret: Secret,
    /// Life of a token; 24h if not given.
    pub token_expiry: Option<HumanDuration>,
    /// `iss` of the tokens; `millrace` if not given.
    #[schemars(length(min = 1))]
    pub issuer: Option<String>,
    /// Users to add at start, `[{name, email, password}]`; relative to the config file.
    #[schemars(length(min = 1))]
    pub seed_file: Option<String>,
    /// Whether anybody may register; yes if not given.
    pub allow_registration: Option<bool>,
    /// Whether another e-mail address needs the password of the account; no if not given. Whoever has the e-mail has the account, and a token
    /// alone may have been stolen.
    pub email_needs_password: Option<bool>,
}

impl ModuleType for AuthJwt {
    const TYPE: &'static str = "auth.jwt";
    const ONE_OF: &'static [&'static str] = &[Self::TYPE];

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        let secret = &self.secret.0;
        check_secret(context, secret, &at.setting("secret"), findings);
        let existing = |path: &String| context.existing_file(path, "seed file", &at.setting("seedFile"), findings);
        draft.plan.auth = Some(Auth {
            name: at.name.to_owned(),
            secret: secret.clone(),
            secret_name: context.called(&at.setting("secret"), &format!("`secret` of module '{}'", at.name)),
            token_expiry: seconds(self.token_expiry, 24 * 3600),
            issuer: self.issuer.clone().unwrap_or_else(|| "millrace".to_owned()),
            seed_file: self.seed_file.as_ref().map(existing),
            allow_registration: self.allow_registration.unwrap_or(true),
            email_needs_password: self.email_needs_password.unwrap_or(false),
        });
        Runs::Nothing
    }
}
