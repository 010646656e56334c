//! The repository's rules, and a copy of them that comes to its conclusions sixty times sooner.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::promtool;
use crate::prometheus;

/// How many times shorter every window and every wait is in a copy.
const SHORTER: u64 = 60;
/// What stands before a length of time in a rule.
const BEFORE_A_TIME: [&str; 4] = ["[", "offset ", "for: ", "interval: "];

/// Writes the rules to `folder` as they are.
pub fn copy(folder: &Path) -> anyhow::Result<()> {
    write(folder, |text| Ok(text.to_owned()))
}

/// Writes the rules to `folder` with shorter times and these bounds: what is written, and what is written instead.
pub fn copy_shortened(folder: &Path, bounds: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut changed = 0;
    write(folder, |text| {
        let (text, changes) = with_bounds(text, bounds);
        changed += changes;
        Ok(shortened(&text))
    })?;
    anyhow::ensure!(changed == bounds.len(), "{changed} of {} bounds are in the rules, once each: {bounds:?}", bounds.len());
    Ok(())
}

fn write(folder: &Path, mut change: impl FnMut(&str) -> anyhow::Result<String>) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be created", folder.display()))?;
    for file in promtool::files(Path::new(prometheus::RULES))? {
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        fs::write(folder.join(file.file_name().unwrap_or_default()), change(&text)?)?;
    }
    Ok(())
}

fn with_bounds(text: &str, bounds: &[(&str, &str)]) -> (String, usize) {
    bounds.iter().fold((text.to_owned(), 0), |(text, changes), (from, to)| {
        let there = text.matches(from).count();
        (text.replace(from, to), changes + there)
    })
}

fn shortened(text: &str) -> String {
    BEFORE_A_TIME.iter().fold(text.to_owned(), |text, before| shortened_after(&text, before))
}

fn shortened_after(text: &str, before: &str) -> String {
    let mut pieces = text.split(before);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        result.push_str(before);
        match time(piece) {
            Some((seconds, rest)) => result.push_str(&format!("{}s{rest}", seconds.div_ceil(SHORTER))),
            None => result.push_str(piece),
        }
    }
    result
}

/// The length of time that `text` begins with, in seconds, and what comes after it.
fn time(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.split_at(text.find(|character: char| !character.is_ascii_digit())?);
    let unit = match rest.chars().next()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    Some((number.parse::<u64>().ok()? * unit, &rest[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn only_times_get_shorter() {
        let rule = "expr: rate({__name__=~\"a(_[a-z_]+)?_b\"}[5m]) / x:rate5m[1h] offset 15m > 300\nfor: 1m\nfor: 10m\n[1d]";
        let expected = "expr: rate({__name__=~\"a(_[a-z_]+)?_b\"}[5s]) / x:rate5m[60s] offset 15s > 300\nfor: 1s\nfor: 10s\n[1440s]";
        assert_eq!(shortened(rule), expected);
    }

    #[test]
    fn a_bound_that_is_not_in_the_rules_is_an_error() {
        let folder = std::env::temp_dir().join(format!("millrace-xtask-{}-rules", std::process::id()));
        let problem = copy_shortened(&folder, &[("> a bound that nobody set", "> 1")]).expect_err("no such bound").to_string();
        assert!(problem.contains("a bound that nobody set"), "{problem}");
        fs::remove_dir_all(folder).expect("tidied up");
    }

    /// Name and text of each alert in the rules.
    fn alerts() -> Vec<(String, String)> {
        let text = fs::read_to_string(prometheus::rules().join("alerts.yml")).expect("the alerts");
        let named = |rule: &str| (rule.lines().next().unwrap_or_default().trim().to_owned(), rule.to_owned());
        text.split("- alert: ").skip(1).map(named).collect()
    }

    #[test]
    fn every_alert_says_how_bad_it_is_what_to_look_at_and_where_its_runbook_is() {
        let alerts = alerts();
        assert!(alerts.len() > 12, "{} alerts", alerts.len());
        for (name, rule) in alerts {
            assert!(["severity: critical", "severity: warning"].iter().any(|severity| rule.contains(severity)), "{name}");
            for part in ["summary: ", "description: "] {
                assert!(rule.contains(part), "{name} has no {part}");
            }
            let runbook = format!("docs/runbooks/{name}.md");
            assert!(rule.contains(&format!("runbook_url: {runbook}\n")), "{name}");
            let page = fs::read_to_string(workspace::root().join(&runbook)).unwrap_or_default();
            for heading in [format!("# {name}\n"), "\n## See\n".into(), "\n## Do\n".into(), "\n## Over\n".into()] {
                assert!(page.contains(&heading), "{runbook} has no '{}'", heading.trim());
            }
        }
    }

    #[test]
    fn every_runbook_is_of_an_alert_and_in_the_list() {
        let folder = workspace::root().join("docs/runbooks");
        let list = fs::read_to_string(folder.join("README.md")).expect("the list");
        for (name, _) in alerts() {
            assert!(list.contains(&format!("[{name}]({name}.md)")), "{name} is not in the list");
        }
        for entry in fs::read_dir(folder).expect("the runbooks") {
            let file = entry.expect("a file").path();
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            assert!(name == "README" || alerts().iter().any(|(alert, _)| *alert == name), "{name} is of no alert");
        }
    }
}
