//! The `millrace` program: a table of contents.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use millrace::commands::{self, Output, ReportFormat};
use millrace::plan::access::Role;
use millrace::store::Place;
use millrace::telemetry::LogFormat;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The commit is known here only: another one should compile nothing else anew.
static VERSION: LazyLock<String> = LazyLock::new(|| commands::version(option_env!("MILLRACE_COMMIT")));

/// Hosts WebAssembly components and drives business processes through durable state machines.
#[derive(Parser)]
#[command(name = "millrace", version = VERSION.as_str())]
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
    /// Check a config and its components and tell everything that is wrong with them.
    Validate {
        /// The YAML config.
        file: PathBuf,
        /// Do not load the components, as on a machine that does not have their files.
        #[arg(long)]
        without_components: bool,
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
        /// That of its operator.api, which is at an address of its own.
        #[arg(long)]
        operator: bool,
    },
    /// Print what answers where: method, path, module, who may call it, whose resources it reaches, limits.
    Routes {
        /// The YAML config.
        #[arg(long, short, env = "MILLRACE_CONFIG", default_value = "configs/monolith.yaml")]
        config: PathBuf,
        /// Form of the table.
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
    /// Look at the roles of people, grant one or take one back, or keep somebody out. Tokens from before end.
    Users {
        #[command(subcommand)]
        command: UsersCommand,
    },
    /// Look at what people with a role have done: whether the audit log is whole, or all of it.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Ask a process whether it is well, as the health check of a container does: success if it answers 200.
    Probe {
        /// For example `http://127.0.0.1:8080/readyz`.
        url: String,
    },
    /// Show what processes are doing, live: states, rates, versions, what waits. Ends with q.
    Top {
        /// Where they are.
        #[arg(default_value = "http://127.0.0.1:8080")]
        urls: Vec<String>,
        /// Print one page as text and end, as it is without a terminal.
        #[arg(long)]
        once: bool,
        /// Seconds between two looks.
        #[arg(long, default_value = "1", value_parser = seconds)]
        interval: Duration,
        /// Token of processes whose `metrics.collector` has `access: token`.
        #[arg(long, env = "METRICS_SECRET", hide_env_values = true)]
        metrics_token: Option<String>,
    },
    /// Look at the events that were moved to the dead-letter topic, or send them again.
    Dlq {
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Look at the runs that were set aside, because the process died in them again and again or they can never work, or let them go on.
    #[command(visible_alias = "parked")]
    Quarantined {
        #[command(subcommand)]
        command: QuarantinedCommand,
    },
    /// Look at what is reserved of the stock, or give back what nobody needs any more.
    Reservations {
        #[command(subcommand)]
        command: ReservationsCommand,
    },
    /// List the processes that share a database on a server of PostgreSQL, with their last sign of life and what each has.
    Owners {
        /// The YAML config of one of them.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// How to show them.
        #[arg(long, value_enum, default_value_t)]
        output: commands::Output,
    },
    /// Copy a database into one of another kind.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Find, look at and act on the instances of a running process, by its operator.api.
    Instances {
        #[command(subcommand)]
        command: commands::operator::instances::Command,
    },
    /// See what waits in a running process, with why, and mend it, by its operator.api.
    Waiting {
        #[command(subcommand)]
        command: commands::operator::waiting::Command,
    },
    /// Tell what a config would change in a running process and whose work it would strand, by its operator.api.
    Plan(commands::operator::plan::Plan),
    /// Save the config of a running process, list the texts that it had, or put one back, by its operator.api.
    Config {
        #[command(subcommand)]
        command: commands::operator::config::Command,
    },
    /// See which versions of components serve in a running process, and have another one serve, by its operator.api.
    Components {
        #[command(subcommand)]
        command: commands::operator::components::Command,
    },
    /// Say what a host that runs would say of a component: whether it fits, what it asks for, what it is, or what to change.
    Check(commands::authoring::check::Check),
    /// Have a component do one job in the sandbox, and show how it ended. Exit status: 0 accepted, 3 rejected, 4 transient, 5 permanent.
    Call(commands::authoring::call::Call),
    /// Make a folder with a step that builds, tests and fits this host.
    New(commands::authoring::new::New),
    /// Build a component whenever its source changes, put it in place if it fits, and show what it answers.
    Dev(commands::authoring::dev::Dev),
    /// Put a component's file in place and write its module, and where wanted its step, into a config, whose comments stay.
    Add(commands::authoring::add::Add),
    /// Make the types of the contract for Go or C, whose own tools do not make them.
    Bindings(commands::authoring::bindings::Bindings),
    /// Make a component of a core module, for compilers that make none themselves.
    Componentize(commands::authoring::componentize::Componentize),
    /// Print the contract that components are built from, `step.wit`.
    Wit(commands::authoring::wit::Wit),
    /// Copy the database to a file, beside the process that has it open.
    Backup {
        /// The YAML config of the process; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// The file to make; it must not exist.
        #[arg(long)]
        to: PathBuf,
    },
    /// Put a copy in the place of the database. What was there is kept under another name.
    Restore {
        /// The YAML config of the process, which must be stopped.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// The copy, made by `millrace backup`.
        #[arg(long)]
        from: PathBuf,
    },
    /// Publish events again, for example after a topic was lost.
    Republish {
        /// The YAML config of the process that published them; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// Events since then: 2026-01-31T12:00:00Z, or how long ago, such as 90m.
        #[arg(long)]
        since: String,
    },
    /// Print what a shell needs to complete the words of this program.
    Completions {
        /// Which one.
        shell: Shell,
    },
    /// Make a key pair to sign components with.
    Keygen(commands::authoring::keys::Keygen),
    /// Sign a component, for hosts that take only what is signed: writes `<file>.sig` beside it.
    Sign(commands::authoring::keys::Sign),
    /// Say whether a component is signed with a key.
    Verify(commands::authoring::keys::Verify),
    /// Push a component to a registry of OCI, with its signature, and print the name to pin in a config.
    Push(commands::authoring::push::Push),
    /// Compile a component ahead, for hosts that are to serve it at once: writes signed `<file>.cwasm` beside it.
    Compile(commands::authoring::compile::Compile),
    /// Compile a component from stdin to stdout, within limits. The host calls this in a child process.
    #[command(hide = true)]
    Compiler {
        /// Leave the processors to others first.
        #[arg(long)]
        stand_back: bool,
    },
}

#[derive(Subcommand)]
enum DlqCommand {
    /// List the dead letters that were not sent again.
    List(DeadLetters),
    /// Send dead letters to their topics again. Who has taken an event already recognises it.
    Redrive(DeadLetters),
    /// Take the dead letters of a topic from the list, for example what never was an event. In Kafka they stay for as long as it keeps them.
    Discard {
        /// The YAML config of the process whose events they are; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// The topic, without `.dlq`.
        topic: String,
        /// Only up to the one with this offset, which is the second word of its line in the list.
        #[arg(long)]
        through: Option<i64>,
    },
}

#[derive(Subcommand)]
enum QuarantinedCommand {
    /// List them.
    List {
        /// The YAML config of the process that has them; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
    },
    /// Let them go on where they were, with the idempotency key that they had.
    Release {
        /// The YAML config of the process that has them; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// Their keys, each the first word of its line in the list.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        keys: Vec<String>,
        /// All that there are.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Subcommand)]
enum ReservationsCommand {
    /// List what is reserved, neither sold nor given back.
    List {
        /// The YAML config of the process that keeps the stock; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
    },
    /// Give back what is reserved under these keys. Look first whether whoever reserved it is gone: what is given back is sold to others.
    Release {
        /// The YAML config of the process that keeps the stock; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// Keys, each the first word of its line in the list.
        #[arg(required = true)]
        keys: Vec<String>,
    },
}

#[derive(Subcommand)]
enum StoreCommand {
    /// Copy everything from one database into another, which is empty, while no process has either of them, and compare each row.
    Copy {
        /// Where it is: `sqlite:PATH`, or `postgres://USER@HOST/DATABASE`. Passwords are better in PGPASSWORD or ~/.pgpass.
        #[arg(long, value_parser = commands::store::place)]
        from: Place,
        /// Where it is to be, in the same form. A file must not exist; a database of a server must, and be empty.
        #[arg(long, value_parser = commands::store::place)]
        to: Place,
        /// Form of the report.
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
}

#[derive(Subcommand)]
enum UsersCommand {
    /// List who has roles.
    List {
        /// The YAML config of the process that keeps the accounts; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// Those without a role too.
        #[arg(long)]
        all: bool,
        /// Form of the list.
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
    /// Give somebody roles beyond those that they have.
    Grant(RolesOf),
    /// Take roles back.
    Revoke(RolesOf),
    /// Keep somebody out: their tokens end, and they cannot log in.
    Disable(Account),
    /// Let somebody log in again who was kept out.
    Enable(Account),
    /// Take away the second factor of somebody who has lost the device and the recovery codes.
    ResetSecondFactor(Account),
}

#[derive(clap::Args)]
struct Account {
    /// The YAML config of the process that keeps the accounts; it may be running.
    #[arg(long, short, env = "MILLRACE_CONFIG")]
    config: PathBuf,
    /// E-mail address of the account.
    email: String,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Check that no row was changed, put in, or taken away. Fails at the first that was.
    Verify {
        /// The YAML config of the process that has the log; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// A row that was noted elsewhere, `<number>:<hash>`: it has to be there as it was. Finds a log that was written anew as a whole.
        #[arg(long, value_parser = commands::audit::noted)]
        noted: Option<(u64, String)>,
        /// Form of the answer.
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
    /// Print the rows as JSON lines. The SHA-256 of a line without its last field, `hash`, is that hash.
    Export {
        /// The YAML config of the process that has the log; it may be running.
        #[arg(long, short, env = "MILLRACE_CONFIG")]
        config: PathBuf,
        /// Only rows after the one with this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Form of the rows: a line for people, or JSON.
        #[arg(long, short, value_enum, default_value = "json")]
        output: Output,
    },
}

#[derive(clap::Args)]
struct RolesOf {
    /// The YAML config of the process that keeps the accounts; it may be running.
    #[arg(long, short, env = "MILLRACE_CONFIG")]
    config: PathBuf,
    /// E-mail address of the account.
    email: String,
    /// support, catalogue, finance, operator, designer, admin; none of them includes another.
    #[arg(required = true, value_parser = Role::grantable)]
    roles: Vec<Role>,
}

#[derive(clap::Args)]
struct DeadLetters {
    /// The YAML config of the process whose events they are; it may be running.
    #[arg(long, short, env = "MILLRACE_CONFIG")]
    config: PathBuf,
    /// Topics, without `.dlq`; all of the config if not given.
    topics: Vec<String>,
}

/// Some seconds, at least a tenth of one.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number of seconds, such as 1 or 0.5".to_owned())?;
    if (0.1..=3600.0).contains(&number) { Ok(Duration::from_secs_f64(number)) } else { Err("expected 0.1 to 3600 seconds".into()) }
}

fn main() -> ExitCode {
    commands::keep_files_private();
    commands::hear_signals();
    match Cli::parse().command {
        Command::Run { config, log_format, log } => commands::run(&config, log_format, &log),
        Command::Validate { file, without_components, format } => commands::validate(&file, format, !without_components),
        Command::Schema => commands::schema(),
        Command::Openapi { file, operator } => commands::openapi(&file, operator),
        Command::Routes { config, output } => commands::routes::routes(&config, output),
        Command::Users { command: UsersCommand::List { config, all, output } } => commands::users::list(&config, all, output),
        Command::Users { command: UsersCommand::Grant(of) } => commands::users::grant(&of.config, &of.email, of.roles),
        Command::Users { command: UsersCommand::Revoke(of) } => commands::users::revoke(&of.config, &of.email, of.roles),
        Command::Users { command: UsersCommand::Disable(of) } => commands::users::disable(&of.config, &of.email, true),
        Command::Users { command: UsersCommand::Enable(of) } => commands::users::disable(&of.config, &of.email, false),
        Command::Users { command: UsersCommand::ResetSecondFactor(of) } => commands::users::reset_second_factor(&of.config, &of.email),
        Command::Audit { command: AuditCommand::Verify { config, noted, output } } => commands::audit::verify(&config, noted, output),
        Command::Audit { command: AuditCommand::Export { config, after, output } } => commands::audit::export(&config, after, output),
        Command::Probe { url } => commands::probe(&url),
        Command::Top { urls, once, interval, metrics_token } => commands::top(&urls, metrics_token.as_deref(), once, interval),
        Command::Dlq { command: DlqCommand::List(of) } => commands::events::list_dead_letters(&of.config, &of.topics),
        Command::Dlq { command: DlqCommand::Redrive(of) } => commands::events::redrive_dead_letters(&of.config, &of.topics),
        Command::Dlq { command: DlqCommand::Discard { config, topic, through } } => {
            commands::events::discard_dead_letters(&config, &topic, through)
        }
        Command::Quarantined { command: QuarantinedCommand::List { config } } => commands::quarantined::list(&config),
        Command::Quarantined { command: QuarantinedCommand::Release { config, keys, all } } => {
            commands::quarantined::release(&config, &keys, all)
        }
        Command::Reservations { command: ReservationsCommand::List { config } } => commands::reservations::list(&config),
        Command::Reservations { command: ReservationsCommand::Release { config, keys } } => commands::reservations::release(&config, &keys),
        Command::Store { command: StoreCommand::Copy { from, to, output } } => commands::store::copy(&from, &to, output),
        Command::Owners { config, output } => commands::owners::list(&config, output),
        Command::Instances { command } => commands::operator::instances::run(command),
        Command::Waiting { command } => commands::operator::waiting::run(command),
        Command::Config { command } => commands::operator::config::run(command),
        Command::Plan(plan) => commands::operator::plan::run(&plan),
        Command::Components { command } => commands::operator::components::run(command),
        Command::Check(check) => commands::authoring::check::run(&check),
        Command::Call(call) => commands::authoring::call::run(&call),
        Command::New(new) => commands::authoring::new::run(&new),
        Command::Dev(dev) => commands::authoring::dev::run(&dev),
        Command::Add(add) => commands::authoring::add::run(&add),
        Command::Bindings(bindings) => commands::authoring::bindings::run(&bindings),
        Command::Componentize(componentize) => commands::authoring::componentize::run(&componentize),
        Command::Wit(wit) => commands::authoring::wit::run(&wit),
        Command::Backup { config, to } => commands::copies::backup(&config, &to),
        Command::Restore { config, from } => commands::copies::restore(&config, &from),
        Command::Republish { config, since } => commands::events::republish(&config, &since),
        Command::Completions { shell } => commands::completions(&mut Cli::command(), shell),
        Command::Keygen(keygen) => commands::authoring::keys::keygen(&keygen),
        Command::Sign(sign) => commands::authoring::keys::sign(&sign),
        Command::Verify(verify) => commands::authoring::keys::verify(&verify),
        Command::Push(push) => commands::authoring::push::run(&push),
        Command::Compile(compile) => commands::authoring::compile::run(&compile),
        Command::Compiler { stand_back } => commands::compiler(stand_back),
    }
}
