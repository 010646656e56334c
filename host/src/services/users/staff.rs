//! What an admin does about the accounts of others. Every change needs a reason, and ends the tokens of whom it is about.

use jiff::Timestamp;
use schemars::JsonSchema;

use super::sessions::granted;
use super::{Users, rules};
use crate::plan::access::{Role, Roles};
use crate::services::ServiceError;
use crate::services::audit::Actor;
use crate::services::error::FieldError;
use crate::store::{self, UserChange};
use crate::text;

/// Accounts of one page, at most and usually.
pub const MAX_USERS: usize = 100;
/// Accounts of a page, if nothing else is asked for.
pub const USUAL_USERS: usize = 50;
/// Characters of what is searched for.
const SEARCH_CHARS: usize = 254;

/// An account as an admin sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// UUID v7.
    pub id: String,
    /// E-mail address.
    pub email: String,
    /// Name to show.
    pub name: String,
    /// When they registered.
    pub created_at: Timestamp,
    /// What they are beyond a customer.
    pub roles: Roles,
    /// Whether they may not log in.
    pub disabled: bool,
    /// Whether they show a code beside the password.
    pub second_factor: bool,
}

/// Who somebody is and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// UUID v7.
    pub id: String,
    /// E-mail address.
    pub email: String,
    /// Name to show.
    pub name: String,
}

/// Accounts in the sequence of their registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// Those of the page.
    pub items: Vec<Account>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// Which accounts are asked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// A part of the e-mail, the name or the id; empty for everybody.
    pub text: String,
    /// Only those who have a role.
    pub has_roles: bool,
    /// Where the page begins, as the one before has said; empty for the first.
    pub cursor: String,
    /// Accounts of the page, 1 to [`MAX_USERS`].
    pub limit: usize,
}

/// Other roles for somebody.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RolesChange {
    /// All that they have from now on, customer aside: support, catalogue, finance, operator, designer, admin.
    #[schemars(extend("items" = {"type": "string", "enum": ["support", "catalogue", "finance", "operator", "designer", "admin"]}))]
    pub roles: Vec<String>,
    /// Why, 1 to 500 characters.
    #[schemars(length(min = 1, max = rules::REASON_CHARS), regex(pattern = text::LINE_PATTERN))]
    pub reason: String,
}

/// Why something is done.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Reason {
    /// 1 to 500 characters.
    #[schemars(length(min = 1, max = rules::REASON_CHARS), regex(pattern = text::LINE_PATTERN))]
    pub reason: String,
}

fn no_account(id: &str) -> ServiceError {
    ServiceError::NotFound { what: format!("account '{}'", text::quoted(id, 100)) }
}

impl Users {
    /// A page of accounts.
    ///
    /// # Errors
    /// The limit is none, or what is searched for is too long.
    pub async fn accounts(&self, search: &Search) -> Result<Accounts, ServiceError> {
        if !(1..=MAX_USERS).contains(&search.limit) {
            return Err(ServiceError::field("limit", format!("must be 1 to {MAX_USERS}, is {}", search.limit)));
        }
        for (name, given) in [("search", &search.text), ("cursor", &search.cursor)] {
            if given.chars().count() > SEARCH_CHARS {
                return Err(ServiceError::field(name, format!("must have at most {SEARCH_CHARS} characters")));
            }
        }
        let found = self.inner.store.users(&search.text, search.has_roles, &search.cursor, search.limit + 1).await?;
        let is_last = found.len() <= search.limit;
        let items: Vec<Account> = found.into_iter().take(search.limit).map(Account::from).collect();
        let next = items.last().filter(|_| !is_last).map(|last| last.id.clone());
        Ok(Accounts { items, next })
    }

    /// Whose account `id` is, for who has to reach them.
    ///
    /// # Errors
    /// There is no such account.
    pub async fn contact(&self, id: &str) -> Result<Contact, ServiceError> {
        let user = self.inner.store.user(id).await?.ok_or_else(|| no_account(id))?;
        Ok(Contact { id: user.id, email: user.email, name: user.name })
    }

    /// Gives the account `id` these roles instead of those that it has.
    ///
    /// # Errors
    /// A role is none that can be granted, there is no reason or no such account, or nobody would be an admin any more.
    pub async fn change_roles(&self, actor: &Actor, id: &str, change: &RolesChange) -> Result<Account, ServiceError> {
        let mut errors = Vec::new();
        for (index, name) in change.roles.iter().enumerate() {
            if let Err(detail) = Role::grantable(name) {
                errors.push(FieldError { pointer: format!("/roles/{index}"), detail });
            }
        }
        let reason = rules::reason(&change.reason).map_err(|error| errors.push(error)).unwrap_or_default();
        if !errors.is_empty() {
            return Err(ServiceError::fields(errors));
        }
        let roles = UserChange::roles(change.roles.iter().cloned().collect());
        self.administer((actor, "roles"), id, roles, &reason).await
    }

    /// Keeps the account `id` out, or lets it in again.
    ///
    /// # Errors
    /// There is no reason or no such account, or nobody would be an admin any more.
    pub async fn disable(&self, actor: &Actor, id: &str, disabled: bool, given: &Reason) -> Result<Account, ServiceError> {
        let reason = rules::reason(&given.reason).map_err(|error| ServiceError::fields(vec![error]))?;
        let action = if disabled { "disable" } else { "enable" };
        self.administer((actor, action), id, UserChange::disabled(disabled), &reason).await
    }

    async fn administer(
        &self,
        (actor, action): (&Actor, &str),
        id: &str,
        change: UserChange,
        reason: &str,
    ) -> Result<Account, ServiceError> {
        let subject = format!("users/{id}");
        let entry = actor.did(self.inner.clock.now(), format!("users.{action}"), subject, Some(reason.to_owned()));
        let changed = self.inner.store.change_user(id, change.keeping(Role::Admin.name()).noted(Some(entry))).await?;
        let changed = changed.ok_or_else(|| no_account(id))?;
        self.tell(&changed.user).await;
        Ok(changed.user.into())
    }
}

impl From<store::User> for Account {
    fn from(user: store::User) -> Self {
        Self {
            roles: granted(&user),
            second_factor: user.confirmed_factor().is_some(),
            id: user.id,
            email: user.email,
            name: user.name,
            created_at: user.created_at,
            disabled: user.disabled,
        }
    }
}
