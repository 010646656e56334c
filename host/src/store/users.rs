//! People with a login.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, OutboxRow, StoreError};

/// A person with a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// UUID v7.
    pub id: String,
    /// Name to show.
    pub name: String,
    /// Unique, however it is written: compared by [`crate::text::email_key`].
    pub email: String,
    /// PHC string of argon2id.
    pub password_hash: String,
    /// Names of the roles that they were granted.
    pub roles: BTreeSet<String>,
    /// Whether they may not log in.
    pub disabled: bool,
    /// What they have to show beside the password.
    pub second_factor: Option<SecondFactor>,
    /// Grows when what they were given before is no longer to be believed: by every change of what [`Sensitive`] compares.
    pub epoch: u64,
    /// When they registered.
    pub created_at: Timestamp,
}

/// One-time codes that a device of the user makes (RFC 6238).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactor {
    /// What the codes are made of, in base 32.
    pub secret: String,
    /// Whether a code was shown that the device has made: before that it is asked for nowhere.
    pub confirmed: bool,
    /// The time step of the code that was accepted last. That one and earlier ones are accepted no more.
    pub last_step: u64,
    /// Digests of the codes for who has lost the device; one that was used is gone.
    pub recovery: BTreeSet<String>,
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactor").field("confirmed", &self.confirmed).field("last_step", &self.last_step).finish_non_exhaustive()
    }
}

impl User {
    /// Whether they have this role and may log in.
    #[must_use]
    pub fn acts_as(&self, role: &str) -> bool {
        !self.disabled && self.roles.contains(role)
    }

    /// The second factor, if it is asked for.
    #[must_use]
    pub fn confirmed_factor(&self) -> Option<&SecondFactor> {
        self.second_factor.as_ref().filter(|factor| factor.confirmed)
    }

    /// What ends the tokens that were given out before, once it is another.
    fn sensitive(&self) -> Sensitive<'_> {
        let factor = self.confirmed_factor().map(|factor| factor.secret.as_str());
        Sensitive { password_hash: &self.password_hash, roles: &self.roles, disabled: self.disabled, factor }
    }
}

/// What a token is believed because of.
#[derive(PartialEq, Eq)]
struct Sensitive<'a> {
    password_hash: &'a str,
    roles: &'a BTreeSet<String>,
    disabled: bool,
    factor: Option<&'a str>,
}

/// A change of one user, made in one transaction. It ends their tokens by itself where it has to.
pub struct UserChange {
    edit: Edit,
    keeps: Option<&'static str>,
    audit: Option<AuditEntry>,
}

/// What a change comes to.
pub(super) struct Applied {
    /// The user after it.
    pub(super) user: User,
    /// The role that somebody else has to have then.
    pub(super) lost: Option<&'static str>,
    /// What is written of it.
    pub(super) audit: Option<AuditEntry>,
}

type Edit = Box<dyn FnOnce(&mut User) -> bool + Send>;

impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserChange").field("keeps", &self.keeps).finish_non_exhaustive()
    }
}

impl UserChange {
    /// What `edit` makes of a user. Nothing is changed if it answers false. Id, name, e-mail, epoch and `created_at` are not its business.
    pub fn new(edit: impl FnOnce(&mut User) -> bool + Send + 'static) -> Self {
        Self { edit: Box::new(edit), keeps: None, audit: None }
    }

    /// These roles instead of those that they have.
    #[must_use]
    pub fn roles(roles: BTreeSet<String>) -> Self {
        Self::new(move |user| {
            user.roles = roles;
            true
        })
    }

    /// They may not log in any more, or may again.
    #[must_use]
    pub fn disabled(disabled: bool) -> Self {
        Self::new(move |user| {
            user.disabled = disabled;
            true
        })
    }

    /// The same, refused with [`StoreError::Last`] if it leaves nobody who [acts as](User::acts_as) `role`.
    #[must_use]
    pub fn keeping(mut self, role: &'static str) -> Self {
        self.keeps = Some(role);
        self
    }

    /// The same, and this is written of it in its transaction, if it is made.
    #[must_use]
    pub fn noted(mut self, entry: Option<AuditEntry>) -> Self {
        self.audit = entry;
        self
    }

    /// What becomes of `before`; `None` if nothing changes.
    pub(super) fn apply(self, before: &User) -> Option<Applied> {
        let mut after = before.clone();
        if !(self.edit)(&mut after) {
            return None;
        }
        after.epoch = before.epoch + u64::from(after.sensitive() != before.sensitive());
        let lost = self.keeps.filter(|role| before.acts_as(role) && !after.acts_as(role));
        Some(Applied { user: after, lost, audit: self.audit })
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The user as they are now.
    pub user: User,
    /// Whether the edit was made.
    pub done: bool,
}

/// Which tokens of an account are still to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The account is kept here: those of this epoch.
    Kept {
        /// Its epoch.
        epoch: u64,
        /// Whether none are.
        disabled: bool,
    },
    /// Another process keeps it: not those of older epochs that were made until then.
    Heard {
        /// Its epoch at that time.
        epoch: u64,
        /// When, in seconds since 1970.
        at: i64,
    },
}

/// Leave to set a password without the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Digest of what was sent to the user.
    pub digest: String,
    /// Whose it is.
    pub user_id: String,
    /// Until when, in the steady time.
    pub expires_at: Timestamp,
}

/// How many [`Reset`]s of one user there are at most; the one that ends first makes way.
pub const MAX_RESETS: usize = 3;

/// That other processes are told of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldEpoch {
    /// Whose.
    pub user_id: String,
    /// Which.
    pub epoch: u64,
    /// How.
    pub event: OutboxRow,
}

/// For who keeps accounts, or checks their tokens.
#[async_trait]
pub trait Users: Send + Sync + 'static {
    /// Adds a user; [`StoreError::Taken`] when the e-mail is.
    async fn add_user(&self, user: User) -> Result<(), StoreError>;
    /// Changes name and e-mail of a user; [`StoreError::Taken`] when the e-mail is. `None` when there is no such user.
    async fn update_user(&self, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, StoreError>;
    /// Changes the rest of a user. `None` when there is no such user.
    async fn change_user(&self, id: &str, change: UserChange) -> Result<Option<Changed>, StoreError>;
    /// Gives a user these roles instead of those that they have, and writes `audit` of it. `None`, and nothing is written, when there is no
    /// such user.
    async fn set_roles(&self, id: &str, roles: &BTreeSet<String>, audit: Option<AuditEntry>) -> Result<Option<User>, StoreError> {
        Ok(self.change_user(id, UserChange::roles(roles.clone()).noted(audit)).await?.map(|changed| changed.user))
    }
    /// A user by id.
    async fn user(&self, id: &str) -> Result<Option<User>, StoreError>;
    /// A user by e-mail, however it is written.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;
    /// Up to `limit` users by id, after the one with the id `after`, whose id, name or e-mail has `search` in it, in any case of ASCII
    /// letters; with `has_roles` only those who were granted a role.
    async fn users(&self, search: &str, has_roles: bool, after: &str, limit: usize) -> Result<Vec<User>, StoreError>;

    /// Which tokens of the user with this id are believed; `None` is all of them.
    async fn standing(&self, id: &str) -> Result<Option<Standing>, StoreError>;
    /// Remembers what another process has told of an account that it keeps, unless a later epoch is known. `at` is in seconds since 1970.
    async fn hear_epoch(&self, id: &str, epoch: u64, at: i64) -> Result<(), StoreError>;
    /// Up to `limit` users whose epoch others were not told of.
    async fn untold(&self, limit: usize) -> Result<Vec<User>, StoreError>;
    /// Tells others of epochs.
    async fn tell(&self, told: Vec<ToldEpoch>) -> Result<(), StoreError>;

    /// Allows a reset, together with the event that sends it, and forgets those that have ended. The user has [`MAX_RESETS`] at most.
    async fn add_reset(&self, reset: Reset, now: Timestamp, event: OutboxRow) -> Result<(), StoreError>;
    /// Whose reset this is; `None` if there is none, or it has ended.
    async fn reset_of(&self, digest: &str, now: Timestamp) -> Result<Option<String>, StoreError>;
    /// Uses up a reset, and all others of that user, for a change of that user. `None` if there is no such reset, or it has ended.
    async fn use_reset(&self, digest: &str, now: Timestamp, change: UserChange) -> Result<Option<Changed>, StoreError>;
}
