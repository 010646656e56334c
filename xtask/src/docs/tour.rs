//! The tour, taken as a reader would: each block of its commands, one after the other in one shell, before a shop that has just been started.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::pages;
use crate::parts::Parts;
use crate::stop_signals::StopSignals;
use crate::{kafka, secret, whole_shop, workspace};

const PAGE: &str = "docs/tour.md";
/// How the page writes the shop's address.
const ADDRESS: &str = "localhost:8080";
/// How the page writes the program.
const PROGRAM: &str = "target/debug/millrace";
/// For all of its commands.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a reader sees at the end, among other things: of the products, the order's events, the whole order, and the config.
const SEEN: [&str; 5] = ["prod-001", "event: transition", "\"state\": \"delivered\"", "\"history\"", "json-schema.org"];

/// Takes it.
pub fn take(program: &Path) -> anyhow::Result<()> {
    let folder = workspace::target().join("docs");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    let taken = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(before_a_shop(program, &folder));
    taken.with_context(|| format!("{PAGE} does not lead where it says; what was seen is in {}", folder.display()))
}

async fn before_a_shop(program: &Path, folder: &Path) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, kafka::free_port()?));
    let variables = [
        ("DATA_DIR", folder.join("data").display().to_string()),
        ("COMPONENTS_DIR", workspace::installed_components().display().to_string()),
        ("JWT_SECRET", secret::load_or_create(&folder.join("secret"))?),
    ];
    let shop = whole_shop::part(program, Path::new(whole_shop::CONFIG), address, variables).logging_to(&folder.join("shop.log"))?;
    let (mut stop_wanted, mut parts) = (StopSignals::listen()?, Parts::default());
    let taken = tokio::select! {
        taken = async {
            parts.start(vec![shop]).await?;
            type_everything(program, address, folder).await
        } => taken,
        () = stop_wanted.next() => bail!("stopped"),
    };
    parts.stop(&mut stop_wanted).await;
    taken
}

async fn type_everything(program: &Path, address: SocketAddr, folder: &Path) -> anyhow::Result<()> {
    let seen = folder.join("seen.txt");
    let output = fs::File::create(&seen).with_context(|| format!("{} cannot be written", seen.display()))?;
    let mut shell = Command::new("bash");
    shell.current_dir(workspace::root()).args(["-euo", "pipefail", "-c", &script(program, address)?]).kill_on_drop(true);
    shell.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output).env("NO_PROXY", "*");
    let status = timeout(PATIENCE, shell.status()).await.context("the commands do not end")?.context("bash could not be started")?;
    ensure!(status.success(), "a command failed ({status})");
    sees_everything(&seen)
}

fn script(program: &Path, address: SocketAddr) -> anyhow::Result<String> {
    let blocks = pages::page(PathBuf::from(PAGE))?.blocks("bash");
    let script = blocks.join("\n");
    for written in [ADDRESS, PROGRAM] {
        ensure!(script.contains(written), "'{written}' is not in the commands");
    }
    Ok(script.replace(ADDRESS, &address.to_string()).replace(PROGRAM, &program.display().to_string()))
}

fn sees_everything(seen: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(seen).with_context(|| format!("{} cannot be read", seen.display()))?;
    for expected in SEEN {
        ensure!(text.contains(expected), "nothing says {expected}");
    }
    Ok(())
}
