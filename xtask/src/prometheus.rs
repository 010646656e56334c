//! Debian's Prometheus, with the repository's own settings and rules, told where the processes are.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::apt::{self, Recommended};
use crate::command::succeeds;
use crate::parts::{Part, Ready};
use crate::workspace;

/// The settings as containers use them, from the repository's folder.
pub const CONFIG: &str = "observability/prometheus.yml";
/// The rules beside them.
pub const RULES: &str = "observability/rules";
/// How the settings name the rules.
const RULE_FILES: &str = "- rules/*.yml";

/// How Prometheus is installed by hand.
pub const ADVICE: &str = "Debian: apt-get install prometheus";

/// What is changed of the settings to run on one machine.
pub struct Settings<'a> {
    /// For its settings and its data.
    pub folder: &'a Path,
    /// Where it listens.
    pub listen: SocketAddr,
    /// By job, whom it asks.
    pub targets: &'a [(&'a str, SocketAddr)],
    /// Folder of the rules.
    pub rules: &'a Path,
    /// More changes: what is written, and what is written instead.
    pub changes: &'a [(&'a str, &'a str)],
}

/// Whether there is one.
pub fn is_installed() -> bool {
    ["prometheus", "promtool"].into_iter().all(|program| succeeds(Command::new(program).arg("--version")))
}

/// Installs it where it is missing and can be.
pub fn ensure_installed() -> anyhow::Result<()> {
    if is_installed() {
        return Ok(());
    }
    apt::install(&["prometheus"], Recommended::Not, &format!("install Prometheus with its promtool ({ADVICE})"))
}

/// The rules of the repository.
pub fn rules() -> PathBuf {
    workspace::root().join(RULES)
}

impl Settings<'_> {
    /// Writes the settings; the part is the program that uses them.
    pub fn part(&self) -> anyhow::Result<Part> {
        fs::create_dir_all(self.folder).with_context(|| format!("the folder {} cannot be created", self.folder.display()))?;
        let written = fs::read_to_string(workspace::root().join(CONFIG)).with_context(|| format!("{CONFIG} cannot be read"))?;
        let config = self.folder.join("prometheus.yml");
        fs::write(&config, self.changed(&written)?).with_context(|| format!("{} cannot be written", config.display()))?;
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", self.folder.join("data").display()),
            format!("--web.listen-address={}", self.listen),
            "--web.enable-lifecycle".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        Ok(Part::new("prometheus", Path::new("prometheus"), Ready::Http(self.listen, "/-/ready")).arguments(&arguments))
    }

    /// Everything but what has to differ stays as it is written.
    fn changed(&self, written: &str) -> anyhow::Result<String> {
        let targets = self.targets.iter().map(|(job, address)| (format!("\"{job}:8080\""), format!("\"{address}\"")));
        let rules = (RULE_FILES.to_owned(), format!("- {}/*.yml", self.rules.display()));
        let others = self.changes.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        targets.chain([rules]).chain(others).try_fold(written.to_owned(), |text, (from, to)| replaced(&text, &from, &to))
    }
}

/// `text` with `to` in the one place that has `from`.
pub fn replaced(text: &str, from: &str, to: &str) -> anyhow::Result<String> {
    ensure!(text.matches(from).count() == 1, "'{from}' is there {} times, not once", text.matches(from).count());
    Ok(text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(targets: &[(&str, SocketAddr)]) -> anyhow::Result<String> {
        let written = fs::read_to_string(workspace::root().join(CONFIG)).expect("the settings");
        let (folder, listen) = (Path::new("/nowhere"), ([127, 0, 0, 1], 9090).into());
        Settings { folder, listen, targets, rules: Path::new("/the/rules"), changes: &[("scrape_interval: 5s", "scrape_interval: 1s")] }
            .changed(&written)
    }

    #[test]
    fn the_settings_stay_but_for_where_things_are() {
        let orders = ([127, 0, 0, 1], 8082).into();
        let text = changed(&[("orders", orders)]).expect("changed settings");
        for line in
            ["  - job_name: orders\n    static_configs:\n      - targets: [\"127.0.0.1:8082\"]", "gateway:8080", "  - /the/rules/*.yml"]
        {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("scrape_interval: 1s") && !text.contains("orders:8080"), "{text}");
    }

    #[test]
    fn what_is_not_in_the_settings_cannot_be_changed() {
        let problem = changed(&[("nobody", ([127, 0, 0, 1], 1).into())]).expect_err("no such target").to_string();
        assert!(problem.contains("nobody:8080"), "{problem}");
    }
}
