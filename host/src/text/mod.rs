//! Text that people write, in one form: whatever keyboard, system or browser it comes from, what is the same is equal.
//!
//! `é` is one character or a letter and its accent, `Ａ` is the `A` of a full-width keyboard, `bücher.example` and
//! `xn--bcher-kva.example` are one domain. Lengths are counted in characters (Unicode scalar values) of the composed form (NFC), never in
//! bytes, so that a page that does `[...text.normalize('NFC')].length` counts alike. Knows nothing of accounts.

mod email;
pub mod json;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

pub use email::{EMAIL_CHARS, Email, EmailFlaw, email_key};

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();

/// What is trimmed around a line, as a part of [`LINE_PATTERN`]; `concat!` takes no constants.
macro_rules! trimmed {
    () => {
        "[\t-\r \u{85}\u{a0}\u{ad}\u{61c}\u{1680}\u{2000}-\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202f}\u{205f}\u{2060}\u{3000}\u{feff}]*"
    };
}
/// What a line may have between its ends.
macro_rules! within {
    () => {
        r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*"
    };
}

/// What [`line()`] takes, its length aside, as a regular expression that JSON Schemas can hold: something to see, and nothing in between that
/// breaks or turns the line. All is listed, because not every reader means the same by `\s`, or knows of characters that nobody sees.
pub const LINE_PATTERN: &str = concat!(
    "^",
    trimmed!(),
    within!(),
    r"[^\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8",
    "\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]",
    within!(),
    trimmed!(),
    "$"
);

/// Why a text is no line. The words go on after the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing to see, or too much of it.
    #[error("must have 1 to {most} characters, has {found}")]
    Length {
        /// Characters that it may have.
        most: usize,
        /// Characters that it has.
        found: usize,
    },
    /// A character that no line has.
    #[error("must not contain the control character U+{:04X}", u32::from(*.0))]
    Control(char),
    /// A character that turns what comes after it around.
    #[error("must not contain U+{:04X}, which turns the direction of the text around it", u32::from(*.0))]
    Turning(char),
}

/// A line as people write it, a name or a street: composed, without spaces around it, 1 to `most` characters.
///
/// # Errors
/// It is empty or too long, or holds a character that breaks it or has it read otherwise than it is written.
pub fn line(text: &str, most: usize) -> Result<String, Flaw> {
    let composed = NFC.normalize(text);
    let line = composed.trim_matches(|c: char| c.is_whitespace() || is_stray(c));
    if let Some(flaw) = line.chars().find_map(flaw) {
        return Err(flaw);
    }
    // Spaces around it count for the limit, so that a page and a schema can count without knowing what goes.
    let found = if line.chars().all(is_unseen) { 0 } else { composed.chars().count() };
    if found == 0 || found > most {
        return Err(Flaw::Length { most, found });
    }
    Ok(line.to_owned())
}

/// Leaves so many characters of a text, and shows that there were more.
pub fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
}

/// A text that somebody sent, as a part of a message: `most` characters of it, and nothing that a terminal acts on.
#[must_use]
pub fn quoted(text: &str, most: usize) -> String {
    let mut text = text.to_owned();
    cut(&mut text, most);
    text.escape_debug().to_string()
}

/// Characters of a text as it stands, composed.
#[must_use]
pub fn length(text: &str) -> usize {
    NFC.normalize(text).chars().count()
}

/// What is hashed for a password: NFKC, as NIST SP 800-63B recommends. An accent that is a character of its own, full-width letters and
/// the spaces of other scripts make no other password.
#[must_use]
pub fn password(text: &str) -> String {
    NFKC.normalize(text).into_owned()
}

/// Letters, digits and signs of full-width keyboards as those of others, composed: the width mapping of RFC 8265.
#[must_use]
pub fn half_width(text: &str) -> String {
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{3000}' | '\u{FF01}'..='\u{FFEF}' => mapped.push_str(&NFKC.normalize(c.encode_utf8(&mut [0; 4]))),
            other => mapped.push(other),
        }
    }
    NFC.normalize(&mapped).into_owned()
}

fn flaw(c: char) -> Option<Flaw> {
    match c {
        '\u{2028}' | '\u{2029}' => Some(Flaw::Control(c)),
        c if c.is_control() => Some(Flaw::Control(c)),
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => Some(Flaw::Turning(c)),
        _ => None,
    }
}

/// What keyboards and copied text leave beside words, and nobody sees. (What shapes the letters or the emoji before it is not among them.)
fn is_stray(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// Whether there is nothing to see of a character by itself.
fn is_unseen(c: char) -> bool {
    c.is_whitespace() || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    static VALIDATOR: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(&json!({"type": "string", "pattern": LINE_PATTERN})).unwrap());

    fn matches(text: &str) -> bool {
        VALIDATOR.is_valid(&json!(text))
    }

    fn is_line(text: &str) -> bool {
        line(text, usize::MAX).is_ok()
    }

    #[test]
    fn the_pattern_is_the_rule_for_each_character() {
        for character in ('\u{0}'..=char::MAX).filter(|c| u32::from(*c) < 0x1_0000 || u32::from(*c) % 3 == 0) {
            let text = character.to_string();
            assert_eq!(matches(&text), is_line(&text), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn the_pattern_is_the_rule(text in "[\u{0}-\u{ff}\u{1680}\u{2000}-\u{206f}\u{3000}\u{feff}]{0,6}") {
            prop_assert_eq!(matches(&text), is_line(&text), "{:?}", text);
        }
    }

    #[test]
    fn a_line_is_the_same_however_it_was_typed() {
        for (written, line_of) in [
            ("Jose\u{301}", "José"),
            ("  Ada\u{3000}\n", "Ada"),
            ("\u{FEFF}Ada\u{200B}", "Ada"),
            ("\u{200F}\u{5D3}\u{5D5}\u{5D3}\u{200F}", "\u{5D3}\u{5D5}\u{5D3}"),
            ("\u{2764}\u{FE0F}", "\u{2764}\u{FE0F}"),
            ("\u{646}\u{200C}\u{627}", "\u{646}\u{200C}\u{627}"),
        ] {
            assert_eq!(line(written, 100), Ok(line_of.to_owned()), "{written:?}");
        }
    }

    #[test]
    fn a_line_has_characters_and_not_bytes() {
        for letter in ["a", "\u{FC}", "u\u{308}", "\u{7530}", "\u{1F600}"] {
            assert!(line(&letter.repeat(100), 100).is_ok(), "{letter}");
            assert_eq!(line(&letter.repeat(101), 100), Err(Flaw::Length { most: 100, found: 101 }), "{letter}");
        }
        for nothing in ["", " ", "\u{200B}", "\u{2060}\u{FE0F}", "\u{115F}\u{3164}"] {
            assert_eq!(line(nothing, 100), Err(Flaw::Length { most: 100, found: 0 }), "{nothing:?}");
        }
    }

    #[test]
    fn what_breaks_or_turns_a_line_is_named() {
        for (written, said) in [
            ("a\u{7}b", "must not contain the control character U+0007"),
            ("a\nb", "must not contain the control character U+000A"),
            ("a\u{2028}b", "must not contain the control character U+2028"),
            ("gpj.\u{202E}exe", "must not contain U+202E, which turns the direction of the text around it"),
            ("a\u{2067}b", "must not contain U+2067, which turns the direction of the text around it"),
        ] {
            assert_eq!(line(written, 100).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn a_password_is_the_same_however_it_was_typed() {
        for (one, other) in [
            ("pa\u{DF}wo\u{308}rt", "pa\u{DF}w\u{F6}rt"),
            ("\u{FF50}\u{FF41}\u{FF53}\u{FF53}", "pass"),
            ("correct\u{A0}horse\u{3000}battery", "correct horse battery"),
            ("\u{AC00}\u{1F600}", "\u{1100}\u{1161}\u{1F600}"),
        ] {
            assert_eq!(password(one), password(other));
        }
        assert_ne!(password("Password"), password("password"));
    }

    #[test]
    fn widths_change_and_letters_do_not() {
        assert_eq!(half_width("\u{FF19}\u{FF17}\u{FF12}\u{FF10}\u{FF11}\u{FF0D}\u{3000}"), "97201- ");
        assert_eq!(half_width("\u{FF76}\u{FF9E}"), "\u{30AC}");
        assert_eq!(half_width("\u{FB01} \u{2460}"), "\u{FB01} \u{2460}");
    }
}
