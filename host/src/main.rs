//! The `millrace` program: a table of contents.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use millrace::commands::{self, ReportFormat};
use millrace::telemetry::LogFormat;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Hosts WebAssembly components and drives business processes through durable state machines.
#[derive(Parser)]
#[command(name = "millrace", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the process that a config describes, until SIGTERM or Ctrl-C.
    Run {
        /// The YAML config.
        #[arg(long, short, env = "MILLRACE_CONFIG", default_value = "configs/monolith.yaml")]
        config: PathBuf,
        /// Look of the log lines on stderr.
        #[arg(long, env = "MILLRACE_LOG_FORMAT", value_enum, default_value_t)]
        log_format: LogFormat,
        /// What is logged, for example `info` or `info,millrace::http=debug`.
        #[arg(long, env = "MILLRACE_LOG", default_value = "info")]
        log: String,
    },
    /// Check a config and tell everything that is wrong with it.
    Validate {
        /// The YAML config.
        file: PathBuf,
        /// Form of the report.
        #[arg(long, value_enum, default_value_t)]
        format: ReportFormat,
    },
    /// Print the JSON Schema of configs.
    Schema,
    /// Print the OpenAPI document of the API that a config describes.
    Openapi {
        /// The YAML config.
        file: PathBuf,
    },
    /// Ask a process whether it is well, as the health check of a container does: success if it answers 200.
    Probe {
        /// For example `http://127.0.0.1:8080/readyz`.
        url: String,
    },
    /// Compile a component from stdin into a cache folder, within limits. The host calls this in a child process.
    #[command(hide = true)]
    Compile {
        /// The cache folder.
        cache: PathBuf,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { config, log_format, log } => commands::run(&config, log_format, &log),
        Command::Validate { file, format } => commands::validate(&file, format),
        Command::Schema => commands::schema(),
        Command::Openapi { file } => commands::openapi(&file),
        Command::Probe { url } => commands::probe(&url),
        Command::Compile { cache } => commands::compile(&cache),
    }
}
