//! What the program's commands do. The only part that ends the process or writes to its standard streams.

pub mod events;
pub mod parked;
mod top;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Surroundings};
use crate::clock::Clock;
use crate::config::commands::Format;
use crate::config::report::Colour;
use crate::config::{self, Environment};
use crate::plan::Plan;
use crate::shutdown::Stop;
use crate::telemetry::{self, LogFormat};

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

/// Has no file that this process makes be readable by other users.
pub fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// `millrace run`: serves until SIGTERM or Ctrl-C.
#[must_use]
pub fn run(config: &Path, format: LogFormat, filter: &str) -> ExitCode {
    end(telemetry::logs::init(format, filter).and_then(|()| {
        // Ends after everything that could still say something.
        let _exporter = telemetry::traces::start(&Environment::of_process()?.variables, &service_name(config))?;
        let Some(plan) = plan(config)? else { return Ok(ExitCode::FAILURE) };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve(plan))?;
        Ok(ExitCode::SUCCESS)
    }))
}

/// `millrace validate`: tells everything that is wrong.
#[must_use]
pub fn validate(file: &Path, format: ReportFormat) -> ExitCode {
    let colour = if std::io::stdout().is_terminal() { Colour::Always } else { Colour::Never };
    let format = match format {
        ReportFormat::Pretty => Format::Pretty(colour),
        ReportFormat::Lines => Format::Lines,
        ReportFormat::Json => Format::Json,
    };
    let check =
        || Ok(ExitCode::from(config::commands::validate(file, &Environment::of_process()?, format, &mut std::io::stdout().lock())?));
    end(check())
}

/// `millrace schema`: the JSON Schema of configs.
#[must_use]
pub fn schema() -> ExitCode {
    end(config::commands::schema(&mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

/// `millrace openapi`: the API that a config describes.
#[must_use]
pub fn openapi(file: &Path) -> ExitCode {
    let print = || {
        let Some(plan) = plan(file)? else { return Ok(ExitCode::FAILURE) };
        let text = serde_json::to_string_pretty(&crate::http::openapi_document(&plan))?;
        writeln!(std::io::stdout().lock(), "{text}")?;
        Ok(ExitCode::SUCCESS)
    };
    end(print())
}

/// `millrace probe`: succeeds if `url` answers 200.
#[must_use]
pub fn probe(url: &str) -> ExitCode {
    let ask = async {
        let client = reqwest::Client::builder().timeout(PROBE_TIMEOUT).build()?;
        let status = client.get(url).send().await.with_context(|| format!("{url} does not answer"))?.status();
        anyhow::ensure!(status == reqwest::StatusCode::OK, "{url} answers {status}");
        Ok(ExitCode::SUCCESS)
    };
    end(tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Into::into).and_then(|runtime| runtime.block_on(ask)))
}

/// `millrace top`: shows what processes are doing, live on a terminal.
#[must_use]
pub fn top(urls: &[String], once: bool, interval: Duration) -> ExitCode {
    end(top::run(urls, once, interval))
}

/// `millrace compile`: the child process of the runtime.
#[must_use]
pub fn compile(cache: &Path) -> ExitCode {
    crate::runtime::compile_main(cache, &mut std::io::stdin().lock(), &mut std::io::stderr().lock())
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
        Err(report) => {
            write!(std::io::stderr().lock(), "{}", report.lines())?;
            Ok(None)
        }
    }
}

/// The file of the database that a config describes; without one, an error that says what is `missing`.
fn database(config: &Path, missing: &str) -> anyhow::Result<Option<PathBuf>> {
    let Some(plan) = plan(config)? else { return Ok(None) };
    let database = plan.database.with_context(|| format!("{} has no database, so {missing}", config.display()))?;
    Ok(Some(database.path))
}

async fn serve(plan: Plan) -> anyhow::Result<()> {
    // From now on it is noticed when the process is stopped and goes on.
    let _ = crate::clock::paused();
    let stop = Stop::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let compiler = std::env::current_exe().context("cannot find the program itself, which compiles components")?;
    let asked = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(asked);
    let app = tokio::select! {
        app = App::build(plan, Surroundings { clock: Clock::system(), compiler }) => app?,
        () = &mut asked => return Ok(()),
    };
    let running = app.run(stop.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        () = &mut asked => stop.request(),
    }
    running.await
}

fn end(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr().lock(), "millrace: {error:#}");
        ExitCode::FAILURE
    })
}
