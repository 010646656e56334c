//! The way of a new author: a step that was built is called, written into the config of a shop, and looks at an order there.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::{file, name, remove};
use crate::command::run_into;
use crate::customer::{Customer, Wanted, passed};
use crate::parts::Parts;
use crate::stop_signals::StopSignals;
use crate::{kafka, secret, whole_shop, workspace};

/// How long an order may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a new author types, from nothing to a shop in which orders pass the step.
pub const COMMANDS: [&str; 5] = ["millrace new", "build.sh", "millrace call", "millrace add", "millrace run"];
/// Folders of a checkout that the config of the shop reads, each where it is there.
const READ: [&str; 3] = ["configs", "seed", "target/components"];

/// Takes those of [`COMMANDS`] that are left once a step of `language` in `folder` is built, in a shop of its own. How long it
/// took until an order of that shop had passed the step and was delivered.
pub fn take(program: &Path, folder: &Path, language: &str, log: &Path) -> anyhow::Result<Duration> {
    let shop = folder.join(format!("shop-{language}"));
    remove(&shop)?;
    for read in READ {
        let from = if read == "target/components" { workspace::installed_components() } else { workspace::root().join(read) };
        copy(&from, &shop.join(read))?;
    }
    let (built, config, begun) = (file(folder, language), shop.join(whole_shop::CONFIG), Instant::now());
    let millrace = |name: &str| {
        let mut command = Command::new(program);
        command.arg(name).arg(&built).env("MILLRACE_CACHE", shop.join("cache"));
        command
    };
    run_into(millrace("call").arg("--input").arg(built.with_file_name("job.json")), log)?;
    let mut add = Command::new(program);
    add.arg("add").arg(name(language)).arg(&built).arg("--config").arg(&config).args(["--between", "validated,paying"]);
    run_into(add.env("MILLRACE_CACHE", shop.join("cache")), log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let delivered = runtime.block_on(order(program, &shop, &config, &name(language)))?;
    Ok(delivered.duration_since(begun))
}

/// Starts the shop, in which an order passes the component. When it was delivered.
async fn order(program: &Path, shop: &Path, config: &Path, component: &str) -> anyhow::Result<Instant> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, kafka::free_port()?));
    let variables = [
        ("DATA_DIR", shop.join("data").display().to_string()),
        ("JWT_SECRET", secret::load_or_create(&shop.join("secret"))?),
        // What a new author has exported by then.
        ("MILLRACE_CACHE", shop.join("cache").display().to_string()),
    ];
    let part = whole_shop::part(program, config, address, variables).logging_to(&shop.join("shop.log"))?;
    let (mut stop_wanted, mut parts) = (StopSignals::listen()?, Parts::default());
    let ordered = tokio::select! {
        ordered = async {
            parts.start(vec![part]).await?;
            let customer = Customer::register(address).await?;
            let id = customer.place(Wanted::default()).await?;
            let passed = passed(&customer.see(&id, "delivered", PATIENCE).await?)?;
            ensure!(passed.iter().any(|(name, _)| name == component), "an order of the shop has passed {passed:?}");
            Ok(Instant::now())
        } => ordered,
        () = stop_wanted.next() => bail!("stopped"),
    };
    parts.stop(&mut stop_wanted).await;
    ordered.with_context(|| format!("the log of the shop is in {}", shop.display()))
}

/// The files of a folder, without those of folders in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = || -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let path: PathBuf = entry?.path();
            if path.is_file() {
                fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
            }
        }
        Ok(())
    };
    copied().with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))
}
