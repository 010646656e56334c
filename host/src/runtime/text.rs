//! Texts that come from components, made fit for logs, reports and pages.

/// Bytes of a reason.
pub(super) const MAX_REASON_BYTES: usize = 2 << 10;

/// `text` without control characters (line breaks and tabs become spaces, the rest `\u{fffd}`), and at most `most` bytes of it.
pub(super) fn tamed(text: &str, most: usize) -> String {
    let mut tamed = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let c = match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() || is_bidi(c) => '\u{fffd}',
            c => c,
        };
        if tamed.len() + c.len_utf8() > most {
            let end = tamed.floor_char_boundary(most.saturating_sub('…'.len_utf8()));
            tamed.truncate(end);
            tamed.push('…');
            break;
        }
        tamed.push(c);
    }
    tamed
}

/// Invisible characters that change how the text around them is shown.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// The first characters of a digest, enough for people.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_a_reader() {
        assert_eq!(tamed("a\nb\u{1b}[31mc\u{0}\u{202e}d", 100), "a b\u{fffd}[31mc\u{fffd}\u{fffd}d");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_says_so() {
        let cut = tamed(&"ä".repeat(100), 21);
        assert!(cut.len() <= 21, "{} bytes", cut.len());
        assert!(cut.ends_with("ä…"), "{cut}");
    }
}
