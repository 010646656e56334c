//! People, passwords and tokens.
//!
//! [`Users`] keeps accounts in the store; [`TokenVerifier`] only checks tokens, so a process without a user table can do it.
//! Knows nothing of HTTP. Where an answer could tell whether an account exists, it takes the same time and words either way.

mod attempts;
pub mod directory;
mod passwords;
mod resets;
mod rules;
mod second_factor;
mod sessions;
mod staff;
mod standing;
mod telling;
mod tokens;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ServiceError;
use crate::clock::Clock;
use crate::plan;
use crate::plan::access::Roles;
use crate::store::{self, StoreError};
use crate::telemetry::Metrics;
use crate::text;
use attempts::Attempts;
use passwords::Passwords;
pub use resets::{Forgotten, PasswordChange, PasswordReset};
pub use second_factor::{Code, Enrolled, Enrolment};
pub use sessions::Confirmation;
use sessions::{Asked, Proof};
pub use staff::{Account, Accounts, Contact, MAX_USERS, Reason, RolesChange, Search, USUAL_USERS};
pub use standing::{LEEWAY, Standings};
use telling::Telling;
pub use tokens::{MAX_TOKEN_BYTES, TokenError, TokenVerifier};

/// Who a request comes from, as its token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentUser {
    /// Id of the user.
    pub id: String,
    /// What they are; always a customer.
    pub roles: Roles,
    /// How long the token is good yet.
    pub left: Duration,
    /// How long ago they were asked for the password again; `None` if they were not.
    pub confirmed: Option<Duration>,
    /// Whether the token is only good for setting up a second factor.
    pub enrols_only: bool,
    /// Epoch of the account when the token was made.
    epoch: u64,
    /// When the token was made, when they logged in, and when they were asked for the password again: in seconds since 1970.
    issued: i64,
    logged_in: i64,
    acr: Option<i64>,
}

impl CurrentUser {
    /// Somebody who was let in another way, with these roles and for so long.
    #[must_use]
    pub fn let_in(id: String, roles: Roles, left: Duration) -> Self {
        Self { id, roles, left, confirmed: None, enrols_only: false, epoch: 0, issued: 0, logged_in: 0, acr: None }
    }
}

/// A user as the API shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// UUID v7.
    pub id: String,
    /// E-mail address, as written at registration, its domain in letters.
    pub email: String,
    /// Name to show.
    pub name: String,
    /// When they registered.
    pub created_at: Timestamp,
    /// Whether they show a code beside the password.
    pub second_factor: bool,
}

/// A user who has just proved who they are.
#[derive(Clone)]
pub struct Session {
    /// Bearer token.
    pub token: String,
    /// Whose it is.
    pub user: Profile,
    /// Whether the token is only good for setting up a second factor, which the roles of the account need.
    pub enrols_only: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("user", &self.user).field("token", &"[hidden]").finish()
    }
}

/// What somebody registers with.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Name to show, 1 to 100 characters.
    #[schemars(length(min = 1, max = rules::NAME_CHARS), regex(pattern = text::LINE_PATTERN))]
    pub name: String,
    /// E-mail address, not yet taken.
    #[schemars(length(max = text::EMAIL_CHARS), extend("format" = "idn-email"))]
    pub email: String,
    /// 8 to 128 characters.
    #[schemars(length(min = *rules::PASSWORD_CHARS.start(), max = *rules::PASSWORD_CHARS.end()))]
    pub password: String,
}

/// What somebody logs in with.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Credentials {
    /// E-mail address of the account.
    pub email: String,
    /// Its password.
    pub password: String,
    /// A code of the second factor, where the account has one.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What somebody changes about their account.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ProfileChange {
    /// Another name, 1 to 100 characters.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none", length(min = 1, max = rules::NAME_CHARS), regex(pattern = text::LINE_PATTERN))]
    pub name: Option<String>,
    /// Another e-mail address, not yet taken.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none", length(max = text::EMAIL_CHARS), extend("format" = "idn-email"))]
    pub email: Option<String>,
    /// The password of the account. Another e-mail address needs it where the config says so, and never takes a wrong one.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none", rename = "currentPassword")]
    pub current_password: Option<String>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").field("name", &self.name).field("password", &"[hidden]").finish_non_exhaustive()
    }
}

/// The accounts of a process. Clones share them.
#[derive(Clone)]
pub struct Users {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn store::Users>,
    tokens: TokenVerifier,
    passwords: Passwords,
    attempts: Attempts,
    /// Those who ask for another password. They slow no login.
    forgotten: Attempts,
    reset_link: Option<String>,
    /// Roles that cannot be used without a second factor.
    second_factor: Roles,
    /// Where there is a topic for it.
    telling: Option<Telling>,
    clock: Clock,
    seed_file: Option<PathBuf>,
    allow_registration: bool,
    email_needs_password: bool,
}

impl Users {
    /// Accounts in `store`, with the tokens that `settings` describe.
    ///
    /// # Errors
    /// Passwords cannot be hashed on this machine.
    pub fn new(store: Arc<dyn store::Users>, settings: &plan::Auth, clock: Clock, metrics: Metrics) -> anyhow::Result<Self> {
        let tokens = TokenVerifier::new(settings, clock.clone()).asking(Standings::new(Arc::clone(&store)));
        let telling = settings.topics.clone().map(|topics| Telling::new(topics, Arc::clone(&store), tokens.clone(), clock.clone()));
        let inner = Inner {
            store,
            tokens,
            telling,
            passwords: Passwords::new()?,
            attempts: Attempts::new(clock.clone(), metrics.clone()),
            forgotten: Attempts::new(clock.clone(), metrics),
            reset_link: settings.reset_link.clone(),
            second_factor: settings.second_factor,
            clock,
            seed_file: settings.seed_file.clone(),
            allow_registration: settings.allow_registration,
            email_needs_password: settings.email_needs_password,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What checks the tokens that are made here.
    #[must_use]
    pub fn tokens(&self) -> &TokenVerifier {
        &self.inner.tokens
    }

    /// Opens an account for somebody on `network`: an address of IPv4, or the first of a /64 of IPv6.
    ///
    /// # Errors
    /// Registration is closed, a field breaks a rule, or the e-mail is taken.
    pub async fn register(&self, registration: Registration, network: IpAddr) -> Result<Session, ServiceError> {
        if !self.inner.allow_registration {
            return Err(ServiceError::Forbidden("registration is closed".into()));
        }
        let account = rules::registration(&registration)?;
        let key = account.email.key.clone();
        let user = self.add(account).await?;
        self.inner.attempts.remember(&key, network);
        self.session(user, None)
    }

    /// The account of `user`.
    ///
    /// # Errors
    /// It is gone.
    pub async fn profile(&self, user: &CurrentUser) -> Result<Profile, ServiceError> {
        self.inner.store.user(&user.id).await?.map(Profile::from).ok_or_else(gone)
    }

    /// Changes name, e-mail or both for somebody on `network`: an address of IPv4, or the first of a /64 of IPv6.
    ///
    /// Whoever has the e-mail has the account, and a token alone may have been stolen: so another one needs the password where the settings
    /// say so. Another way to write the same e-mail is no other one.
    ///
    /// # Errors
    /// A field breaks a rule, the password is missing or wrong, there were too many wrong ones, the e-mail is taken, or the account is gone.
    pub async fn update(&self, user: &CurrentUser, change: &ProfileChange, network: IpAddr) -> Result<Profile, ServiceError> {
        let (name, email) = rules::profile(change.name.as_deref(), change.email.as_deref())?;
        let account = self.inner.store.user(&user.id).await?.ok_or_else(gone)?;
        let other = email.as_ref().map(|email| &email.key).filter(|key| **key != text::email_key(&account.email));
        if other.is_some() {
            self.confirm(&account, change.current_password.as_deref(), network).await?;
        }
        let shown = email.as_ref().map(|email| email.shown.as_str());
        let changed = self.inner.store.update_user(&user.id, name.as_deref(), shown).await.map_err(taken)?.ok_or_else(gone)?;
        if let Some(key) = other {
            self.inner.attempts.remember(key, network);
        }
        Ok(changed.into())
    }

    /// Whoever asks knows the password of `account`, where the settings want it to be shown. Wrong ones are slowed as those of logins are.
    async fn confirm(&self, account: &store::User, password: Option<&str>, network: IpAddr) -> Result<(), ServiceError> {
        let Some(password) = password else {
            let needed = self.inner.email_needs_password;
            return if needed { Err(rules::wrong_current_password("is needed for another e-mail address")) } else { Ok(()) };
        };
        let key = text::email_key(&account.email);
        match self.challenge((&key, Some(account)), password, Asked::Password, network).await? {
            Proof::Right => Ok(()),
            _ => Err(rules::wrong_current_password("is not the password of this account")),
        }
    }

    /// Adds the users of the seed file that are not there yet; returns how many.
    ///
    /// # Errors
    /// The file cannot be read, is not `[{name, email, password}]`, or holds a field that breaks a rule.
    pub async fn seed(&self) -> anyhow::Result<usize> {
        let Some(path) = &self.inner.seed_file else { return Ok(0) };
        let mut added = 0;
        for account in seeds(path)? {
            if self.inner.store.user_by_email(&account.email.shown).await?.is_none() {
                self.add(account).await?;
                added += 1;
            }
        }
        Ok(added)
    }

    async fn add(&self, account: rules::Account) -> Result<store::User, ServiceError> {
        let user = store::User {
            id: uuid::Uuid::now_v7().to_string(),
            name: account.name,
            email: account.email.shown,
            password_hash: self.inner.passwords.hash(&account.password).await?,
            created_at: in_milliseconds(self.inner.clock.now()),
            ..store::User::default()
        };
        self.inner.store.add_user(user.clone()).await.map_err(taken)?;
        Ok(user)
    }
}

/// The users of a seed file.
fn seeds(path: &Path) -> anyhow::Result<Vec<rules::Account>> {
    let shown = path.display();
    let text = std::fs::read(path).with_context(|| format!("reading the seed users of '{shown}'"))?;
    let seeds: Vec<Registration> = crate::text::json::read(&text)
        .with_context(|| format!("seed users of '{shown}': expected a list of {{\"name\", \"email\", \"password\"}}"))?;
    let account = |seed: &Registration| rules::registration(seed).with_context(|| format!("seed user '{}' of '{shown}'", seed.email));
    seeds.iter().map(account).collect()
}

/// What is wrong with a seed file, as a start would tell it.
#[must_use]
pub fn seed_mistake(path: &Path) -> Option<String> {
    seeds(path).err().map(|error| format!("{error:#}"))
}

impl From<store::User> for Profile {
    fn from(user: store::User) -> Self {
        let second_factor = user.confirmed_factor().is_some();
        Self { id: user.id, email: user.email, name: user.name, created_at: user.created_at, second_factor }
    }
}

/// What is told at once must be what is told later, and a store keeps no nanoseconds.
fn in_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

fn gone() -> ServiceError {
    ServiceError::Unauthorized("the account of this token no longer exists".into())
}

fn taken(error: StoreError) -> ServiceError {
    match error {
        StoreError::Taken(_) => ServiceError::Conflict("this e-mail is taken".into()),
        other => other.into(),
    }
}
