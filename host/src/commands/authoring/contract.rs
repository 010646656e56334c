//! The contract that something is built for, as a folder has it or this host.

use std::path::PathBuf;

use anyhow::Context as _;
use wit_parser::{Resolve, WorldId};

use super::wit;

/// Which contract, and which world of it.
#[derive(Debug, clap::Args)]
pub struct Contract {
    /// Folder or file with the WIT to build for; without one it is the contract of this host.
    #[arg(long, value_name = "PATH")]
    wit: Option<PathBuf>,
    /// World of it to build for, of this host's contract also with its version, for example step@0.2; one of another package by its full
    /// name, for example acme:fraud/check.
    #[arg(long, default_value = "step")]
    world: String,
}

impl Contract {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, is no WIT, or has no such world.
    pub(super) fn read(&self) -> anyhow::Result<(Resolve, WorldId)> {
        let mut resolve = Resolve::default();
        let own = wit::world(&self.world).filter(|_| self.wit.is_none());
        let (name, version) = own.unwrap_or((&self.world, wit::Version::First));
        let package = match &self.wit {
            None => resolve.push_str(wit::FILE, version.text())?,
            Some(path) => resolve.push_path(path).with_context(|| format!("'{}' cannot be read as WIT", path.display()))?.0,
        };
        let Ok(world) = resolve.select_world(&[package], Some(name)) else {
            let name = |id: WorldId| {
                let world = &resolve.worlds[id];
                world.package.map_or_else(|| world.name.clone(), |package| resolve.id_of_name(package, &world.name))
            };
            let worlds: Vec<String> = resolve.worlds.iter().map(|(id, _)| name(id)).collect();
            anyhow::bail!("there is no world '{}' in the WIT: choose one of {} with --world", self.world, worlds.join(", "));
        };
        Ok((resolve, world))
    }
}
