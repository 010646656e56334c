//! A stage as a process of its own: started and waited for on the one side, performed on the other.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::stages::{self, Load, Run, Stage};
use super::{Cost, Done, Outcome};
use crate::{build, workspace};

/// The priority of what nobody waits for: a tenth of what the others have, and all that they leave.
const LATER: i32 = 10;

/// Which stage a process is.
#[derive(Args)]
pub struct Options {
    /// Its name.
    name: String,
    /// The long form of the tests that have one.
    #[arg(long)]
    long: bool,
    /// A stage of the same run, once for each.
    #[arg(long)]
    of: Vec<String>,
}

/// What a stage's process leaves beside its log when it ends by itself.
#[derive(Serialize, Deserialize)]
struct Report {
    came_to: CameTo,
    /// Seconds.
    processors: f64,
}

#[derive(Serialize, Deserialize)]
enum CameTo {
    Checked,
    NotChecked(String),
    Failed(String),
}

/// A stage that is under way.
pub struct Running {
    pub stage: &'static Stage,
    child: Child,
    /// While it is open the stage goes on.
    lifeline: Option<ChildStdin>,
    files: Files,
    begun: Instant,
    computes_until: Option<&'static str>,
}

/// Where a stage writes.
struct Files {
    log: PathBuf,
    report: PathBuf,
}

impl Files {
    fn of(stage: &str) -> Self {
        let path = workspace::target().join("stages").join(stage.replace(": ", "-").replace(' ', "-"));
        Self { log: path.with_extension("log"), report: path.with_extension("json") }
    }
}

impl Running {
    /// Starts a stage of these stages. `program` is this very program.
    pub fn begin(program: &Path, stage: &'static Stage, stages: &[&'static Stage], long: bool) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["stage", stage.name]).args(long.then_some("--long"));
        command.args(stages.iter().flat_map(|stage| ["--of", stage.name]));
        Self::begin_as(command, stage)
    }

    fn begin_as(mut command: Command, stage: &'static Stage) -> anyhow::Result<Self> {
        let files = Files::of(stage.name);
        let folder = files.log.parent().unwrap_or(&files.log);
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        let _ = fs::remove_file(&files.report);
        let log = File::create(&files.log).with_context(|| format!("{} cannot be written", files.log.display()))?;
        let copy = log.try_clone().context("a log cannot be shared")?;
        let mut child = command.stdin(Stdio::piped()).stdout(log).stderr(copy).spawn().context("a stage cannot be started")?;
        let lifeline = child.stdin.take();
        let computes_until = if let Load::ComputesUntil(line) = stage.load { Some(line) } else { None };
        Ok(Self { stage, child, lifeline, files, begun: Instant::now(), computes_until })
    }

    /// What it writes.
    pub fn log(&self) -> &Path {
        &self.files.log
    }

    /// Whether it has computed so far and waits from now on; that is so once.
    pub fn has_computed(&mut self) -> bool {
        let Some(line) = self.computes_until else { return false };
        let log = fs::read(&self.files.log).unwrap_or_default();
        let is_there = String::from_utf8_lossy(&log).lines().any(|written| written.starts_with(line));
        if is_there {
            self.computes_until = None;
        }
        is_there
    }

    /// Asks it to end.
    pub fn stop(&mut self) {
        self.lifeline = None;
    }

    /// What became of it, once it has ended.
    pub fn ended(&mut self) -> Option<Outcome> {
        let ended = self.child.try_wait().transpose()?;
        let took = self.begun.elapsed();
        let report = fs::read(&self.files.report).ok().and_then(|report| serde_json::from_slice::<Report>(&report).ok());
        let processors = report.as_ref().and_then(|report| Duration::try_from_secs_f64(report.processors).ok()).unwrap_or_default();
        let cost = Cost { took, processors };
        Some(match (ended, report.map(|report| report.came_to)) {
            (Ok(_), Some(CameTo::Checked)) => Outcome::Passed(cost),
            (Ok(_), Some(CameTo::NotChecked(why))) => Outcome::NotChecked(why),
            (Ok(_), Some(CameTo::Failed(problem))) => Outcome::Failed(cost, problem),
            (Ok(status), None) => {
                Outcome::Failed(cost, format!("it has ended without a word ({status}); see {}", workspace::shown(&self.files.log)))
            }
            (Err(problem), _) => Outcome::Failed(cost, format!("it cannot be waited for: {problem}")),
        })
    }
}

/// Whoever is no longer waited for ends.
impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        let _ = self.child.wait();
    }
}

/// Performs a stage, in the process that was started for it.
pub fn perform(options: &Options) -> anyhow::Result<ExitCode> {
    let stage = stages::find(&options.name)?;
    stand_apart()?;
    if stage.load == Load::Computes && !stage.is_waited_for() {
        give_way()?;
    }
    build::rely_on_what_is_built(stage.waits_for("program"), stage.waits_for("components: build"));
    let run = Run { long: options.long, stages: options.of.clone() };
    let came_to = match (stage.check)(&run) {
        Ok(Done::Checked) => CameTo::Checked,
        Ok(Done::NotChecked(why)) => CameTo::NotChecked(why),
        Err(problem) => CameTo::Failed(format!("{problem:#}")),
    };
    let code = if matches!(came_to, CameTo::Failed(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if let CameTo::Failed(problem) = &came_to {
        println!("{}: {problem}", stage.name);
    }
    let report = Files::of(stage.name).report;
    let text = serde_json::to_vec(&Report { came_to, processors: processors() })?;
    fs::write(&report, text).with_context(|| format!("{} cannot be written", report.display()))?;
    Ok(code)
}

/// Leaves processors to others.
fn give_way() -> anyhow::Result<()> {
    // Between sessions processors are shared by what each session has as a whole; systems that do not look at sessions have no such file.
    let _ = fs::write("/proc/self/autogroup", LATER.to_string());
    rustix::process::setpriority_process(None, LATER).context("the priority cannot be lowered")
}

/// A session of its own, so that Ctrl-C reaches it once, through the one who waits for it.
fn stand_apart() -> anyhow::Result<()> {
    // A process that leads a group already, because somebody has started it by hand, stays where it is.
    let _ = rustix::process::setsid();
    let lifeline = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).context("the standard input cannot be kept")?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?).context("the standard input cannot be closed")?;
    std::thread::spawn(move || {
        // Nothing is ever written to it: this is its end, also when nobody is there any more to close it.
        let _ = File::from(lifeline).read(&mut [0]);
        let _ = rustix::process::kill_current_process_group(Signal::INT);
    });
    Ok(())
}

/// Seconds of processors that this process and what it has waited for have used.
fn processors() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything; the third field is the first of these.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    let a_second = rustix::param::clock_ticks_per_second();
    ticks / f64::from(u32::try_from(a_second).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::test::stages::Runs;

    fn stage(name: &'static str, load: Load) -> &'static Stage {
        Box::leak(Box::new(Stage { name, needs: &[], runs: Runs::Always, load, check: |_| bail!("it is not run here") }))
    }

    /// A stage whose process is a script, which finds the file of its report in `$1`.
    fn script(name: &'static str, load: Load, script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(Files::of(name).report);
        Running::begin_as(command, stage(name, load)).expect("a shell")
    }

    fn end_of(running: &mut Running) -> Outcome {
        loop {
            if let Some(outcome) = running.ended() {
                return outcome;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_stage_comes_to_what_its_process_says_and_without_a_word_it_has_failed() {
        let report = |came_to: &str| format!("echo its log; echo '{{\"came_to\": {came_to}, \"processors\": 1.5}}' > \"$1\"");
        let mut checked = script("a test: checked", Load::Little, &report("\"Checked\""));
        assert!(matches!(end_of(&mut checked), Outcome::Passed(cost) if cost.processors == Duration::from_millis(1500)));
        assert_eq!(fs::read_to_string(checked.log()).expect("a log"), "its log\n");
        let mut failed = script("a test: failed", Load::Little, &report("{\"Failed\": \"2 is not 3\"}"));
        assert!(matches!(end_of(&mut failed), Outcome::Failed(_, problem) if problem == "2 is not 3"));
        let mut impossible = script("a test: impossible", Load::Little, &report("{\"NotChecked\": \"no root\"}"));
        assert!(matches!(end_of(&mut impossible), Outcome::NotChecked(why) if why == "no root"));
        let mut killed = script("a test: killed", Load::Little, "kill -KILL $$");
        assert!(matches!(end_of(&mut killed), Outcome::Failed(_, problem) if problem.contains("signal: 9")));
    }

    #[test]
    fn its_log_says_when_a_stage_has_computed() {
        let mut running =
            script("a test: computes", Load::ComputesUntil("     Running "), "echo '   Compiling a'; read line; echo '     Running b'");
        assert!(!running.has_computed());
        running.stop();
        end_of(&mut running);
        assert!(running.has_computed());
        assert!(!running.has_computed(), "it is said once");
    }

    #[test]
    fn who_is_stopped_is_told_by_the_end_of_its_input() {
        let mut running = script("a test: stopped", Load::Waits, "read line; exit 3");
        assert!(running.ended().is_none());
        running.stop();
        assert!(matches!(end_of(&mut running), Outcome::Failed(_, problem) if problem.contains("exit status: 3")));
    }
}
