//! Another password: for who knows the old one, and for who has forgotten it and gets the mail of the account.

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use sha2::{Digest, Sha256};

use super::sessions::{Asked, Proof, ended};
use super::{CurrentUser, Session, Users, rules};
use crate::services::ServiceError;
use crate::store::{Reset, UserChange};
use crate::text;

/// How long a link for another password is good.
const RESET_LIFE: Duration = Duration::from_secs(30 * 60);

/// Another password, by who knows the old one.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordChange {
    /// The password of the account.
    pub current_password: String,
    /// Another one, 8 to 128 characters.
    #[schemars(length(min = *rules::PASSWORD_CHARS.start(), max = *rules::PASSWORD_CHARS.end()))]
    pub new_password: String,
}

/// Whose password was forgotten.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Forgotten {
    /// E-mail address of the account.
    pub email: String,
}

/// Another password, by who got the link.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordReset {
    /// What the link has in the place of `{token}`.
    pub token: String,
    /// Another password, 8 to 128 characters.
    #[schemars(length(min = *rules::PASSWORD_CHARS.start(), max = *rules::PASSWORD_CHARS.end()))]
    pub new_password: String,
}

impl Users {
    /// Sets another password for who knows the old one. All tokens of the account end; the answer has a new one.
    ///
    /// # Errors
    /// The old one is wrong, or there were too many wrong ones; the new one breaks a rule; the account has changed.
    pub async fn change_password(&self, user: &CurrentUser, change: &PasswordChange, network: IpAddr) -> Result<Session, ServiceError> {
        rules::new_password(&change.new_password)?;
        let account = self.account(user).await?;
        let key = text::email_key(&account.email);
        match self.challenge((&key, Some(&account)), &change.current_password, Asked::Password, network).await? {
            Proof::Right => {}
            _ => return Err(rules::wrong_current_password("is not the password of this account")),
        }
        let hash = self.inner.passwords.hash(&change.new_password).await?;
        let change = UserChange::new(move |user| {
            let is_same = user.epoch == account.epoch;
            if is_same {
                user.password_hash = hash;
            }
            is_same
        });
        let changed = self.inner.store.change_user(&user.id, change).await?.filter(|changed| changed.done).ok_or_else(ended)?;
        self.tell(&changed.user).await;
        self.session(changed.user, Some((user.logged_in, None)))
    }

    /// Whether somebody on `network` may ask for a link now. It makes no difference whether there is such an account.
    ///
    /// # Errors
    /// They have asked too often.
    pub async fn may_ask_for_reset(&self, email: &str, network: IpAddr) -> Result<(), ServiceError> {
        self.inner.forgotten.begin(&text::email_key(email), network).await?.failed();
        Ok(())
    }

    /// Sends a link for another password to whom this e-mail belongs, if there is somebody and they may log in.
    ///
    /// # Errors
    /// The store cannot write now.
    pub async fn send_reset(&self, email: &str) -> Result<(), ServiceError> {
        let (Some(telling), Some(link)) = (&self.inner.telling, &self.inner.reset_link) else { return Ok(()) };
        let Some(user) = self.inner.store.user_by_email(email).await?.filter(|user| !user.disabled) else { return Ok(()) };
        let token = hexadecimal(&rand::random::<[u8; 32]>());
        let now = self.inner.clock.steady();
        let reset = Reset { digest: digest(&token), user_id: user.id.clone(), expires_at: now.saturating_add(RESET_LIFE).unwrap_or(now) };
        let event = telling.forgotten(&user, &link.replace("{token}", &token), RESET_LIFE.as_secs() / 60);
        self.inner.store.add_reset(reset, now, event).await?;
        telling.wake();
        Ok(())
    }

    /// Sets another password for who has got the link. All tokens and all links of the account end.
    ///
    /// # Errors
    /// The link was used, has expired, or never was one; the password breaks a rule.
    pub async fn reset_password(&self, reset: &PasswordReset) -> Result<(), ServiceError> {
        rules::new_password(&reset.new_password)?;
        let digest = digest(&reset.token);
        let invalid = || rules::wrong_link("is not valid, or not any more: ask for another link");
        // A password is hashed for who has a link only.
        self.inner.store.reset_of(&digest, self.inner.clock.steady()).await?.ok_or_else(invalid)?;
        let hash = self.inner.passwords.hash(&reset.new_password).await?;
        let change = UserChange::new(move |user| {
            user.password_hash = hash;
            true
        });
        let changed = self.inner.store.use_reset(&digest, self.inner.clock.steady(), change).await?.ok_or_else(invalid)?;
        self.tell(&changed.user).await;
        Ok(())
    }
}

/// What is kept of a secret that is random and long.
pub(super) fn digest(secret: &str) -> String {
    hexadecimal(&Sha256::digest(secret.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
