//! Tokens: who gets one, and for how long it can be given anew.

use std::net::IpAddr;

use schemars::JsonSchema;

use super::passwords::Line;
use super::tokens::{Grant, Only, TokenError};
use super::{CurrentUser, Session, Users};
use crate::plan::access::{Role, Roles};
use crate::services::ServiceError;
use crate::services::error::FieldError;
use crate::store;
use crate::text;

/// What somebody shows again who is logged in.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Confirmation {
    /// The password of the account.
    pub password: String,
    /// A code of the second factor, where the account has one.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    /// The password alone.
    Password,
    /// Also a code, where the account has a second factor; this was sent.
    Code(Option<&'a str>),
}

/// What somebody has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// All that was asked for.
    Right,
    WrongPassword,
    /// The right password, and no code.
    NoCode,
    /// The right password, and a code that is wrong or was used.
    WrongCode,
}

impl Users {
    /// Gives a token to who knows the password, and has the second factor if there is one, and is on `network`: an address of IPv4, or the
    /// first of a /64 of IPv6.
    ///
    /// # Errors
    /// `invalid credentials`, in the same time whether or not there is such an account, or it is disabled; a code is needed, or this one is
    /// wrong; too many wrong passwords from there, or for that account from networks that have not logged in to it.
    pub async fn login(&self, email: &str, password: &str, code: Option<&str>, network: IpAddr) -> Result<Session, ServiceError> {
        let user = self.inner.store.user_by_email(email).await?;
        let key = text::email_key(email);
        let proof = self.challenge((&key, user.as_ref()), password, Asked::Code(code), network).await?;
        match user {
            Some(user) if proof == Proof::Right => self.session(user, None),
            _ => Err(refused(proof).unwrap_or_else(|| ServiceError::Unauthorized("invalid credentials".into()))),
        }
    }

    /// A new token for who has one that is good, with the roles that they have now. It ends as late as the login allows.
    ///
    /// # Errors
    /// The account has changed, or the login is too long ago.
    pub async fn renew(&self, user: &CurrentUser) -> Result<Session, ServiceError> {
        let account = self.account(user).await?;
        self.session(account, Some((user.logged_in, user.acr)))
    }

    /// A token for dangerous acts, for who shows the password again.
    ///
    /// # Errors
    /// It is the wrong one, or there were too many wrong ones; the account has changed, or the login is too long ago.
    pub async fn sudo(&self, user: &CurrentUser, given: &Confirmation, network: IpAddr) -> Result<Session, ServiceError> {
        let account = self.account(user).await?;
        let key = text::email_key(&account.email);
        let asked = Asked::Code(given.code.as_deref());
        let proof = self.challenge((&key, Some(&account)), &given.password, asked, network).await?;
        if proof != Proof::Right {
            let wrong = FieldError { pointer: "/password".into(), detail: "is not the password of this account".into() };
            return Err(refused(proof).unwrap_or(ServiceError::Unproven(wrong)));
        }
        self.session(account, Some((user.logged_in, Some(self.inner.tokens.now()))))
    }

    /// The account of a token, if it is what it was when the token was made.
    pub(super) async fn account(&self, user: &CurrentUser) -> Result<store::User, ServiceError> {
        self.inner.store.user(&user.id).await?.filter(|account| account.epoch == user.epoch && !account.disabled).ok_or_else(ended)
    }

    /// Has somebody on `network` show that the account with this key is theirs; one that is disabled, or is not there, is nobody's. What is
    /// wrong is slowed where it comes from, whichever request it was sent with.
    pub(super) async fn challenge(
        &self,
        (key, account): (&str, Option<&store::User>),
        password: &str,
        asked: Asked<'_>,
        network: IpAddr,
    ) -> Result<Proof, ServiceError> {
        let attempt = self.inner.attempts.begin(key, network).await?;
        let line = if attempt.is_known() { Line::Owners } else { Line::Everybody };
        let matches = self.inner.passwords.verify(password, account.map(|account| account.password_hash.clone()), line).await?;
        let proof = match account.filter(|account| matches && !account.disabled) {
            None => Proof::WrongPassword,
            Some(account) => match asked {
                Asked::Code(sent) if account.confirmed_factor().is_some() => match sent {
                    None => Proof::NoCode,
                    Some(code) if self.use_code(account, code).await? => Proof::Right,
                    Some(_) => Proof::WrongCode,
                },
                Asked::Code(_) | Asked::Password => Proof::Right,
            },
        };
        match proof {
            Proof::Right => attempt.succeeded(),
            Proof::WrongPassword | Proof::WrongCode => attempt.failed(),
            // Nothing was guessed at.
            Proof::NoCode => drop(attempt),
        }
        Ok(proof)
    }

    /// A token for `user`, who has just logged in, or else logged in and was asked for the password again at these times.
    pub(super) fn session(&self, user: store::User, before: Option<(i64, Option<i64>)>) -> Result<Session, ServiceError> {
        let roles = granted(&user);
        let lacks_factor = !roles.and(self.inner.second_factor).is_empty() && user.confirmed_factor().is_none();
        let grant = Grant {
            id: user.id.clone(),
            roles: if lacks_factor { Roles::default() } else { roles },
            epoch: user.epoch,
            logged_in: before.map(|(logged_in, _)| logged_in),
            confirmed: before.and_then(|(_, confirmed)| confirmed),
            only: lacks_factor.then_some(Only::Enrolment),
        };
        // The store was just read: what was noted before may be older than the token.
        self.inner.tokens.forget(&user.id);
        let token = self.inner.tokens.issue(&grant).map_err(ServiceError::Internal)?;
        let over = || ServiceError::Unauthorized("the login is too long ago to give another token; log in again".into());
        Ok(Session { token: token.ok_or_else(over)?, user: user.into(), enrols_only: lacks_factor })
    }

    /// Has every process learn that tokens of `user` have ended.
    pub(super) async fn tell(&self, user: &store::User) {
        self.inner.tokens.forget(&user.id);
        if let Some(telling) = &self.inner.telling
            && let Err(error) = telling.changes().await
        {
            tracing::warn!(%error, "that tokens of an account have ended is told later");
        }
    }
}

/// The account is not what it was when the token was made.
pub(super) fn ended() -> ServiceError {
    ServiceError::Unauthorized(TokenError::Ended.to_string())
}

/// What is said to who knows the password and lacks the rest.
fn refused(proof: Proof) -> Option<ServiceError> {
    let detail = match proof {
        Proof::Right | Proof::WrongPassword => return None,
        Proof::NoCode => "this account has a second factor: send the code that your authenticator app shows, or a recovery code, as `code`",
        Proof::WrongCode => {
            "this code is wrong, or was used already: wait for the next one. If none is right, the clock of the device is not right"
        }
    };
    Some(ServiceError::SecondFactor { detail: detail.into(), code: "second-factor-required" })
}

/// The roles of an account that are known to this version.
pub(super) fn granted(user: &store::User) -> Roles {
    user.roles.iter().filter_map(|name| Role::from_name(name)).collect()
}
