//! Hashing passwords with argon2id, a few at a time: each takes 19 MiB and a core.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::rules;
use crate::services::ServiceError;
use crate::text;

/// Hashes under way at once; more wait.
const AT_ONCE: usize = 2;
/// A request that has waited this long for its turn is sent away.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// Who waits for a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Those who have logged in from where they are: next as soon as a hash is done, however many others wait.
    Owners,
    Everybody,
}

pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    /// As many of everybody as there are turns: the rest of them waits here, and not before the owners.
    door: Arc<Semaphore>,
    /// Hash of a password that nobody has, checked when there is no account, so that the answer takes as long.
    decoy: String,
}

impl Passwords {
    pub(super) fn new() -> anyhow::Result<Self> {
        let nobody = uuid::Uuid::now_v7().to_string();
        let decoy = hash(&nobody).context("hashing a password")?;
        Ok(Self { turns: Arc::new(Semaphore::new(AT_ONCE)), door: Arc::new(Semaphore::new(AT_ONCE)), decoy })
    }

    /// PHC string of `password`, in the form that is the same for every keyboard.
    pub(super) async fn hash(&self, password: &str) -> Result<String, ServiceError> {
        let password = text::password(password);
        self.in_turn(Line::Everybody, move || hash(&password))
            .await?
            .map_err(|e| ServiceError::Internal(anyhow::anyhow!("hashing a password: {e}")))
    }

    /// Whether `password` belongs to `stored`; takes as long, and is false, when there is none.
    pub(super) async fn verify(&self, password: &str, stored: Option<String>, line: Line) -> Result<bool, ServiceError> {
        // Longer or shorter ones were never accepted, whoever's account it is; they need no time.
        if !rules::may_be_password(password) {
            return Ok(false);
        }
        let known = stored.is_some();
        let (forms, stored) = (forms(password), stored.unwrap_or_else(|| self.decoy.clone()));
        let verdict = self.in_turn(line, move || verify_any(&forms, &stored)).await?;
        match verdict {
            Ok(()) => Ok(known),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(other) => Err(ServiceError::Internal(anyhow::anyhow!("checking a password: {other}"))),
        }
    }

    async fn in_turn<T: Send + 'static>(&self, line: Line, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
        let busy =
            || ServiceError::Unavailable { detail: "too many logins at once, try again".into(), retry_after: Duration::from_secs(2) };
        let turn = tokio::time::timeout(MAX_WAIT, self.turn(line)).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|e| ServiceError::Internal(e.into()))
    }

    /// What is held while a password is hashed.
    async fn turn(&self, line: Line) -> Result<(Option<OwnedSemaphorePermit>, OwnedSemaphorePermit), AcquireError> {
        let door = match line {
            Line::Owners => None,
            Line::Everybody => Some(Arc::clone(&self.door).acquire_owned().await?),
        };
        Ok((door, Arc::clone(&self.turns).acquire_owned().await?))
    }
}

fn hash(password: &str) -> Result<String, Error> {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// What may have been hashed for `password`: its one form, and what was typed, which older versions hashed. For most they are the same.
fn forms(password: &str) -> Vec<String> {
    let form = text::password(password);
    if form == password { vec![form] } else { vec![form, password.to_owned()] }
}

/// Tries each, so that it takes as long for an account that is there as for one that is not.
fn verify_any(forms: &[String], stored: &str) -> Result<(), Error> {
    let verdicts: Vec<_> = forms.iter().map(|form| verify(form, stored)).collect();
    if verdicts.iter().any(Result::is_ok) { Ok(()) } else { verdicts.into_iter().next().unwrap_or(Err(Error::PasswordInvalid)) }
}

fn verify(password: &str, stored: &str) -> Result<(), Error> {
    let stored = PasswordHash::new(stored).map_err(|_| Error::EncodingInvalid)?;
    Argon2::default().verify_password(password.as_bytes(), &stored)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new().unwrap();
        let stored = passwords.hash("password123").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$"), "{stored}");
        assert!(passwords.verify("password123", Some(stored.clone()), Line::Everybody).await.unwrap());
        assert!(!passwords.verify("password124", Some(stored), Line::Everybody).await.unwrap());
        assert!(!passwords.verify("password123", None, Line::Everybody).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_fits_on_every_keyboard_and_as_older_versions_hashed_it() {
        let passwords = Passwords::new().unwrap();
        let (composed, in_parts) = ("pa\u{DF}w\u{F6}rt123", "pa\u{DF}wo\u{308}rt123");
        let stored = passwords.hash(in_parts).await.unwrap();
        for typed in [composed, in_parts] {
            assert!(passwords.verify(typed, Some(stored.clone()), Line::Everybody).await.unwrap(), "{typed:?}");
        }
        let older = hash(in_parts).unwrap();
        assert!(passwords.verify(in_parts, Some(older), Line::Everybody).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_that_is_too_long_to_be_one_costs_nothing() {
        let passwords = Passwords::new().unwrap();
        let _all = passwords.turns.acquire_many(2).await.unwrap();
        assert!(!passwords.verify(&"x".repeat(60_000), None, Line::Everybody).await.unwrap());
    }

    #[tokio::test]
    async fn an_owner_is_next_however_many_others_wait() {
        let passwords = Arc::new(Passwords::new().unwrap());
        let (hashing, others) = (passwords.turn(Line::Everybody).await.unwrap(), passwords.turn(Line::Everybody).await.unwrap());
        let mut waiting: Vec<_> = (0..50).map(|_| Box::pin(passwords.turn(Line::Everybody))).collect();
        for other in &mut waiting {
            assert!(other.as_mut().now_or_never().is_none());
        }
        let mut owner = Box::pin(passwords.turn(Line::Owners));
        assert!(owner.as_mut().now_or_never().is_none());
        drop(hashing);
        assert!(waiting.iter_mut().all(|other| other.as_mut().now_or_never().is_none()), "others come before the owner");
        assert!(owner.as_mut().now_or_never().is_some());
        drop(others);
    }
}
