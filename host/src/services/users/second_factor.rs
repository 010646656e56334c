//! The second factor: codes that a device makes anew every half minute (RFC 6238), and a few for who has lost it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use totp_rs::{Builder, Secret, Totp};

use super::resets::digest;
use super::sessions::ended;
use super::{CurrentUser, Session, Users};
use crate::services::ServiceError;
use crate::services::error::FieldError;
use crate::store::{self, SecondFactor, UserChange};

/// Seconds for which a code is the one of its time.
const STEP: u64 = 30;
const DIGITS: u8 = 6;
/// Steps by which the clocks of a device and of this machine may be apart for that to be told: an hour.
const CLOCKS_APART: u16 = 120;
/// Codes for who has lost the device.
const RECOVERY_CODES: usize = 10;
/// Letters of one of them, of five bits each.
const RECOVERY_LETTERS: usize = 16;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What a device needs to make codes.
pub struct Enrolment {
    /// The key in base 32, to be typed in.
    pub secret: String,
    /// The same as `otpauth://`, for a QR code.
    pub uri: String,
}

/// A code that a device shows.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Code {
    /// Six digits.
    pub code: String,
}

/// A second factor that is asked for from now on.
pub struct Enrolled {
    /// A token for all roles of the account.
    pub session: Session,
    /// Each is good once, in the place of a code. They are shown this once.
    pub recovery_codes: Vec<String>,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolled").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Users {
    /// A key for a device. It counts for nothing before a code of it was [confirmed](Self::confirm_factor).
    ///
    /// # Errors
    /// There is a second factor already; the account has changed.
    pub async fn enrol_factor(&self, user: &CurrentUser) -> Result<Enrolment, ServiceError> {
        let account = self.account(user).await?;
        let key = Secret::new_stack(rand::random());
        let secret = key.to_base32();
        // Neither name may have a colon in it.
        let named = |name: &str| name.replace(':', " ");
        let named = codes(key).with_issuer(Some(named(self.inner.tokens.issuer()))).with_account_name(named(&account.email));
        let uri = named.build().and_then(|totp| totp.to_url());
        let uri = uri.map_err(|error| ServiceError::Internal(anyhow::anyhow!("making a key for one-time codes: {error}")))?;
        let begun = SecondFactor { secret: secret.clone(), confirmed: false, last_step: 0, recovery: BTreeSet::new() };
        let change = UserChange::new(move |user| {
            let is_free = user.confirmed_factor().is_none();
            if is_free {
                user.second_factor = Some(begun);
            }
            is_free
        });
        match self.inner.store.change_user(&user.id, change).await? {
            Some(changed) if changed.done => Ok(Enrolment { secret, uri }),
            Some(_) => Err(ServiceError::Conflict("there is a second factor already: remove it first".into())),
            None => Err(ended()),
        }
    }

    /// Asks for codes from now on, of the device that has made this one. All other tokens of the account end.
    ///
    /// # Errors
    /// The code is not of the device whose key was given out last; the account has changed.
    pub async fn confirm_factor(&self, user: &CurrentUser, code: &str) -> Result<Enrolled, ServiceError> {
        self.account(user).await?;
        let recovery_codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
        let recovery = recovery_codes.iter().map(|code| digest(&plain(code))).collect();
        let (code, now) = (plain(code), self.inner.tokens.now());
        let change = UserChange::new(move |user| {
            let Some(factor) = user.second_factor.as_mut().filter(|factor| !factor.confirmed) else { return false };
            let is_right = accept_code(factor, &code, now);
            if is_right {
                factor.confirmed = true;
                factor.recovery = recovery;
            }
            is_right
        });
        let changed = self.inner.store.change_user(&user.id, change).await?.ok_or_else(ended)?;
        if !changed.done {
            let detail = "is no code of the key that was given out last, or not any more: it has six digits and is good for a minute";
            return Err(ServiceError::Unproven(FieldError { pointer: "/code".into(), detail: detail.into() }));
        }
        self.tell(&changed.user).await;
        Ok(Enrolled { session: self.session(changed.user, Some((user.logged_in, user.acr)))?, recovery_codes })
    }

    /// Asks for no codes any more. All other tokens of the account end.
    ///
    /// # Errors
    /// There is no second factor; the account has changed.
    pub async fn remove_factor(&self, user: &CurrentUser) -> Result<Session, ServiceError> {
        self.account(user).await?;
        let change = UserChange::new(|user| user.second_factor.take().is_some_and(|factor| factor.confirmed));
        let changed = self.inner.store.change_user(&user.id, change).await?.ok_or_else(ended)?;
        if !changed.done {
            return Err(ServiceError::NotFound { what: "a second factor".into() });
        }
        self.tell(&changed.user).await;
        self.session(changed.user, Some((user.logged_in, user.acr)))
    }

    /// Whether this is a code of `account` that was not used yet. It is used up.
    pub(super) async fn use_code(&self, account: &store::User, code: &str) -> Result<bool, ServiceError> {
        let (code, now) = (plain(code), self.inner.tokens.now());
        let sent = code.clone();
        let change = UserChange::new(move |user| {
            let Some(factor) = user.second_factor.as_mut().filter(|factor| factor.confirmed) else { return false };
            accept_code(factor, &code, now) || factor.recovery.remove(&digest(&code))
        });
        let is_used = self.inner.store.change_user(&account.id, change).await?.is_some_and(|changed| changed.done);
        if !is_used && let Some(seconds) = account.confirmed_factor().and_then(|factor| off_by(factor, &sent, now)) {
            // Only the log is told: whoever guesses is not to learn which code comes next.
            tracing::warn!(
                user = account.id,
                seconds,
                "a code of another time was refused: the clock of that device, or of this machine if it happens to everybody, is wrong"
            );
        }
        Ok(is_used)
    }
}

/// By how many seconds the clock of the device is ahead of this one, if the code is one of its key, of another time near now.
fn off_by(factor: &SecondFactor, code: &str, now: i64) -> Option<i64> {
    let now = u64::try_from(now).unwrap_or(0);
    let totp = codes(Secret::try_from_base32(&factor.secret).ok()?).with_skew(CLOCKS_APART).build().ok()?;
    let step = totp.check(code, now).filter(|step| step.abs_diff(now / STEP) > 1)?;
    Some((step.cast_signed() - (now / STEP).cast_signed()) * STEP.cast_signed())
}

/// Whether the device shows this code now, or did half a minute ago, or will in half a minute, and it was not accepted before.
fn accept_code(factor: &mut SecondFactor, code: &str, now: i64) -> bool {
    let Some(totp) = totp(&factor.secret) else { return false };
    let accepted = totp.check(code, u64::try_from(now).unwrap_or(0)).filter(|step| *step > factor.last_step);
    factor.last_step = accepted.unwrap_or(factor.last_step);
    accepted.is_some()
}

/// What makes the codes of a key in base 32.
fn totp(secret: &str) -> Option<Totp> {
    codes(Secret::try_from_base32(secret).ok()?).build().ok()
}

/// Six digits every half minute, a code earlier and a code later included: what authenticator apps expect.
fn codes(key: Secret) -> Builder {
    Builder::new().with_secret(key).with_digits(DIGITS).with_step_duration(STEP).with_skew(1)
}

fn recovery_code() -> String {
    let letters = rand::random::<[u8; RECOVERY_LETTERS]>().map(|byte| ALPHABET[usize::from(byte % 32)]);
    let groups: Vec<String> = letters.chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join("-")
}

/// A code as it is compared, whatever groups it is written in.
fn plain(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor() -> SecondFactor {
        // The key of the examples of RFC 6238.
        let secret = Secret::new_stack(*b"12345678901234567890").to_base32();
        SecondFactor { secret, confirmed: true, last_step: 0, recovery: BTreeSet::new() }
    }

    #[test]
    fn the_codes_are_those_of_the_standard() {
        for (now, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")] {
            assert!(accept_code(&mut factor(), code, now), "{now}");
        }
    }

    #[test]
    fn of_a_code_of_another_time_it_is_known_how_far_the_clocks_are_apart() {
        let (code, begin) = ("005924", 1_234_567_890);
        for (now, off) in [(begin, None), (begin + 40, None), (begin + 120, Some(-120)), (begin - 300, Some(300)), (begin + 7_200, None)] {
            assert_eq!(off_by(&factor(), code, now), off, "{}", now - begin);
        }
        assert_eq!(off_by(&factor(), "000000", begin), None);
    }

    #[test]
    fn a_code_is_good_around_its_time_and_once() {
        let code = "005924";
        let begin = 1_234_567_890;
        for (now, good) in [(begin - 31, false), (begin - 30, true), (begin, true), (begin + 59, true), (begin + 60, false)] {
            assert_eq!(accept_code(&mut factor(), code, now), good, "{}", now - begin);
        }
        let mut used = factor();
        assert!(
            accept_code(&mut used, code, begin) && !accept_code(&mut used, code, begin + 1) && !accept_code(&mut used, code, begin + 30)
        );
        let mut later = SecondFactor { last_step: 1_234_567_890 / STEP + 1, ..factor() };
        assert!(!accept_code(&mut later, code, begin), "a later one was used");
    }

    #[test]
    fn what_is_no_code_is_none() {
        for wrong in ["", "00592", "0059240", "005925", "five", "٠٠٥٩٢٤"] {
            assert!(!accept_code(&mut factor(), wrong, 1_234_567_890), "{wrong}");
        }
        let broken = SecondFactor { secret: "1".into(), ..factor() };
        assert!(!accept_code(&mut { broken }, "005924", 1_234_567_890));
    }

    #[test]
    fn recovery_codes_are_long_and_read_in_any_writing() {
        let code = recovery_code();
        assert_eq!((code.len(), code.matches('-').count()), (19, 3), "{code}");
        assert_eq!(plain(&code.to_uppercase().replace('-', " ")), plain(&code));
        assert_ne!(recovery_code(), code);
    }
}
