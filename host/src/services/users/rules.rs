//! What a name, an e-mail and a password may be, and the form they are kept in. Every broken rule is told at once.

use super::{Registration, ServiceError};
use crate::services::error::FieldError;
use crate::text::{self, Email};

pub(super) const NAME_CHARS: usize = 100;
pub(super) const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// Of a reason for what is done.
pub(super) const REASON_CHARS: usize = 500;

/// What an account is made of, in the form that is kept.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) email: Email,
    pub(super) password: String,
}

/// Reads all fields.
pub(super) fn registration(registration: &Registration) -> Result<Account, ServiceError> {
    let Registration { name, email, password } = registration;
    match (read_name(name), read_email(email), check_password(password)) {
        (Ok(name), Ok(email), Ok(())) => Ok(Account { name, email, password: password.clone() }),
        (name, email, password) => Err(all([name.err(), email.err(), password.err()])),
    }
}

/// Reads the fields that are there.
pub(super) fn profile(name: Option<&str>, email: Option<&str>) -> Result<(Option<String>, Option<Email>), ServiceError> {
    match (name.map(read_name).transpose(), email.map(read_email).transpose()) {
        (Ok(name), Ok(email)) => Ok((name, email)),
        (name, email) => Err(all([name.err(), email.err(), None])),
    }
}

/// Checks a password that is to stand in the place of another.
pub(super) fn new_password(password: &str) -> Result<(), ServiceError> {
    check_password(password).map_err(|error| ServiceError::fields(vec![FieldError { pointer: "/newPassword".into(), ..error }]))
}

/// Whether it could ever have been registered; older versions counted the characters as they were typed.
pub(super) fn may_be_password(password: &str) -> bool {
    check_password(password).is_ok() || PASSWORD_CHARS.contains(&password.chars().count())
}

/// Reads a reason.
pub(super) fn reason(reason: &str) -> Result<String, FieldError> {
    text::line(reason, REASON_CHARS).map_err(|flaw| wrong("/reason", flaw))
}

/// What is wrong with the password that confirms a change.
pub(super) fn wrong_current_password(detail: &str) -> ServiceError {
    ServiceError::Unproven(wrong("/currentPassword", detail))
}

/// What is wrong with the link that shows whose account it is.
pub(super) fn wrong_link(detail: &str) -> ServiceError {
    ServiceError::Unproven(wrong("/token", detail))
}

fn all(found: [Option<FieldError>; 3]) -> ServiceError {
    ServiceError::fields(found.into_iter().flatten().collect())
}

fn wrong(pointer: &str, detail: impl ToString) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail: detail.to_string() }
}

fn read_name(name: &str) -> Result<String, FieldError> {
    text::line(name, NAME_CHARS).map_err(|flaw| wrong("/name", flaw))
}

fn read_email(email: &str) -> Result<Email, FieldError> {
    Email::parse(email).map_err(|flaw| wrong("/email", flaw))
}

fn check_password(password: &str) -> Result<(), FieldError> {
    let length = text::length(password);
    if PASSWORD_CHARS.contains(&length) {
        return Ok(());
    }
    let (least, most) = (PASSWORD_CHARS.start(), PASSWORD_CHARS.end());
    Err(wrong("/password", format_args!("must have {least} to {most} characters, has {length}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_a_length_in_characters_and_no_other_rule() {
        let is_fine = |password: &str| check_password(password).is_ok();
        assert!(is_fine("password123") && is_fine(&"ü".repeat(128)) && is_fine(&"u\u{308}".repeat(128)) && is_fine(&"\u{1F600}".repeat(8)));
        assert!(!is_fine("1234567") && !is_fine(&"x".repeat(129)) && !is_fine(&"u\u{308}".repeat(7)));
    }

    #[test]
    fn every_broken_rule_is_told() {
        let broken = Registration { name: "  ".into(), email: "ada".into(), password: "short".into() };
        let Err(ServiceError::Invalid { errors, .. }) = registration(&broken) else { panic!("not invalid") };
        assert_eq!(errors.iter().map(|e| e.pointer.as_str()).collect::<Vec<_>>(), ["/name", "/email", "/password"]);
    }
}
