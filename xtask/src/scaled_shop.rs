//! The shop as several processes of orders and two of users-products over one PostgreSQL on this machine: the configs with the block of the database
//! changed and nothing else, as docs/scale.md says it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::apt::{self, Recommended};
use crate::parts::{Part, Ready};
use crate::split_shop::{Service, SplitShop};
use crate::workspace;

/// Most processes of orders: their addresses are a hundred ports apart.
pub const MOST: u8 = 9;
const ORDERS: [&str; MOST as usize] =
    ["orders-1", "orders-2", "orders-3", "orders-4", "orders-5", "orders-6", "orders-7", "orders-8", "orders-9"];
const USERS_PRODUCTS: [&str; 2] = ["users-products-1", "users-products-2"];

/// Makes the server's folder with two databases where there is none, and becomes the server, which hears only this machine. The file `made`
/// is written last: what was broken off before is made anew. A folder of before there was that file is whole if a server has begun in it.
const SERVER: &str = r#"
set -e
if [ ! -f "$2/made" ] && [ ! -f "$2/postmaster.opts" ]; then
    find "$2" -mindepth 1 -delete
    "$1/initdb" --pgdata="$2" --username=millrace --auth=trust --encoding=UTF8 --locale=C
    for name in orders users_products; do
        echo "CREATE DATABASE $name TEMPLATE template0" | "$1/postgres" --single -D "$2" postgres > /dev/null
    done
    touch "$2/made"
fi
exec "$1/postgres" -D "$2" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=400
"#;

/// Which processes, over what.
pub struct ScaledShop<'a> {
    /// The processes that there would be of one each: the addresses are the first ones.
    pub shop: &'a SplitShop,
    /// How many of orders.
    pub orders: u8,
    /// Where PostgreSQL listens.
    pub postgres: SocketAddr,
}

impl ScaledShop<'_> {
    /// Where the processes of a service listen.
    pub fn addresses(&self, service: Service) -> Vec<SocketAddr> {
        let processes = match service {
            Service::Gateway => 1,
            Service::UsersProducts => USERS_PRODUCTS.len(),
            Service::Orders => usize::from(self.orders),
        };
        let first = self.shop.address(service);
        (0_u16..).step_by(100).take(processes).map(|further| SocketAddr::new(first.ip(), first.port() + further)).collect()
    }

    /// The server, and the processes in the sequence in which they start.
    pub fn parts(&self) -> anyhow::Result<Vec<Part>> {
        let mut parts = vec![self.server()?];
        for (service, names) in [(Service::UsersProducts, &USERS_PRODUCTS[..]), (Service::Orders, &ORDERS[..])] {
            let config = self.config(service)?;
            for (name, address) in names.iter().zip(self.addresses(service)) {
                parts.push(self.part(name, service, &config, address));
            }
        }
        let gateway = workspace::root().join("configs/gateway.yaml");
        parts.push(self.part(Service::Gateway.name(), Service::Gateway, &gateway, self.shop.gateway));
        Ok(parts)
    }

    fn server(&self) -> anyhow::Result<Part> {
        if programs().is_none() {
            apt::install(&["postgresql"], Recommended::Not, "install PostgreSQL (Debian: apt-get install postgresql)")?;
        }
        let Some(programs) = programs() else { bail!("PostgreSQL is installed, and its programs are not in /usr/lib/postgresql") };
        let folder = self.shop.data.join("postgres");
        fs::create_dir_all(&folder).with_context(|| format!("the folder {} cannot be created", folder.display()))?;
        let ready = Ready::Postgres { asked: programs.join("pg_isready"), address: self.postgres };
        let mut words = vec!["sh".to_owned(), "-c".into(), SERVER.into(), "sh".into()];
        words.extend([programs.display().to_string(), folder.display().to_string(), self.postgres.port().to_string()]);
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root: then it runs as the user that Debian's package brings.
            let given = std::process::Command::new("chown").args(["--recursive", "postgres:"]).arg(&folder).status();
            ensure!(given.is_ok_and(|given| given.success()), "{} cannot be given to the user postgres", folder.display());
            words.splice(0..0, ["--reuid=postgres", "--regid=postgres", "--clear-groups"].map(str::to_owned));
            return Ok(Part::new("postgres", Path::new("setpriv"), ready).arguments(words));
        }
        Ok(Part::new("postgres", Path::new("sh"), ready).arguments(&words[1..]))
    }

    /// Writes the config of a service with its database on the server.
    fn config(&self, service: Service) -> anyhow::Result<PathBuf> {
        let folder = self.shop.data.join("scaled");
        fs::create_dir_all(&folder).with_context(|| format!("the folder {} cannot be created", folder.display()))?;
        let name = format!("{}.yaml", service.name());
        let written = workspace::root().join("configs").join(&name);
        let text = fs::read_to_string(&written).with_context(|| format!("{} cannot be read", written.display()))?;
        let file = folder.join(name);
        fs::write(&file, scaled(&text)?).with_context(|| format!("{} cannot be written", file.display()))?;
        Ok(file)
    }

    fn part(&self, name: &'static str, service: Service, config: &Path, address: SocketAddr) -> Part {
        let targets = |service| {
            let urls = self.addresses(service).into_iter().map(|address| format!("http://{address}"));
            urls.collect::<Vec<_>>().join(",")
        };
        let database = if service == Service::Orders { "orders" } else { "users_products" };
        let root = workspace::root();
        self.shop.part_at(name, service, config, address).environment([
            ("USERS_PRODUCTS_URL", targets(Service::UsersProducts)),
            ("ORDERS_URL", targets(Service::Orders)),
            ("DATABASE_URL", format!("postgres://millrace@{}/{database}", self.postgres)),
            // The configs are in another folder than those that their paths are relative to.
            ("PRODUCTS_SEED", root.join("seed/products.json").display().to_string()),
            ("WEB_ROOT", root.join("web/dist").display().to_string()),
        ])
    }
}

/// A config with the other block of the database.
fn scaled(text: &str) -> anyhow::Result<String> {
    ensure!(text.matches("driver: sqlite").count() == 1, "the config has not one database of SQLite");
    let line = |line: &str| match line.split_once("dsn:") {
        _ if line.trim_start().starts_with("createIfMissing:") => None,
        Some((indent, _)) if indent.trim().is_empty() => Some(format!("{indent}dsn: \"${{DATABASE_URL}}\"\n")),
        _ => Some(format!("{}\n", line.replace("driver: sqlite", "driver: postgres"))),
    };
    Ok(text.lines().filter_map(line).collect())
}

/// Where Debian has the server's programs, those of the newest version that is there.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let version = |bin: &PathBuf| bin.parent().and_then(|folder| folder.file_name()?.to_str()?.parse::<u32>().ok());
    versions.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).max_by_key(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_config_has_another_database_and_nothing_else() {
        for name in ["orders", "users-products"] {
            let text = fs::read_to_string(workspace::root().join(format!("configs/{name}.yaml"))).expect("the config");
            let scaled = scaled(&text).expect("a scaled config");
            let gone: Vec<&str> = text.lines().filter(|line| !scaled.lines().any(|other| other == *line)).map(str::trim).collect();
            let new: Vec<&str> = scaled.lines().filter(|line| !text.lines().any(|other| other == *line)).map(str::trim).collect();
            assert_eq!(new, ["driver: postgres", "dsn: \"${DATABASE_URL}\""], "{name}");
            assert_eq!(gone.len(), 3, "{name}: {gone:?}");
        }
    }
}
