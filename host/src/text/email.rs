//! E-mail addresses: what is shown, and the key by which two are the same.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::{Flaw, NFC, flaw, half_width, is_stray, is_unseen, quoted};

/// RFC 5321 has these in bytes, from a time when addresses were ASCII; RFC 6531 leaves the part before the @ to who receives the mail.
const LOCAL_CHARS: usize = 64;
/// Of what is no address, characters that a message repeats.
const MAX_QUOTED: usize = 80;
/// Characters of an address.
pub const EMAIL_CHARS: usize = 254;

/// An address somebody can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// As it was written: composed, half width, without spaces around it, its domain in letters.
    pub shown: String,
    /// Alike for all ways to write it: lower case, nothing unseen, the domain in ASCII (`xn--` where it has other letters).
    pub key: String,
}

/// Why a text is no e-mail address. The words go on after the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmailFlaw {
    /// It has not one `@` with something before it.
    #[error("'{0}' is not an e-mail address, for example ada@example.com")]
    NoAddress(String),
    /// Too long.
    #[error("must have at most {EMAIL_CHARS} characters, has {0}")]
    Long(usize),
    /// Too long before the `@`.
    #[error("must have at most {LOCAL_CHARS} characters before the @, has {0}")]
    LongLocal(usize),
    /// What no address has before the `@`.
    #[error("must not contain '{}' before the @", .0.escape_debug())]
    Odd(char),
    /// A control character, or one that turns the text.
    #[error(transparent)]
    Unreadable(#[from] Flaw),
    /// After the `@` there is no name of a domain.
    #[error("'{0}' after the @ is not a domain, for example example.com: names of 1 to 63 letters, digits and hyphens, with dots between")]
    NoDomain(String),
}

impl Email {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, EmailFlaw> {
        let whole: String = half_width(text).chars().filter(|c| !is_stray(*c)).collect();
        let whole = whole.trim();
        let length = whole.chars().count();
        if length > EMAIL_CHARS {
            return Err(EmailFlaw::Long(length));
        }
        if let Some(flaw) = whole.chars().find_map(flaw) {
            return Err(flaw.into());
        }
        let (local, domain) = whole.split_once('@').ok_or_else(|| EmailFlaw::NoAddress(quoted(whole, MAX_QUOTED)))?;
        let local_key = NFC.normalize(&local.chars().filter(|c| !is_unseen(*c)).collect::<String>().to_lowercase()).into_owned();
        if local_key.is_empty() || domain.contains('@') {
            return Err(EmailFlaw::NoAddress(quoted(whole, MAX_QUOTED)));
        }
        check_local(local)?;
        let (domain, domain_key) = read_domain(domain).ok_or_else(|| EmailFlaw::NoDomain(quoted(domain, MAX_QUOTED)))?;
        Ok(Self { shown: format!("{local}@{domain}"), key: format!("{local_key}@{domain_key}") })
    }
}

/// By what accounts are told apart. Of a text that is no address, which only an older version of this program could have taken, it is
/// the text in lower case.
#[must_use]
pub fn email_key(text: &str) -> String {
    Email::parse(text).map_or_else(|_| text.to_lowercase(), |email| email.key)
}

fn check_local(local: &str) -> Result<(), EmailFlaw> {
    let length = local.chars().count();
    if length > LOCAL_CHARS {
        return Err(EmailFlaw::LongLocal(length));
    }
    let odd = |c: &char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | ',' | ';' | ':' | '"' | '\\');
    local.chars().find(odd).map_or(Ok(()), |c| Err(EmailFlaw::Odd(c)))
}

/// The domain as it is shown, and in ASCII.
fn read_domain(written: &str) -> Option<(String, String)> {
    let rules = Uts46::new();
    let key = rules.to_ascii(written.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify).ok()?;
    if !key.contains('.') {
        return None;
    }
    let in_letters = || rules.to_unicode(key.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast).0.into_owned();
    let shown = if key.contains("xn--") { in_letters() } else { written.to_owned() };
    Some((shown, key.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        Email::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).key
    }

    #[test]
    fn addresses_that_people_have_are_accepted() {
        for email in [
            "demo@example.com",
            "a.b+c@sub.example.co",
            "o'brien@example.org",
            "jörg@bücher.example",
            "\u{7528}\u{6237}@\u{4F8B}\u{5B50}.\u{5E7F}\u{544A}",
            "\u{5D3}\u{5D5}\u{5D3}@\u{5D3}\u{5D5}\u{5D2}\u{5DE}\u{5D4}.\u{5E7}\u{5D5}\u{5DD}",
            "\u{1F600}@example.com",
            "a@r3---sn.example.com",
        ] {
            assert_eq!(Email::parse(email).map(|e| e.shown), Ok(email.to_owned()));
        }
    }

    #[test]
    fn an_address_has_one_key_however_it_was_typed() {
        for (same, ways) in [
            (
                "ada@example.com",
                &["ADA@Example.COM", " ada@example.com\n", "\u{FF41}da\u{FF20}example\u{FF0E}com", "ada@example\u{3002}com"][..],
            ),
            ("ada@example.com", &["a\u{200B}da@example.com", "\u{FEFF}ada@exam\u{AD}ple.com", "a\u{2060}da@example.com"]),
            ("jörg@bücher.example", &["jo\u{308}rg@bu\u{308}cher.example", "JÖRG@xn--bcher-kva.example", "jörg@XN--BCHER-KVA.EXAMPLE"]),
            ("\u{2764}@example.com", &["\u{2764}\u{FE0F}@example.com"]),
        ] {
            for way in ways {
                assert_eq!(key(way), key(same), "{way:?}");
            }
        }
        assert_eq!(key("jörg@bücher.example"), "jörg@xn--bcher-kva.example");
        assert_ne!(key("strasse@example.com"), key("straße@example.com"));
        assert_ne!(key("a.da@example.com"), key("ada@example.com"));
    }

    #[test]
    fn a_key_is_its_own_key() {
        for email in ["JÖRG@bücher.example", "\u{130}@x.example", "ΑΣ@x.example", "\u{1E9E}@stra\u{DF}e.example"] {
            assert_eq!(key(&key(email)), key(email), "{email}");
        }
    }

    #[test]
    fn a_domain_is_shown_in_letters() {
        let shown = |text: &str| Email::parse(text).map(|e| e.shown);
        assert_eq!(shown("ada@xn--bcher-kva.example"), Ok("ada@bücher.example".into()));
        assert_eq!(shown("Ada@Example.com"), Ok("Ada@Example.com".into()));
    }

    #[test]
    fn lengths_are_of_characters() {
        let local = |letter: &str, times| Email::parse(&format!("{}@example.com", letter.repeat(times)));
        for letter in ["a", "ü", "u\u{308}", "\u{7528}"] {
            assert!(local(letter, 64).is_ok(), "{letter}");
            assert_eq!(local(letter, 65), Err(EmailFlaw::LongLocal(65)), "{letter}");
        }
        assert_eq!(Email::parse(&format!("a@{}com", "example.".repeat(40))), Err(EmailFlaw::Long(325)));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_wrong() {
        for (written, said) in [
            ("", "'' is not an e-mail address"),
            ("ada", "'ada' is not an e-mail address"),
            ("@example.com", "is not an e-mail address"),
            ("\u{200D}@example.com", "is not an e-mail address"),
            ("a@b@c.de", "is not an e-mail address"),
            ("ada@", "'' after the @ is not a domain"),
            ("ada@localhost", "'localhost' after the @ is not a domain"),
            ("ada@-x.de", "'-x.de' after the @"),
            ("ada@x..de", "'x..de' after the @"),
            ("ada@ex_ample.com", "after the @"),
            ("ada@xn--0.example", "after the @"),
            ("a b@c.de", "must not contain ' ' before the @"),
            ("a<b@c.de", "must not contain '<' before the @"),
            ("a\n@c.de", "must not contain the control character U+000A"),
            ("a\u{202E}b@c.de", "must not contain U+202E"),
        ] {
            let flaw = Email::parse(written).unwrap_err().to_string();
            assert!(flaw.contains(said), "{written:?}: {flaw}");
        }
    }

    #[test]
    fn what_an_older_version_took_keeps_its_key() {
        assert_eq!(email_key("Ada@ex_ample.com"), "ada@ex_ample.com");
    }
}
