//! What `promtool` says about settings, rules and metrics.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::command::run;
use crate::{prometheus, workspace};

/// Unit tests of the rules.
const TESTS: &str = "observability/tests";

/// The settings with the rules that they name, then the rules' unit tests.
pub fn check() -> anyhow::Result<()> {
    run(promtool(["check", "config"]).arg(prometheus::CONFIG))?;
    run(promtool(["test", "rules"]).args(files(Path::new(TESTS))?))
}

/// Whether `text`, in the format that Prometheus reads, is as it should be.
pub fn check_metrics(whose: &str, text: &str) -> anyhow::Result<()> {
    let mut command = promtool(["check", "metrics"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("promtool takes no text")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("the metrics of {whose}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The YAML files of a folder of the repository.
pub fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = workspace::root().join(folder);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<PathBuf>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    Ok(files)
}

fn promtool<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new("promtool");
    command.current_dir(workspace::root()).args(arguments);
    command
}
