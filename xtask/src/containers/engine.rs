//! Podman as this command uses it: with settings and a store of its own under `target`, so that a stand-in for an image never gets
//! among those of this machine, and without a registry.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{apt, command, python, workspace};

/// What has to be there, and the Debian package that brings it.
const PROGRAMS: [(&[&str], &str); 6] = [
    (&["/usr/bin/podman"], "podman"),
    (&["/usr/sbin/runc", "/usr/bin/runc"], "runc"),
    (&["/usr/lib/podman/netavark"], "netavark"),
    (&["/usr/lib/podman/aardvark-dns"], "aardvark-dns"),
    (&["/usr/sbin/iptables"], "iptables"),
    (&["/usr/bin/catatonit", "/usr/libexec/podman/catatonit"], "catatonit"),
];
/// Makes root file systems from Debian's packages.
const BOOTSTRAP: (&[&str], &str) = (&["/usr/bin/mmdebstrap"], "mmdebstrap");
/// A file system of layers cannot hold another one.
const OVERLAY: u64 = 0x794c_7630;

/// Podman. The folder is ours while this lives.
pub struct Engine {
    folder: PathBuf,
    _lock: File,
}

impl Engine {
    /// Installs what is missing, writes the settings and removes what a run that was killed has left.
    pub fn prepare() -> anyhow::Result<Self> {
        install()?;
        let folder = workspace::target().join("containers");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = File::create(folder.join("lock"))?;
        if lock.try_lock().is_err() {
            println!("Another `cargo xtask containers` runs in this folder; waiting for its end");
            lock.lock()?;
        }
        let engine = Self { folder, _lock: lock };
        engine.write_settings()?;
        engine.remove_leftovers()?;
        Ok(engine)
    }

    /// Where everything is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `podman` with these arguments.
    pub fn podman<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = self.command(Path::new("podman"));
        command.args(arguments);
        command
    }

    /// A program that uses podman, in the repository's folder.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(workspace::root())
            .env("CONTAINERS_CONF", self.folder.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.folder.join("storage.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", self.folder.join("registries.conf"))
            // Only this format of an image knows health checks.
            .env("BUILDAH_FORMAT", "docker")
            // Podman leaves health checks to timers of systemd, which a container or a small machine lacks: they are run from here.
            .env("DISABLE_HC_SYSTEMD", "true");
        command
    }

    fn write_settings(&self) -> anyhow::Result<()> {
        let folder = self.folder.display();
        let driver = if rustix::fs::statfs(&self.folder)?.f_type.cast_unsigned() == OVERLAY { "vfs" } else { "overlay" };
        let containers = format!(
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\nlog_driver = \"k8s-file\"\n\n\
             [network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = \"{folder}/networks\"\n\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"\nevents_logger = \"file\"\n"
        );
        let storage = format!("[storage]\ndriver = \"{driver}\"\ngraphroot = \"{folder}/store\"\nrunroot = \"{folder}/run\"\n");
        // A short name means this registry, as with Docker; and nothing is ever fetched from it.
        let registries = "unqualified-search-registries = [\"docker.io\"]\n\n[[registry]]\nlocation = \"docker.io\"\nblocked = true\n";
        for (name, text) in [("containers.conf", containers.as_str()), ("storage.conf", &storage), ("registries.conf", registries)] {
            fs::write(self.folder.join(name), text).with_context(|| format!("cannot write {name} in {folder}"))?;
        }
        Ok(())
    }

    /// Removes every container, volume and network, however it came to be left.
    pub fn remove_leftovers(&self) -> anyhow::Result<()> {
        command::output(&mut self.podman(["rm", "--all", "--force", "--volumes"])).context("podman does not work here")?;
        command::output(&mut self.podman(["volume", "prune", "--force"]))?;
        command::output(&mut self.podman(["network", "prune", "--force"])).map(drop)
    }
}

/// What keeps containers from running here at all; nothing is wrong with the project then.
pub fn obstacle() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root()).then_some("containers are run as root: sudo --preserve-env=PATH cargo xtask containers")
}

fn install() -> anyhow::Result<()> {
    if let Some(obstacle) = obstacle() {
        bail!("{obstacle}");
    }
    let is_missing = |files: &[&str]| !files.iter().any(|file| Path::new(file).exists());
    let mut missing: Vec<&str> =
        PROGRAMS.iter().chain([&BOOTSTRAP]).filter(|(files, _)| is_missing(files)).map(|(_, package)| *package).collect();
    if !python::is_there() {
        missing.push(python::DEBIAN_PACKAGE);
    }
    let otherwise = format!("containers need Debian's packages {}, and there is no apt-get to add them", missing.join(", "));
    apt::install(&missing, apt::Recommended::Not, &otherwise)
}
