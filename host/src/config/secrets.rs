//! What a secret has to be.

use std::collections::BTreeSet;

use super::context::Context;
use super::finding::Findings;
use super::report::Code;

/// Bytes that a key has at least.
const SECRET_BYTES: usize = 32;
/// How a key begins that was made on the first start of a development set-up.
const DEVELOPMENT_ONLY: &str = "development-only-";
/// Different characters that a key has at least; one of random hexadecimal digits has more.
const DISTINCT_CHARACTERS: usize = 8;
/// How values begin that somebody meant to replace.
const PLACEHOLDERS: [&str; 6] = ["changeme", "change-me", "change_me", "replace-me", "your-secret", "insecure"];

/// Long enough, and in production none that was made for development or that anybody guesses.
pub(super) fn check_secret(context: &Context<'_>, secret: &str, pointer: &str, findings: &mut Findings) {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    let help = "make one with: openssl rand -base64 48".to_owned();
    if secret.trim().len() < secret.len() {
        let message = format!("`{key}` begins or ends with white space");
        findings.error(pointer, Code::InvalidValue, message, "write it without".to_owned());
        return;
    }
    if secret.is_empty() {
        return;
    }
    if secret.len() < SECRET_BYTES {
        let message = format!("`{key}` has {} bytes, but needs {SECRET_BYTES} or more", secret.len());
        findings.error(pointer, Code::WeakSecret, message, help);
    } else if secret.starts_with(DEVELOPMENT_ONLY) && context.environment.is_production() {
        findings.error(pointer, Code::WeakSecret, format!("`{key}` was made for development, and MILLRACE_ENV is production"), help);
    } else if let Some(weakness) = weakness(secret) {
        let message = format!("`{key}` {weakness}: who guesses it can sign tokens or call what is internal");
        if context.environment.is_production() {
            findings.error(pointer, Code::WeakSecret, message, help);
        } else {
            findings.warning(pointer, Code::WeakSecret, message, help);
        }
    }
}

/// Why a long secret is easily guessed, if it is.
fn weakness(secret: &str) -> Option<String> {
    let distinct = secret.chars().collect::<BTreeSet<_>>().len();
    let lower = secret.to_lowercase();
    if distinct < DISTINCT_CHARACTERS {
        return Some(format!("has only {distinct} different characters"));
    }
    PLACEHOLDERS.iter().find(|word| lower.starts_with(**word)).map(|word| format!("begins with '{word}'"))
}
