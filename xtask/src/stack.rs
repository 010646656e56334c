//! `cargo xtask stack`: gateway, users-products, orders and Kafka as processes on this machine, with Prometheus where it is
//! installed. One command up, one Ctrl-C down; each line of a log says whose it is. What ends is started again, as containers are.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::build::{self, Profile};
use crate::parts::{Part, Parts, Ready};
use crate::scaled_shop::{self, ScaledShop};
use crate::split_shop::{Service, SplitShop};
use crate::stop_signals::StopSignals;
use crate::{prometheus, run, secret, toolchain, web, workspace};

const GATEWAY: SocketAddr = local(8080);
const USERS_PRODUCTS: SocketAddr = local(8081);
const ORDERS: SocketAddr = local(8082);
/// The shop as one process, should somebody run it beside this.
const STORE: SocketAddr = local(8090);
const PROMETHEUS: SocketAddr = local(9090);
const KAFKA: &str = "127.0.0.1:9092";
/// Beside the port that a server of the machine's own would have.
const POSTGRES: SocketAddr = local(5433);

/// How to run.
#[derive(Args)]
pub struct Options {
    /// Folder of the databases and of everything else that is kept.
    #[arg(long, default_value = "data/stack")]
    data_dir: PathBuf,

    /// Kafka's brokers; without them one is started here.
    #[arg(long, env = "KAFKA_BROKERS")]
    brokers: Option<String>,

    /// Start without a broker: orders are delivered all the same, and their events wait.
    #[arg(long)]
    without_kafka: bool,

    /// So many processes of orders and two of users-products, over one PostgreSQL, which is started here too.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=i64::from(scaled_shop::MOST)))]
    scale: Option<u8>,

    /// Build the host optimised: it takes several times as long to build, and then serves as in production.
    #[arg(long)]
    release: bool,
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Builds everything, starts the processes and stays until they are stopped.
pub fn stack(options: &Options) -> anyhow::Result<ExitCode> {
    let data = std::path::absolute(workspace::root().join(&options.data_dir))?;
    fs::create_dir_all(&data).with_context(|| format!("the data folder {} cannot be created", data.display()))?;
    let mut shop = shop(options, &data)?;
    for (service, address) in addresses(&shop, options.scale) {
        TcpListener::bind(address).with_context(|| format!("{} cannot listen on {address}; stop what uses it", service.name()))?;
    }
    if options.scale.is_some() {
        // A server of somebody else's there would be taken for ours.
        TcpListener::bind(POSTGRES).with_context(|| format!("PostgreSQL cannot listen on {POSTGRES}; stop what uses it"))?;
    }
    println!("[1/4] Building the step components");
    toolchain::ensure_wasm_target()?;
    build::components()?;
    println!("[2/4] Building the pages");
    web::build_if_possible()?;
    println!("[3/4] Building the host; the first time takes some minutes");
    shop.binary = build::host(Profile::from_flag(options.release))?;
    println!("[4/4] Starting the processes");
    let (parts, addresses) = (parts(options, &shop)?, addresses(&shop, options.scale));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(stay(parts, &addresses))
}

fn scaled(shop: &SplitShop, orders: u8) -> ScaledShop<'_> {
    ScaledShop { shop, orders, postgres: POSTGRES }
}

/// Where the processes listen, in the sequence in which they start.
fn addresses(shop: &SplitShop, scale: Option<u8>) -> Vec<(Service, SocketAddr)> {
    let of = |service| scale.map_or_else(|| vec![shop.address(service)], |orders| scaled(shop, orders).addresses(service));
    Service::ALL.into_iter().flat_map(|service| of(service).into_iter().map(move |address| (service, address))).collect()
}

/// In the sequence in which they start; they stop in reverse.
fn parts(options: &Options, shop: &SplitShop) -> anyhow::Result<Vec<Part>> {
    let mut parts = Vec::new();
    if options.brokers.is_none() && !options.without_kafka {
        let this = std::env::current_exe().context("cannot find this program, which also runs Kafka")?;
        parts.push(Part::new("kafka", &this, Ready::Kafka(KAFKA.to_owned())).arguments(["kafka"]).may_end());
    }
    match options.scale {
        Some(orders) => parts.extend(scaled(shop, orders).parts()?),
        None => parts.extend(Service::ALL.map(|service| shop.part(service))),
    }
    if !prometheus::is_installed() {
        println!("Prometheus is not installed, so nothing collects metrics ({})", prometheus::ADVICE);
    } else if TcpListener::bind(PROMETHEUS).is_err() {
        println!("Something listens on {PROMETHEUS} already, so no Prometheus is started here");
    } else {
        parts.push(collector(&shop.data, &addresses(shop, options.scale))?);
    }
    Ok(parts)
}

fn shop(options: &Options, data: &Path) -> anyhow::Result<SplitShop> {
    Ok(SplitShop {
        // Once it is built.
        binary: PathBuf::new(),
        gateway: GATEWAY,
        users_products: USERS_PRODUCTS,
        orders: ORDERS,
        brokers: options.brokers.clone().unwrap_or_else(|| KAFKA.to_owned()),
        components: workspace::installed_components(),
        data: data.to_owned(),
        variables: vec![("JWT_SECRET", given_or_kept("JWT_SECRET", data)?), ("INTERNAL_SECRET", given_or_kept("INTERNAL_SECRET", data)?)],
    })
}

/// The variable, or else a secret that is made once and kept beside the data.
fn given_or_kept(variable: &'static str, data: &Path) -> anyhow::Result<String> {
    match std::env::var_os(variable).and_then(|given| given.into_string().ok()) {
        Some(given) if !given.is_empty() => Ok(given),
        _ => secret::load_or_create(&data.join(format!("dev-{}", variable.to_lowercase().replace('_', "-")))),
    }
}

/// Prometheus with the repository's settings and rules.
fn collector(data: &Path, addresses: &[(Service, SocketAddr)]) -> anyhow::Result<Part> {
    let first = |service: Service| (service.name(), addresses.iter().find(|(of, _)| *of == service).map_or(STORE, |(_, address)| *address));
    let targets: Vec<(&str, SocketAddr)> = Service::ALL.into_iter().map(first).chain([("store", STORE)]).collect();
    // A job has all that is one service.
    let all = |service: Service| {
        let addresses = addresses.iter().filter(|(of, _)| *of == service).map(|(_, address)| format!("\"{address}\""));
        (format!("\"{}\"", first(service).1), addresses.collect::<Vec<_>>().join(", "))
    };
    let jobs = Service::ALL.map(all);
    let changes: Vec<(&str, &str)> = jobs.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let (folder, rules) = (data.join("prometheus"), prometheus::rules());
    prometheus::Settings { folder: &folder, listen: PROMETHEUS, targets: &targets, rules: &rules, changes: &changes }.part()
}

async fn stay(parts: Vec<Part>, addresses: &[(Service, SocketAddr)]) -> anyhow::Result<ExitCode> {
    let mut stop_wanted = StopSignals::listen()?;
    let mut running = Parts::default();
    let started = tokio::select! {
        started = running.start(parts) => started.map(|()| true),
        () = stop_wanted.next() => Ok(false),
    };
    let ended = match started {
        Ok(true) => {
            let demo = run::register_demo_user(GATEWAY).await;
            welcome(addresses, running.has("prometheus"), demo);
            tokio::select! {
                problem = running.keep_up() => Err(problem),
                () = stop_wanted.next() => Ok(()),
            }
        }
        Ok(false) => Ok(()),
        Err(problem) => Err(problem),
    };
    println!("\nStopping; what is under way is finished first");
    running.stop(&mut stop_wanted).await;
    ended.map(|()| ExitCode::SUCCESS)
}

fn welcome(addresses: &[(Service, SocketAddr)], prometheus: bool, demo: anyhow::Result<()>) {
    println!(
        "\nMillrace is ready, as {} processes.\n\n  Store           http://{GATEWAY}/\n  Products        http://{GATEWAY}/api/products",
        addresses.len()
    );
    for (service, address) in addresses.iter().filter(|(service, _)| *service != Service::Gateway) {
        println!("  {:<15} http://{address}/healthz", service.name());
    }
    if prometheus {
        println!("  Prometheus      http://{PROMETHEUS}/");
    }
    match demo {
        Ok(()) => println!("\n  Demo login: {} / {}", run::DEMO_EMAIL, run::DEMO_PASSWORD),
        Err(problem) => println!("\nThere is no demo login: {problem:#}"),
    }
    println!("\nCtrl-C stops them all; what they know stays in the data folder.");
}
