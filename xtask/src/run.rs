//! `cargo xtask run`: from a clone to a running store, for somebody who sees it for the first time.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::build::{self, Profile};
use crate::monolith::{Launch, Monolith, Readiness};
use crate::{http, secret, toolchain, web, workspace};

/// The single-process store, from the repository's folder.
const CONFIG: &str = "configs/monolith.yaml";

/// Who may log in after a first start.
pub const DEMO_EMAIL: &str = "demo@example.com";
/// And how.
pub const DEMO_PASSWORD: &str = "demo-password";

/// How to run.
#[derive(Args)]
pub struct Options {
    /// Address to listen on.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Folder of the database and of everything else that is kept.
    #[arg(long, env = "DATA_DIR", default_value = "data")]
    data_dir: PathBuf,

    /// Build the host optimised: it takes several times as long to build, and then serves as in production.
    #[arg(long)]
    release: bool,
}

/// Builds everything, starts the store and stays until it is stopped.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    ensure_free(options.listen)?;
    println!("[1/4] Building the step components");
    toolchain::ensure_wasm_target()?;
    build::components()?;
    println!("[2/4] Building the pages");
    web::build_if_possible()?;
    println!("[3/4] Building the host; the first time takes some minutes");
    let binary = build::host(Profile::from_flag(options.release))?;
    println!("[4/4] Starting the store on http://{}", options.listen);
    let launch = launch(options, binary)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(&launch))
}

async fn serve(launch: &Launch) -> anyhow::Result<ExitCode> {
    let mut monolith = Monolith::start(launch, workspace::root())?;
    if let Readiness::StopWanted = monolith.until_ready().await? {
        return monolith.stop().await;
    }
    match register_demo_user(launch.address).await {
        Ok(()) => welcome(launch.address),
        Err(problem) => println!("The store is ready on http://{}, but there is no demo login: {problem:#}", launch.address),
    }
    monolith.until_stopped().await
}

fn launch(options: &Options, binary: PathBuf) -> anyhow::Result<Launch> {
    let data = std::path::absolute(workspace::root().join(&options.data_dir))?;
    fs::create_dir_all(&data).with_context(|| format!("the data folder {} cannot be created", data.display()))?;
    let mut environment = vec![
        ("LISTEN", options.listen.to_string()),
        ("DATA_DIR", data.display().to_string()),
        ("COMPONENTS_DIR", workspace::installed_components().display().to_string()),
    ];
    if std::env::var_os("JWT_SECRET").is_none() {
        environment.push(("JWT_SECRET", secret::load_or_create(&data.join("dev-secret"))?));
    }
    Ok(Launch { binary, arguments: ["run", "--config", CONFIG].map(str::to_owned).to_vec(), environment, address: options.listen })
}

/// Before minutes of building, not after.
fn ensure_free(address: SocketAddr) -> anyhow::Result<()> {
    TcpListener::bind(address).map(drop).with_context(|| {
        format!(
            "cannot listen on {address}; stop what uses it, or choose another address: LISTEN=127.0.0.1:{} cargo xtask run",
            other_port(address.port())
        )
    })
}

fn other_port(port: u16) -> u16 {
    port.checked_add(10).unwrap_or(8090)
}

/// A demo user that is there already is as good as a new one.
pub async fn register_demo_user(address: SocketAddr) -> anyhow::Result<()> {
    let user = format!(r#"{{"name":"Demo Shopper","email":"{DEMO_EMAIL}","password":"{DEMO_PASSWORD}"}}"#);
    match http::post(address, "/api/auth/register", &user).await? {
        201 | 409 => Ok(()),
        status => anyhow::bail!("POST /api/auth/register answered {status}"),
    }
}

fn welcome(address: SocketAddr) {
    let url = format!("http://{}", reachable(address));
    println!(
        r#"
Millrace is ready.

  Store     {url}/
  Products  {url}/api/products
  OpenAPI   {url}/openapi.json
  Health    {url}/healthz     Metrics  {url}/metrics

  Demo login: {DEMO_EMAIL} / {DEMO_PASSWORD}

Place an order and look at it:

  TOKEN=$(curl -s {url}/api/auth/login -H 'Content-Type: application/json' \
    -d '{{"email":"{DEMO_EMAIL}","password":"{DEMO_PASSWORD}"}}' | sed 's/.*"token":"\([^"]*\)".*/\1/')
  curl -s {url}/api/orders -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{{"items":[{{"productId":"prod-001","quantity":1}}],"shipping":{{"address":"123 Main St","city":"Portland","state":"OR","zip":"97201"}}}}'
  curl -s {url}/api/orders -H "Authorization: Bearer $TOKEN"

Ctrl-C stops it; what it knows stays in the data folder."#
    );
}

/// An address that listens everywhere is reached on this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), address.port()) } else { address }
}
