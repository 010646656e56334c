//! `auth.jwt`: users and their tokens.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::{HumanDuration, RoleList, Secret};
use crate::config::module_type::{Draft, ModuleType};
use crate::config::secrets::check_secret;
use crate::plan::access::Roles;
use crate::plan::{AccountTopics, Auth, Runs};

/// `auth.jwt`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthJwt {
    /// Key that signs tokens, 32 bytes or more.
    pub secret: Secret,
    /// Life of a token; 24h if not given.
    pub token_expiry: Option<HumanDuration>,
    /// Life of a token of somebody with a role such as support; 15m if not given, and never longer than `tokenExpiry`. It can be renewed for
    /// 12 hours after the login.
    pub staff_token_expiry: Option<HumanDuration>,
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
    /// Topics of the events of accounts, such as `user.*`. Who keeps the accounts publishes on `user.changed` that tokens of one have ended; a
    /// process that only checks tokens hears it there, and else believes a token until it expires.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.\*$"), extend("x-expected" = "a pattern of topics such as user.*"))]
    pub topic: Option<String>,
    /// The page on which somebody sets another password who has forgotten the old one, such as https://shop.example/#/reset/{token}. The link is told
    /// on the topic user.password_forgotten (see `topic`), for whoever sends messages.
    #[schemars(regex(pattern = r"^https?://[^\s#]*(\{token\}[^\s#]*(#[^\s#]*)?|#[^\s#]*\{token\}[^\s#]*)$"), extend("x-expected" = "an http(s) URL with {token} in it and one # at most, such as https://shop.example/#/reset/{token}"))]
    pub reset_link: Option<String>,
    /// Who needs more than a password.
    pub second_factor: Option<SecondFactor>,
}

/// `secondFactor` of an `auth.jwt`. Everybody may have one; then it is asked for at every login.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecondFactor {
    /// Roles that cannot be used without one: the token of a login can only set it up.
    pub roles: RoleList,
    /// Whether they need one; yes if not given.
    pub required: Option<bool>,
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
            token_expiry: self.token_expiry.map_or(Auth::TOKEN_EXPIRY, |given| given.0),
            staff_token_expiry: self.staff_token_expiry.map_or(Auth::STAFF_TOKEN_EXPIRY, |given| given.0),
            issuer: self.issuer.clone().unwrap_or_else(|| "millrace".to_owned()),
            seed_file: self.seed_file.as_ref().map(existing),
            allow_registration: self.allow_registration.unwrap_or(true),
            email_needs_password: self.email_needs_password.unwrap_or(false),
            topics: self.topics(),
            reset_link: self.reset_link.clone(),
            second_factor: self
                .second_factor
                .as_ref()
                .filter(|factor| factor.required != Some(false))
                .map(SecondFactor::roles)
                .unwrap_or_default(),
        });
        Runs::Nothing
    }
}

impl SecondFactor {
    /// A customer has nothing that needs one.
    fn roles(&self) -> Roles {
        self.roles.roles().and(Roles::STAFF)
    }
}

impl AuthJwt {
    /// Where accounts are told of.
    pub(in crate::config) fn topics(&self) -> Option<AccountTopics> {
        self.topic.as_deref().and_then(|topic| topic.strip_suffix(".*")).map(AccountTopics::of)
    }
}
