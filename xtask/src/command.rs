//! Child processes that are waited for.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::workspace;

/// `cargo` with these arguments, in the repository's folder.
pub fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells this program about itself: some build scripts look at it, and would run anew whenever somebody calls
    // cargo by hand in between.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_about_this_package(name)) {
        command.env_remove(name);
    }
    command.current_dir(workspace::root()).args(arguments);
    command
}

fn is_about_this_package(variable: &OsStr) -> bool {
    variable.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// Runs `command`, its output where ours goes. The error repeats the command.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{} could not be started", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Which lines of a command's output tell why it failed.
#[derive(Clone, Copy)]
pub enum Telling {
    /// The last ones.
    Last,
    /// Those in which cargo's tests say what failed and where.
    OfTests,
}

/// Lines that an error repeats at most: what failed stands at the end of a long log too.
const MAX_TELLING: usize = 60;
/// How long lines may still come after a command has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// As [`run`], and the error repeats the lines of the standard output that tell why.
pub fn run_telling(command: &mut Command, telling: Telling) -> anyhow::Result<()> {
    run_heard(command, telling, |_| {})
}

/// As [`run_telling`], and `hear` is given each line of the standard output.
pub fn run_heard(command: &mut Command, telling: Telling, hear: impl FnMut(&str)) -> anyhow::Result<()> {
    run_written(command, telling, hear, std::io::stdout())
}

/// As [`run_heard`], with each line written to `out`.
fn run_written(
    command: &mut Command,
    telling: Telling,
    mut hear: impl FnMut(&str),
    mut out: impl Write + Send + 'static,
) -> anyhow::Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("{} could not be started", shown(command)))?;
    let written = child.stdout.take();
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in written.into_iter().flat_map(|written| BufReader::new(written).split(b'\n')).map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            // Who reads our output may have gone; the command ends by itself.
            let _ = writeln!(out, "{line}");
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let status = child.wait()?;
    // What it has started may have outlived it, and holds its output open: that is not waited for.
    let lines = std::iter::from_fn(|| lines.recv_timeout(LAST_WORDS).ok()).inspect(|line| hear(line));
    let kept = tell(lines, telling);
    if !status.success() {
        bail!("{} failed ({status}):\n{}", shown(command), kept.join("\n"));
    }
    Ok(())
}

/// The lines that tell why, the last [`MAX_TELLING`] of them.
fn tell(lines: impl Iterator<Item = String>, telling: Telling) -> Vec<String> {
    let mut kept = VecDeque::new();
    let mut after_panic = 0_u32;
    for line in lines {
        after_panic = if line.contains(" panicked at ") { 4 } else { after_panic.saturating_sub(1) };
        let tells = match telling {
            Telling::Last => true,
            Telling::OfTests => after_panic > 0 || (line.starts_with("test ") && line.contains("FAILED")),
        };
        if tells {
            kept.push_back(line);
        }
        if kept.len() > MAX_TELLING {
            kept.pop_front();
        }
    }
    kept.into()
}

/// As [`run`], with all that the command writes at the end of the file `log`. The error repeats the last lines of it.
pub fn run_into(command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let open = || File::options().create(true).append(true).open(log).with_context(|| format!("{} cannot be written", log.display()));
    let status = command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).status();
    let status = status.with_context(|| format!("{} could not be started", shown(command)))?;
    if !status.success() {
        let written = fs::read_to_string(log).unwrap_or_default();
        bail!("{} failed ({status}):\n{}", shown(command), tell(written.lines().map(str::to_owned), Telling::Last).join("\n"));
    }
    Ok(())
}

/// What `command` writes to its standard output, without white space around it.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("{} could not be started", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed ({})", shown(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether `command` can be started and succeeds; what it writes is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn an_error_repeats_what_tells_why() {
        let script =
            "echo 'test a ... ok'; echo 'test b ... FAILED'; echo \"thread 'b' panicked at b.rs:1:\"; echo '2 is not 3'; seq 100; exit 1";
        // Whoever hears the tests of this crate is not told of failures that are none.
        let run = |script, telling| run_written(Command::new("sh").args(["-c", script]), telling, |_| {}, std::io::sink());
        let problem = |telling| run(script, telling).expect_err("it fails").to_string();
        let (of_tests, last) = (problem(Telling::OfTests), problem(Telling::Last));
        assert!(of_tests.contains("test b ... FAILED") && of_tests.contains("2 is not 3"), "{of_tests}");
        assert!(!of_tests.lines().any(|line| line == "test a ... ok"), "{of_tests}");
        assert!(last.ends_with("99\n100") && last.lines().count() == 1 + MAX_TELLING, "{last}");
        run("true", Telling::Last).expect("it succeeds");
        let outlived = Instant::now();
        run("sleep 30 &", Telling::Last).expect("what it leaves behind is not waited for");
        assert!(outlived.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn cargo_is_not_told_who_calls_it() {
        let told: Vec<_> = cargo(["--version"]).get_envs().map(|(name, value)| (name.to_owned(), value.is_some())).collect();
        assert!(told.contains(&("CARGO_PKG_NAME".into(), false)) && told.iter().all(|(_, is_set)| !is_set), "{told:?}");
    }
}
