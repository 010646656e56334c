//! `cargo xtask kafka`: a real Apache Kafka without Docker, one node, from its Maven jars on the JDK.

pub mod broker;
pub mod jars;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use clap::Args;

use crate::stop_signals::StopSignals;
use crate::workspace;
use broker::{Broker, Readiness, Settings};

/// How to run the broker.
#[derive(Args)]
pub struct Options {
    /// Port on this machine; 0 takes a free one, with a log that is forgotten at the end.
    #[arg(long, default_value_t = 9092)]
    port: u16,

    /// Folder of topics and of the broker's own log.
    #[arg(long)]
    data_dir: Option<PathBuf>,

    /// Write nothing to the standard output but the address, once the broker answers there.
    #[arg(long)]
    print_address: bool,

    /// Only get the jars, into target/kafka/libs.
    #[arg(long)]
    prepare: bool,

    /// A broker that is used instead of starting one, if it answers.
    #[arg(long = "brokers", env = "KAFKA_BROKERS")]
    running: Option<String>,
}

/// Runs a broker until it is stopped, or finds one that runs already.
pub fn kafka(options: &Options) -> anyhow::Result<ExitCode> {
    if options.prepare {
        let libs = jars::prepare()?;
        println!("The jars are in {}", workspace::shown(&libs));
        return Ok(ExitCode::SUCCESS);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(options))
}

async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let stop_wanted = StopSignals::listen()?;
    if let Some(address) = running_already(options).await {
        announce(options, &address, "A broker answers already and is used");
        return Ok(ExitCode::SUCCESS);
    }
    let libs = jars::prepare()?;
    let settings = settings(options)?;
    let mut broker = Broker::start(&libs, &settings, stop_wanted)?;
    let ended = match broker.until_ready().await? {
        Readiness::StopWanted => broker.stop().await,
        Readiness::Ready => {
            announce(options, &settings.address().to_string(), "Kafka is ready");
            broker.until_stopped().await
        }
    };
    if options.port == 0 {
        std::fs::remove_dir_all(&settings.folder).with_context(|| format!("cannot remove {}", settings.folder.display()))?;
    }
    ended
}

/// Somebody who asks for a port of their own wants a broker of their own.
async fn running_already(options: &Options) -> Option<String> {
    if options.port == 0 {
        return None;
    }
    let here = format!("127.0.0.1:{}", options.port);
    let candidates = options.running.iter().flat_map(|brokers| brokers.split(',')).map(str::trim).chain([here.as_str()]);
    for candidate in candidates {
        if broker::answers(candidate).await {
            return Some(candidate.to_owned());
        }
    }
    None
}

fn settings(options: &Options) -> anyhow::Result<Settings> {
    let port = if options.port == 0 { free_port()? } else { options.port };
    let controller_port = if options.port == 0 { free_port()? } else { port.checked_add(1).context("choose a port below 65535")? };
    let folder = match &options.data_dir {
        Some(folder) => std::path::absolute(folder)?,
        None if options.port == 0 => jars::folder().join(format!("temporary-{port}")),
        None => jars::folder().join(port.to_string()),
    };
    Ok(Settings { port, controller_port, folder })
}

/// A port of the loopback interface on which nobody listens, below those that the system gives to connections: whoever has it may be
/// gone for a while and find it free.
pub fn free_port() -> anyhow::Result<u16> {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 17_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Programs that run side by side begin at different places.
    let mut candidates = (0..COUNT).map(|_| FIRST + (std::process::id() * 101 + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let free = candidates.find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, u16::try_from(port).ok()?)).ok());
    Ok(free.context("there is no free port")?.local_addr()?.port())
}

fn announce(options: &Options, address: &str, what: &str) {
    if options.print_address {
        println!("{address}");
    } else {
        println!("{what}: {address}\n\n  KAFKA_BROKERS={address}\n\nCtrl-C stops what was started here; topics stay in its data folder.");
    }
}
