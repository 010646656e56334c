//! What the program's commands do. The only part that ends the process or writes to its standard streams.

pub mod audit;
pub mod authoring;
pub mod copies;
pub mod events;
pub mod operator;
pub mod owners;
mod printed;
pub mod quarantined;
pub mod reservations;
pub mod routes;
mod signals;
pub mod store;
mod threads;
mod top;
pub mod users;
mod version;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::app::{App, Surroundings};
use crate::between;
use crate::clock::Clock;
use crate::config::commands::Format;
use crate::config::report::{Colour, Report};
use crate::config::{self, Checked, Environment};
use crate::plan::Plan;
use crate::shutdown::{LOG_LIMIT, STOP_LIMIT, Stop, THREADS_LIMIT};
use crate::telemetry::{self, LogFormat};

use self::printed::printing;
pub use self::version::version;

/// Less than a container platform waits.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How `millrace validate` shows what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ReportFormat {
    /// Under the lines it is about, in colour on a terminal.
    #[default]
    Pretty,
    /// One line per problem, as compilers write them.
    Lines,
    /// For programs.
    Json,
}

/// How a command shows what it has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Signals mean what they mean, whatever the program that has started this one does with them. Before there is a second thread.
pub fn hear_signals() {
    signals::as_usual();
}

/// Rights that the user takes from files, before this process kept its own private.
static UMASK: AtomicU32 = AtomicU32::new(PRIVATE);
const PRIVATE: u32 = 0o077;

/// Has no file that this process makes be readable by other users.
pub fn keep_files_private() {
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(PRIVATE));
    UMASK.store(before.as_raw_mode(), Ordering::Relaxed);
}

/// Runs a program of the user's, while nothing else is done here: what it makes is the user's to give on, so it finds the umask that the user has.
pub(crate) fn run_for_user(command: &mut Command) -> std::io::Result<ExitStatus> {
    let own = rustix::process::umask(rustix::fs::Mode::from_raw_mode(UMASK.load(Ordering::Relaxed)));
    let ended = command.status();
    rustix::process::umask(own);
    ended
}

/// The rights of a file that is the user's own, as the other tools of this user would make it.
pub(crate) fn usual_rights(most: u32) -> u32 {
    most & !UMASK.load(Ordering::Relaxed)
}

/// `millrace run`: serves until SIGTERM or Ctrl-C.
#[must_use]
pub fn run(config: &Path, format: LogFormat, filter: &str) -> ExitCode {
    let code = end(threads::are_to_be_had().and_then(|()| telemetry::logs::init(format, filter)).and_then(|()| {
        // Ends after everything that could still say something.
        let _exporter = telemetry::traces::start(&Environment::of_process()?.variables, &service_name(config))?;
        let Some(plan) = plan(config)? else { return Ok(ExitCode::FAILURE) };
        let runtime = threads::runtime()?;
        let served = runtime.block_on(serve(plan));
        // Dropping it would wait for its threads, and some of them may wait for a disk or for a peer.
        runtime.shutdown_timeout(THREADS_LIMIT);
        served.map(|()| ExitCode::SUCCESS)
    }));
    telemetry::logs::flush(LOG_LIMIT);
    code
}

/// `millrace validate`: tells everything that is wrong. Its components are loaded as `run` would, if `components` says so.
#[must_use]
pub fn validate(file: &Path, format: ReportFormat, components: bool) -> ExitCode {
    let colour = if std::io::stdout().is_terminal() { Colour::Always } else { Colour::Never };
    let format = match format {
        ReportFormat::Pretty => Format::Pretty(colour),
        ReportFormat::Lines => Format::Lines,
        ReportFormat::Json => Format::Json,
    };
    printing(|out| {
        let mut checked = config::check_file(file, &Environment::of_process()?);
        if components && !checked.components.is_empty() {
            load_components(&mut checked)?;
        }
        read_seeds(&mut checked);
        Ok(ExitCode::from(config::commands::write_report(&checked, format, out)?))
    })
}

/// Tells of the files that a first start adds what a start would.
fn read_seeds(checked: &mut Checked) {
    let seeds = std::mem::take(&mut checked.seeds);
    // One that is not there was told of already.
    for seed in seeds.resources.iter().filter(|seed| seed.path.is_file()) {
        for mistake in crate::services::resources::seed_mistakes(seed) {
            checked.reject_seed(&seed.module, &format!("seed file {}: {mistake}", seed.path.display()));
        }
    }
    if let Some((module, path)) = seeds.users.as_ref().filter(|(_, path)| path.is_file())
        && let Some(mistake) = crate::services::users::seed_mistake(path)
    {
        checked.reject_seed(module, &mistake);
    }
}

fn load_components(checked: &mut Checked) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let components = checked.components.clone();
    for rejected in runtime.block_on(crate::runtime::check(this_program()?, components, Clock::system(), false))? {
        checked.reject_component(&rejected.module, &rejected.reason);
    }
    Ok(())
}

/// What a command waits for answers with, that has little to do meanwhile.
fn one_worker() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// The program itself, which compiles components: the one that runs, whatever has become of its file since.
fn this_program() -> anyhow::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_owned());
    }
    // Where there is no /proc, it is where it was started from.
    std::env::current_exe().context("cannot find the program itself, which compiles components")
}

/// `millrace schema`: the JSON Schema of configs.
#[must_use]
pub fn schema() -> ExitCode {
    printing(|out| {
        config::commands::schema(out)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace completions`: what a shell needs to complete the words of `command`.
#[must_use]
pub fn completions(command: &mut clap::Command, shell: clap_complete::Shell) -> ExitCode {
    printing(|out| {
        let mut script = Vec::new();
        clap_complete::generate(shell, command, "millrace", &mut script);
        out.write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace openapi`: the API that a config describes, or that of its `operator.api`.
#[must_use]
pub fn openapi(file: &Path, operator: bool) -> ExitCode {
    printing(|out| {
        let Some(plan) = described(file)? else { return Ok(ExitCode::FAILURE) };
        let document = if operator { crate::http::operator_document(&plan) } else { crate::http::openapi_document(&plan) };
        let text = serde_json::to_string_pretty(&document)?;
        writeln!(out, "{text}")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace probe`: succeeds if `url` answers 200. It asks the process itself, whatever proxy the environment names.
#[must_use]
pub fn probe(url: &str) -> ExitCode {
    let ask = async {
        let client = http_client(PROBE_TIMEOUT)?;
        let status = client.get(url).send().await.with_context(|| format!("{url} does not answer"))?.status();
        anyhow::ensure!(status == reqwest::StatusCode::OK, "{url} answers {status}");
        Ok(ExitCode::SUCCESS)
    };
    end(tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Into::into).and_then(|runtime| runtime.block_on(ask)))
}

/// A client of the commands that ask processes: by none of the environment's proxies, with an answer within `limit`.
///
/// # Errors
/// TLS cannot be set up at all.
fn http_client(limit: Duration) -> reqwest::Result<reqwest::Client> {
    between::client(|| reqwest::Client::builder().no_proxy().timeout(limit))
}

/// `millrace top`: shows what processes are doing, live on a terminal.
#[must_use]
pub fn top(urls: &[String], token: Option<&str>, once: bool, interval: Duration) -> ExitCode {
    printing(|out| top::run(urls, token, once, interval, out))
}

/// `millrace compiler`: the child process of the runtime, which leaves the processors to others first if it `stands_back`.
#[must_use]
pub fn compiler(stands_back: bool) -> ExitCode {
    let (mut input, mut output, mut report) = (std::io::stdin().lock(), std::io::stdout().lock(), std::io::stderr().lock());
    crate::runtime::compile_main(stands_back, &mut input, &mut output, &mut report)
}

/// What a process is called unless somebody says otherwise: `gateway` for `configs/gateway.yaml`.
fn service_name(config: &Path) -> String {
    config.file_stem().map_or_else(|| "millrace".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn plan(config: &Path) -> anyhow::Result<Option<Plan>> {
    match config::load(config, &Environment::of_process()?) {
        Ok((plan, warnings)) => {
            for warning in warnings {
                tracing::warn!(config = %config.display(), line = warning.line, "{}", warning.message);
            }
            Ok(Some(plan))
        }
        Err(report) => Ok(refused(&report)),
    }
}

/// What a config says to who asks what it is about.
fn described(config: &Path) -> anyhow::Result<Option<Plan>> {
    config::describe(config, &Environment::without_secret_files()?).map_or_else(|report| Ok(refused(&report)), |plan| Ok(Some(plan)))
}

/// What a config says to who repairs what its process keeps.
fn plan_for_repair(config: &Path) -> anyhow::Result<Option<Plan>> {
    config::for_repair(config, &Environment::without_secret_files()?).map_or_else(|report| Ok(refused(&report)), |plan| Ok(Some(plan)))
}

/// Tells what is wrong with a config, of which there is no plan then.
fn refused(report: &Report) -> Option<Plan> {
    telemetry::logs::tell(&report.lines());
    None
}

/// The file of the database that a config describes, which is there and can be read; without one in the config, an error that says what is
/// `missing`.
fn database(config: &Path, missing: &str) -> anyhow::Result<Option<PathBuf>> {
    let Some(Placed { database: path, .. }) = place_of_database(config, missing)? else { return Ok(None) };
    match std::fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("there is no database '{}'{}", path.display(), where_from(config))
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            bail!("cannot read the database '{}': {error}. Run this as the user of the service", path.display())
        }
        _ => Ok(Some(path)),
    }
}

/// The same for what only some processes keep, as `keeps` says of their configs; elsewhere an answer would be about nothing.
fn database_that(config: &Path, missing: &str, keeps: fn(&Plan) -> bool) -> anyhow::Result<Option<PathBuf>> {
    let Some(plan) = plan_for_repair(config)? else { return Ok(None) };
    if plan.database.is_some() && !keeps(&plan) {
        bail!("what {} describes keeps nothing of that, so {missing}: ask with the config of the process that does", config.display());
    }
    database(config, missing)
}

/// Where a config has its database.
struct Placed {
    database: PathBuf,
    /// Somebody has said so: the config itself, or a variable that is set.
    is_given: bool,
}

/// Where a config has its database, whether one is there or not.
fn place_of_database(config: &Path, missing: &str) -> anyhow::Result<Option<Placed>> {
    let Some(plan) = plan_for_repair(config)? else { return Ok(None) };
    let database = plan.database.with_context(|| format!("{} has no database, so {missing}", config.display()))?;
    if let Some(server) = &database.server {
        bail!(
            "the database of {} is on the server {server}, and this command is about a file of SQLite. Copies are made and put back with the server's own tools, pg_dump and pg_restore; what else has to be looked at or put right is asked of the running process: the operator API, and the pages at /operate",
            config.display()
        );
    }
    Ok(Some(Placed { database: database.path, is_given: plan.is_database_placed }))
}

/// What an operator has to know of a place that is not the service's: a shell does not have the environment of the service.
fn where_from(config: &Path) -> String {
    match std::env::current_dir() {
        Ok(folder) => format!(
            ": {} says where it is, with the variables of this shell and from the folder '{}'. Set those that the service has, such as DATA_DIR",
            config.display(),
            folder.display()
        ),
        Err(_) => String::new(),
    }
}

async fn serve(plan: Plan) -> anyhow::Result<()> {
    // From now on it is noticed when the process is stopped and goes on.
    let _ = crate::clock::paused();
    let stop = Stop::new();
    let delay = plan.server.as_ref().map_or(Duration::ZERO, |server| server.shutdown_delay);
    signals::obey(stop.clone(), delay + STOP_LIMIT)
        .context("signals cannot be heard; their thread cannot be started where threads are limited (`ulimit -u`, TasksMax=, pids.max)")?;
    let compiler = this_program()?;
    let app = tokio::select! {
        app = App::build(plan, Surroundings { clock: Clock::system(), compiler, environment: Environment::of_process()? }) => app?,
        () = stop.requested() => return Ok(()),
    };
    app.run(stop).await
}

fn end(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        telemetry::logs::tell(&format!("millrace: {error:#}\n"));
        ExitCode::FAILURE
    })
}
