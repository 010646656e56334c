//! Making text of unknown origin harmless where people and mail programs read it.

/// Stands where an e-mail address stood.
const HIDDEN: &str = "[address hidden]";

/// `text` without e-mail addresses, control characters and markup, at most `limit` characters before escaping.
pub fn harmless(text: &str, limit: usize) -> String {
    let visible: String = text.chars().map(|c| if c.is_control() || is_direction_mark(c) { ' ' } else { c }).take(limit).collect();
    let words: Vec<&str> = visible.split(' ').map(|word| if word.contains('@') { HIDDEN } else { word }).collect();
    escape_markup(&words.join(" "))
}

/// Characters that make text read in another direction than it is written.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn escape_markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_control_characters_are_blanks() {
        assert_eq!(harmless("<b>\"A&B'</b>\r\nBcc:", 80), "&lt;b&gt;&quot;A&amp;B&#39;&lt;/b&gt;  Bcc:");
        assert_eq!(harmless("a\u{202E}b\u{7}c", 80), "a b c");
    }

    #[test]
    fn addresses_are_hidden_and_long_text_is_cut() {
        assert_eq!(harmless("to a.b@example.com, now", 80), "to [address hidden] now");
        assert_eq!(harmless("ääääää", 4), "ääää");
    }
}
