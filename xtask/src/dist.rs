//! `cargo xtask dist`: the tarball that Millrace is installed from. It is tried before anybody is told that it is there: unpacked, and started
//! as its unit for systemd says, it has to show its pages and deliver an order.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::build::{self, Profile};
use crate::command::{output, run, succeeds};
use crate::customer::{Customer, Wanted};
use crate::parts::Parts;
use crate::stop_signals::StopSignals;
use crate::{http, kafka, secret, toolchain, web, whole_shop, workspace};

/// What is packed as it stands in the repository, and under which name.
const FILES: [(&str, &str); 8] = [
    ("configs", "configs"),
    ("seed", "seed"),
    ("schemas/config.schema.json", "schemas/config.schema.json"),
    ("web/dist", "web"),
    (UNIT, "systemd/millrace.service"),
    ("xtask/dist/millrace.env", "systemd/millrace.env"),
    ("LICENSE", "LICENSE"),
    ("CHANGELOG.md", "CHANGELOG.md"),
];
const UNIT: &str = "xtask/dist/millrace.service";
/// Where the unit looks for the program and what it is packed with, where the data is, and where systemd puts the secret.
const PLACES: [&str; 3] = ["/opt/millrace", "/var/lib/millrace", "%d"];
const PATIENCE: Duration = Duration::from_secs(60);

/// How to make it.
#[derive(Args)]
pub struct Options {
    /// Put in the program that tests use: soon built, slow to run.
    #[arg(long)]
    dev: bool,
}

/// Builds what is packed, packs it, tries it, and says where it is.
pub fn dist(options: &Options) -> anyhow::Result<()> {
    check(Profile::from_flag(!options.dev))
}

/// The same for a program built that way.
pub fn check(profile: Profile) -> anyhow::Result<()> {
    let folder = workspace::target().join(match profile {
        Profile::Dev => "dist-dev",
        Profile::Release => "dist",
    });
    renew(&folder)?;
    let name = format!("millrace-{}-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS);
    collect(&folder.join(&name), profile)?;
    let archive = folder.join(format!("{name}.tar.gz"));
    pack(&folder, &name, &archive)?;
    let tried = folder.join("tried");
    renew(&tried)?;
    run(Command::new("tar").arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(&tried).arg("--strip-components=1"))?;
    verify_unit(&tried)?;
    let shop = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(start_and_buy(&tried));
    shop.with_context(|| format!("the shop of {} does not work; its log is in {}", archive.display(), tried.display()))?;
    println!("{} ({} MB), tried", workspace::shown(&archive), archive.metadata()?.len().div_ceil(1_000_000));
    Ok(())
}

fn renew(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))
}

fn collect(folder: &Path, profile: Profile) -> anyhow::Result<()> {
    toolchain::ensure_wasm_target()?;
    build::components()?;
    web::build()?;
    let program = build::host(profile)?;
    copy(&program, &folder.join("bin/millrace"))?;
    for component in build::names_of_components()? {
        let file = format!("{component}.wasm");
        copy(&workspace::installed_components().join(&file), &folder.join("components").join(&file))?;
    }
    FILES.into_iter().try_for_each(|(from, to)| copy(&workspace::root().join(from), &folder.join(to)))
}

/// A file, or a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let what = || format!("{} cannot be copied to {}", from.display(), to.display());
    fs::create_dir_all(to.parent().unwrap_or(to)).with_context(what)?;
    if from.is_dir() {
        return run(Command::new("cp").arg("-rT").arg(from).arg(to));
    }
    fs::copy(from, to).map(drop).with_context(what)
}

/// The same files make the same archive, whoever packs them and when.
fn pack(folder: &Path, name: &str, archive: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--format=gnu", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"]);
    tar.arg(format!("--mtime=@{}", time())).args(["--use-compress-program=gzip --no-name", "--file"]).arg(archive);
    run(tar.arg("--directory").arg(folder).arg(name))
}

/// Of every file in the archive, in seconds: that of the commit, or what the usual variable says.
fn time() -> String {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|given| !given.is_empty());
    let of_commit = || output(Command::new("git").arg("-C").arg(workspace::root()).args(["log", "-1", "--format=%ct"])).ok();
    given.or_else(of_commit).filter(|time| !time.is_empty()).unwrap_or_else(|| "0".to_owned())
}

/// Whether systemd understands the unit, where there is one to ask.
fn verify_unit(installed: &Path) -> anyhow::Result<()> {
    if !succeeds(Command::new("systemd-analyze").arg("--version")) {
        println!("Not checked: the unit, because there is no systemd-analyze");
        return Ok(());
    }
    let [program, ..] = PLACES;
    let unit = fs::read_to_string(installed.join("systemd/millrace.service")).context("the archive has no unit")?;
    let copy = installed.join("millrace.service");
    fs::write(&copy, unit.replace(program, &installed.display().to_string())).context("the unit cannot be copied")?;
    // It succeeds whatever it has to say about a line.
    let said = Command::new("systemd-analyze").arg("verify").arg(&copy).output()?;
    let complaints = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success() && complaints.trim().is_empty(), "systemd says of the unit: {complaints}");
    Ok(())
}

/// Starts the program with the variables of its unit, and everything in a folder of its own.
async fn start_and_buy(installed: &Path) -> anyhow::Result<()> {
    let data = installed.join("data");
    fs::create_dir_all(&data).with_context(|| format!("{} cannot be created", data.display()))?;
    secret::load_or_create(&data.join("jwt-secret"))?;
    let unit = fs::read_to_string(installed.join("systemd/millrace.service")).context("the archive has no unit")?;
    let variables = variables(&unit, [installed, &data, &data]);
    let config = variables.iter().find(|(name, _)| name == "MILLRACE_CONFIG").context("the unit names no config")?.1.clone();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, kafka::free_port()?));
    let shop = whole_shop::part(&installed.join("bin/millrace"), Path::new(&config), address, variables);
    let shop = shop.environment([("JWT_SECRET", String::new())]).logging_to(&installed.join("shop.log"))?;
    let (mut stop_wanted, mut parts) = (StopSignals::listen()?, Parts::default());
    let bought = tokio::select! {
        bought = async {
            parts.start(vec![shop]).await?;
            buy(address).await
        } => bought,
        () = stop_wanted.next() => bail!("stopped"),
    };
    parts.stop(&mut stop_wanted).await;
    bought
}

async fn buy(address: SocketAddr) -> anyhow::Result<()> {
    let page = http::client()?.get(format!("http://{address}/")).send().await?.error_for_status()?.text().await?;
    ensure!(page.contains("<script"), "the first page is not the store's: {page}");
    let customer = Customer::register(address).await?;
    let order = customer.place(Wanted::default()).await?;
    customer.wait_for(&order, "delivered", PATIENCE).await
}

/// What the unit sets, with other places.
fn variables(unit: &str, places: [&Path; 3]) -> Vec<(String, String)> {
    let moved = |value: &str| {
        let replaced = PLACES.iter().zip(places).fold(value.to_owned(), |text, (from, to)| text.replace(from, &to.display().to_string()));
        replaced.trim().to_owned()
    };
    let settings = unit.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
    settings.map(|(name, value)| (name.to_owned(), moved(value))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("millrace-dist-{}-{name}", std::process::id()));
        renew(&folder).expect("a folder");
        folder
    }

    #[test]
    fn the_same_files_make_the_same_archive() {
        let archive = |name: &str| {
            let folder = folder(name);
            for file in ["b/two", "a"] {
                let path = folder.join("packed").join(file);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, file).expect("a file");
            }
            pack(&folder, "packed", &folder.join("packed.tar.gz")).expect("an archive");
            let bytes = fs::read(folder.join("packed.tar.gz")).expect("the archive");
            fs::remove_dir_all(folder).expect("tidied up");
            bytes
        };
        assert_eq!(archive("first"), archive("second"));
    }

    #[test]
    fn the_unit_names_nothing_that_is_not_packed() {
        let unit = fs::read_to_string(workspace::root().join(UNIT)).expect("the unit");
        let [program, ..] = PLACES;
        let packed = ["bin/millrace", "components"].into_iter().chain(FILES.map(|(_, to)| to)).collect::<Vec<_>>();
        let installed = format!("{program}/");
        let named = unit.split(&installed).skip(1).filter_map(|after| after.split_whitespace().next());
        for name in named {
            assert!(packed.iter().any(|place| Path::new(name).starts_with(place)), "{name}");
        }
        let at = Path::new("/here");
        assert!(variables(&unit, [at, at, at]).contains(&("COMPONENTS_DIR".to_owned(), "/here/components".to_owned())));
    }
}
