//! A config that was shown with its secrets blotted out comes back changed: each secret is put where it was.

use std::collections::HashMap;
use std::path::Path;

use super::{Environment, check_text};

/// `text`, which was made from what `current` is shown as, with the secrets of `current` in their lines. A line that is shown in several places
/// gets the secrets in their sequence, if there are as many of them as before. Nothing is put where it would be shown: then the text is answered
/// as it was sent.
#[must_use]
pub fn restored(text: &str, current: &str, path: &Path, environment: &Environment) -> String {
    let shown = |text: &str| check_text(path, text, environment).report.source;
    let mut secrets: HashMap<String, Vec<&str>> = HashMap::new();
    for (line, shown) in current.lines().zip(shown(current).lines()).filter(|(line, shown)| line != shown) {
        secrets.entry(shown.trim().to_owned()).or_default().push(line.trim());
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| secrets.contains_key(*line)) {
        *counts.entry(line).or_default() += 1;
    }
    if counts.is_empty() {
        return text.to_owned();
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut result = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let Some(originals) = secrets.get(bare) else {
            result.push_str(line);
            continue;
        };
        let number = seen.entry(bare).or_default();
        let alike = originals.iter().all(|one| *one == originals[0]);
        let original = if alike { Some(originals[0]) } else { originals.get(*number).copied() };
        *number += 1;
        match original.filter(|_| alike || counts.get(bare) == Some(&originals.len())) {
            Some(original) => result.push_str(&line.replacen(bare, original, 1)),
            None => return text.to_owned(),
        }
    }
    if shown(&result).trim_end() == text.trim_end() { result } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "modules:\n  - name: auth\n    type: auth.jwt\n    config:\n      secret: \"of this process\"\n  - {name: a, type: http.server, config: {address: ':1'}}\n";

    fn back(text: &str) -> String {
        restored(text, CONFIG, Path::new("x.yaml"), &Environment::default())
    }

    #[test]
    fn a_secret_comes_back_where_it_was_and_nowhere_else() {
        let shown = check_text(Path::new("x.yaml"), CONFIG, &Environment::default()).report.source.to_string();
        assert!(!shown.contains("of this process"), "{shown}");
        assert_eq!(back(&shown), CONFIG);
        let changed = shown.replace("':1'", "':2'");
        assert_eq!(back(&changed), CONFIG.replace("':1'", "':2'"));
        let line = shown.lines().find(|line| line.contains("secret")).unwrap().trim();
        let moved = format!("x-notes:\n  {line}\nmodules: []\n");
        let told = check_text(Path::new("x.yaml"), &back(&moved), &Environment::default()).report.source.to_string();
        assert!(!told.contains("of this process"), "{told}");
        let elsewhere = format!("a:\n  b:\n    {line}\n");
        assert_eq!(back(&elsewhere), elsewhere);
        assert_eq!(back("modules: []\n"), "modules: []\n");
    }
}
