//! People with a login.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{AuditEntry, StoreError};

/// A person with a login.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// When they registered.
    pub created_at: Timestamp,
}

/// For who keeps accounts.
#[async_trait]
pub trait Users: Send + Sync + 'static {
    /// Adds a user; [`StoreError::Taken`] when the e-mail is.
    async fn add_user(&self, user: User) -> Result<(), StoreError>;
    /// Changes name and e-mail of a user; [`StoreError::Taken`] when the e-mail is. `None` when there is no such user.
    async fn update_user(&self, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, StoreError>;
    /// Gives a user these roles instead of those that they have, and writes `audit` of it. `None`, and nothing is written, when there is no
    /// such user.
    async fn set_roles(&self, id: &str, roles: &BTreeSet<String>, audit: Option<AuditEntry>) -> Result<Option<User>, StoreError>;
    /// A user by id.
    async fn user(&self, id: &str) -> Result<Option<User>, StoreError>;
    /// A user by e-mail, however it is written.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;
}
