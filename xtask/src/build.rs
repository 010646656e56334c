//! `cargo xtask build`: the step components, for tests their fixtures, and the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use clap::Args;

use crate::command::{cargo, run};
use crate::toolchain::{self, WASM_TARGET};
use crate::{commit, web, workspace};

/// Folders in `components/` that are none: what components share, and those that only tests use.
const NO_COMPONENTS: [&str; 2] = ["sdk", "testing"];

/// A package built with a feature is another component.
struct Variant {
    package: &'static str,
    feature: &'static str,
    file: &'static str,
}

/// A second generation of `payment`, to be swapped in; one that charges through a bank; and an `inventory` that needs no grant, for configs
/// that have none.
const VARIANTS: [Variant; 3] = [
    Variant { package: "payment", feature: "transactions-v2", file: "payment-v2.wasm" },
    Variant { package: "payment", feature: "bank", file: "payment-bank.wasm" },
    Variant { package: "inventory", feature: "simulated", file: "inventory-simulated.wasm" },
];

/// What to build.
#[derive(Args)]
pub struct Options {
    /// Only the components; a host that runs takes a new version at once.
    #[arg(long)]
    components: bool,

    /// Also the components that only tests use.
    #[arg(long)]
    fixtures: bool,

    /// Build the host optimised; components always are.
    #[arg(long)]
    release: bool,
}

/// How the host is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Soon built.
    Dev,
    /// As in production; takes several times as long.
    Release,
}

impl Profile {
    /// From the flag `--release`.
    pub fn from_flag(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }
}

/// Builds what `options` say.
pub fn build(options: &Options) -> anyhow::Result<()> {
    toolchain::ensure_wasm_target()?;
    if options.fixtures {
        with_fixtures()?
    } else {
        components()?
    }
    if options.components {
        return Ok(());
    }
    web::build_if_possible()?;
    host(Profile::from_flag(options.release)).map(drop)
}

/// Whether somebody else has just built the host as tests use it.
static HOST_IS_BUILT: AtomicBool = AtomicBool::new(false);
/// Whether somebody else has just built the components.
static COMPONENTS_ARE_BUILT: AtomicBool = AtomicBool::new(false);

/// From now on this process takes the host as tests use it, and the components, as they are. Asking cargo once more would mean to wait for
/// whoever compiles meanwhile.
pub fn rely_on_what_is_built(host: bool, components: bool) {
    HOST_IS_BUILT.store(host, Ordering::Relaxed);
    COMPONENTS_ARE_BUILT.store(components, Ordering::Relaxed);
}

/// Builds the host. The path is that of the program.
pub fn host(profile: Profile) -> anyhow::Result<PathBuf> {
    let (flag, folder) = match profile {
        Profile::Dev => (None, "debug"),
        Profile::Release => (Some("--release"), "release"),
    };
    let program = workspace::target().join(folder).join("millrace");
    if profile == Profile::Dev && HOST_IS_BUILT.load(Ordering::Relaxed) {
        return Ok(program);
    }
    let mut build = cargo(["build", "--package", "millrace", "--bin", "millrace", "--target-dir"]);
    commit::tell(&mut build);
    run(build.arg(workspace::target()).args(flag))?;
    Ok(program)
}

/// The components of the store: each is a folder in `components/`, and a package and a file of that name.
pub fn names_of_components() -> anyhow::Result<Vec<String>> {
    let folder = workspace::components();
    let manifest = folder.join("Cargo.toml");
    let workspace = fs::read_to_string(&manifest).with_context(|| format!("{} cannot be read", manifest.display()))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().join("Cargo.toml").is_file() && !NO_COMPONENTS.contains(&name.as_str()) {
            ensure!(
                workspace.contains(&format!("\"{name}\"")),
                "components/{name} is not among `members` of components/Cargo.toml: add it there"
            );
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Builds and installs the components of the store.
pub fn components() -> anyhow::Result<()> {
    if COMPONENTS_ARE_BUILT.load(Ordering::Relaxed) {
        return Ok(());
    }
    let names = names_of_components()?;
    let packages = names.iter().flat_map(|name| ["--package", name]);
    run(cargo(["build", "--release", "--target", WASM_TARGET]).args(packages).args(locations()))?;
    for name in names {
        let file = format!("{name}.wasm");
        install(&built().join(&file), &workspace::installed_components().join(&file))?;
    }
    Ok(())
}

/// Builds and installs the components of the store and everything under `components/testing`.
pub fn with_fixtures() -> anyhow::Result<()> {
    let installed = workspace::installed_components();
    for variant in VARIANTS {
        variant.build()?;
    }
    run(cargo(["build", "--release", "--target", WASM_TARGET, "--workspace", "--lib", "--bins", "--examples"]).args(locations()))?;
    let of_the_store = names_of_components()?;
    for artifact in wasm_files(&built())?.into_iter().chain(wasm_files(&built().join("examples"))?) {
        let name = artifact.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !of_the_store.contains(&name) {
            install(&artifact, &installed.join(format!("{}.wasm", name.replace('_', "-"))))?;
        }
    }
    components()
}

impl Variant {
    /// Builds and installs it. Its package leaves the same file as without the feature, and is built without it afterwards.
    fn build(&self) -> anyhow::Result<()> {
        let features = ["--package", self.package, "--features", self.feature];
        run(cargo(["build", "--release", "--target", WASM_TARGET]).args(features).args(locations()))?;
        install(&built().join(format!("{}.wasm", self.package)), &workspace::installed_components().join(self.file))
    }
}

/// The components are a workspace of their own, with a target folder of its own.
fn locations() -> [PathBuf; 4] {
    let components = workspace::components();
    ["--manifest-path".into(), components.join("Cargo.toml"), "--target-dir".into(), components.join("target")]
}

fn built() -> PathBuf {
    workspace::components().join("target").join(WASM_TARGET).join("release")
}

fn wasm_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<PathBuf>>>()?;
    Ok(files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "wasm")).collect())
}

/// Puts `from` in the place of `to`, whole or not at all, since a running host watches it; a file that has not changed is left alone.
fn install(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(from).with_context(|| format!("{} was not built", from.display()))?;
    if fs::read(to).is_ok_and(|installed| installed == bytes) {
        return Ok(());
    }
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be created", folder.display()))?;
    let unfinished = to.with_extension("unfinished");
    fs::write(&unfinished, &bytes)
        .and_then(|()| fs::rename(&unfinished, to))
        .with_context(|| format!("{} cannot be written", to.display()))?;
    println!("  {} ({} KB)", workspace::shown(to), bytes.len().div_ceil(1000));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_that_a_config_names_is_built() {
        let names = names_of_components().expect("the components");
        let configs = fs::read_dir(workspace::root().join("configs")).expect("the configs").map(|entry| entry.expect("a config").path());
        let files = configs.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).expect("a config")).collect::<String>();
        let named = files.lines().filter_map(|line| line.trim().strip_prefix("source: ")?.rsplit('/').next()?.strip_suffix(".wasm"));
        let missing: Vec<&str> = named.filter(|name| !names.iter().any(|built| built == name)).collect();
        assert!(missing.is_empty(), "{missing:?} are not among {names:?}");
        assert!(!names.iter().any(|name| NO_COMPONENTS.contains(&name.as_str())), "{names:?}");
    }
}
