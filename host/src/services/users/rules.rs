//! What a name, an e-mail and a password may be. Every broken rule is told at once.

use super::{Registration, ServiceError};
use crate::services::error::FieldError;

pub(super) const NAME_CHARS: usize = 100;
/// RFC 5321: 64 for the local part, 254 for the whole address.
const LOCAL_BYTES: usize = 64;
pub(super) const EMAIL_BYTES: usize = 254;
pub(super) const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// Checks all fields.
pub(super) fn check_registration(registration: &Registration) -> Result<(), ServiceError> {
    let Registration { name, email, password } = registration;
    all([check_name(name), check_email(email), check_password(password)])
}

/// Checks the fields that are there.
pub(super) fn check_profile(name: Option<&str>, email: Option<&str>) -> Result<(), ServiceError> {
    all([name.and_then(check_name), email.and_then(check_email)])
}

/// Whether it is worth looking for; an address that breaks the rule was never registered.
pub(super) fn may_be_email(email: &str) -> bool {
    check_email(email).is_none()
}

/// Whether it could ever have been registered.
pub(super) fn may_be_password(password: &str) -> bool {
    check_password(password).is_none()
}

fn all<const N: usize>(found: [Option<FieldError>; N]) -> Result<(), ServiceError> {
    let errors: Vec<_> = found.into_iter().flatten().collect();
    if errors.is_empty() { Ok(()) } else { Err(ServiceError::fields(errors)) }
}

fn wrong(pointer: &str, detail: String) -> Option<FieldError> {
    Some(FieldError { pointer: pointer.to_owned(), detail })
}

fn check_name(name: &str) -> Option<FieldError> {
    let length = name.trim().chars().count();
    if length == 0 || length > NAME_CHARS {
        return wrong("/name", format!("must have 1 to {NAME_CHARS} characters, has {length}"));
    }
    if name.chars().any(char::is_control) {
        return wrong("/name", "must not contain control characters".into());
    }
    None
}

fn check_email(email: &str) -> Option<FieldError> {
    if email.len() > EMAIL_BYTES {
        return wrong("/email", format!("must have at most {EMAIL_BYTES} bytes, has {}", email.len()));
    }
    let Some((local, domain)) = email.split_once('@') else {
        return wrong("/email", format!("'{}' is not an e-mail address, for example ada@example.com", email.escape_debug()));
    };
    if local_is_fine(local) && domain_is_fine(domain) {
        return None;
    }
    wrong("/email", format!("'{}' is not an e-mail address, for example ada@example.com", email.escape_debug()))
}

fn local_is_fine(local: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '<' | '>' | '(' | ')' | ',' | ';' | ':' | '"' | '\\');
    !local.is_empty() && local.len() <= LOCAL_BYTES && !local.contains(odd)
}

fn domain_is_fine(domain: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    domain.contains('.') && domain.split('.').all(label)
}

fn check_password(password: &str) -> Option<FieldError> {
    let length = password.chars().count();
    if PASSWORD_CHARS.contains(&length) {
        return None;
    }
    wrong("/password", format!("must have {} to {} characters, has {length}", PASSWORD_CHARS.start(), PASSWORD_CHARS.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_people_have_are_accepted() {
        for email in ["demo@example.com", "a.b+c@sub.example.co", "o'brien@example.org", "jörg@bücher.example"] {
            assert_eq!(check_email(email), None, "{email}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for email in
            ["", "ada", "@example.com", "ada@", "ada@localhost", "a@b@c.de", "a b@c.de", "ada@-x.de", "ada@x..de", "a\n@c.de", &long]
        {
            assert!(check_email(email).is_some(), "{email}");
        }
    }

    #[test]
    fn a_password_has_a_length_and_no_other_rule() {
        assert_eq!(check_password("password123"), None);
        assert_eq!(check_password(&"ü".repeat(128)), None);
        assert!(check_password("1234567").is_some() && check_password(&"x".repeat(129)).is_some());
    }

    #[test]
    fn every_broken_rule_is_told() {
        let registration = Registration { name: "  ".into(), email: "ada".into(), password: "short".into() };
        let ServiceError::Invalid { errors, .. } = check_registration(&registration).unwrap_err() else { panic!("not invalid") };
        assert_eq!(errors.iter().map(|e| e.pointer.as_str()).collect::<Vec<_>>(), ["/name", "/email", "/password"]);
    }
}
