//! The shop in a folder of its own: its processes, its databases, its components, its bank, and, as several processes, Kafka and the links.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::broker::{Broker, Ports};
use crate::client::Client;
use crate::components::Components;
use crate::journal::Journal;
use crate::links::Links;
use crate::member::{Member, data};
use crate::power::{self, Power};
use crate::program::Program;
use crate::schedule::{Link, SHARING, Shape, Target};
use crate::server::{self, Server};
use crate::shop;

/// How long the bank may take to open.
const READY_LIMIT: Duration = Duration::from_secs(240);

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The program that is tried.
    pub program: PathBuf,
    /// The repository.
    pub repository: PathBuf,
    /// Components as they were built, fixtures among them.
    pub components: PathBuf,
    /// Variables of the program beside what it is told anyway.
    pub variables: Vec<(String, String)>,
}

/// Names of the processes that share the orders where several do; a single one has the first.
const ORDERS: [&str; SHARING as usize] = ["orders", "orders-2", "orders-3"];

/// Files of the databases: one for both in the monolith.
#[derive(Debug, Clone)]
pub struct Databases {
    /// Of orders.
    pub orders: PathBuf,
    /// Of accounts and stock.
    pub stock: PathBuf,
    /// The server that has the databases, if they are no files: then those are what was read from it last.
    pub server: Option<Arc<Server>>,
}

impl Databases {
    /// Reads what is on a server, so that the files have it.
    pub async fn write_down(&self) -> anyhow::Result<()> {
        let Some(server) = &self.server else { return Ok(()) };
        server.write_down(server::ORDERS, &self.orders).await?;
        server.write_down(server::USERS_PRODUCTS, &self.stock).await
    }
}

/// The shop.
pub struct Stack {
    /// In the sequence in which they start.
    pub members: Vec<Member>,
    /// The files that it takes its components from.
    pub components: Components,
    /// Kafka, if the shop needs it.
    pub broker: Option<Broker>,
    /// What lies between processes, if there are several.
    pub links: Links,
    databases: Databases,
    base: String,
    bank: Client,
    _bank: Program,
}

impl Stack {
    /// A shop that has never run, in `folder`, with its bank and its broker.
    pub async fn new(places: &Places, shape: Shape, folder: &Path, journal: Arc<Journal>) -> anyhow::Result<Self> {
        fs::create_dir_all(folder.join("web"))?;
        fs::write(folder.join("web/index.html"), "")?;
        let components = Components::install(&places.components, &folder.join("components"))?;
        fs::write(folder.join("products.json"), shop::products().to_string())?;
        let (bank_program, bank) = bank(folder).await?;
        let building = Building { places, folder, journal };
        let mut links = Links::default();
        let server = if shape == Shape::Scale { Some(Arc::new(Server::start(port()?).await?)) } else { None };
        let (members, broker) = match &server {
            _ if shape == Shape::Monolith => (vec![building.monolith(&bank)?], None),
            server => building.processes(&bank, &mut links, server.as_deref()).await?,
        };
        let databases = match shape {
            Shape::Monolith => [("shop", "ecommerce.db"); 2],
            Shape::Processes | Shape::Scale => [("orders", "orders.db"), ("users-products", "users-products.db")],
        };
        let [orders, stock] = databases.map(|(name, file)| data(folder, name).join(file));
        let last = members.last().context("a shop of no process")?;
        Ok(Self {
            base: format!("http://{}", last.listen),
            members,
            components,
            broker,
            links,
            databases: Databases { orders, stock, server },
            bank: Client::new(&format!("http://{bank}"))?,
            _bank: bank_program,
        })
    }

    /// The URL that customers know.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its databases.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// The processes that a fault is for; in the monolith always the one.
    pub fn of(&mut self, target: Target) -> impl Iterator<Item = &mut Member> {
        let is_alone = self.members.len() == 1;
        let is_meant = move |name: &str| match target {
            Target::Gateway => name == "gateway",
            Target::UsersProducts => name == "users-products",
            Target::Orders => ORDERS.contains(&name),
            Target::OneOfOrders(place) => ORDERS.get(usize::from(place)) == Some(&name),
            Target::Shop => true,
            Target::Broker | Target::Database => false,
        };
        self.members.iter_mut().filter(move |member| is_alone || is_meant(member.name))
    }

    /// The one that has the orders, the first of several.
    pub fn orders(&mut self) -> anyhow::Result<&mut Member> {
        self.of(Target::Orders).next().context("nobody has the orders")
    }

    /// Whether a fault of this target concerns the process that has the orders.
    pub fn has_orders(&mut self, target: Target) -> bool {
        self.of(target).any(|member| ORDERS.contains(&member.name) || member.name == "shop")
    }

    /// Every component is a good one again, everything passes, and the bank answers at once.
    pub async fn heal(&mut self) -> anyhow::Result<()> {
        self.components.restore()?;
        self.links.heal();
        if let Some(broker) = &mut self.broker {
            broker.until_ready().await?;
        }
        self.bank.send(reqwest::Method::PUT, "/well", None, None).await.context("the bank does not answer")?;
        Ok(())
    }

    /// Has what each process writes noted from its first start on, so that the power can be cut.
    pub fn note_what_is_written(&mut self, repository: &Path, folder: &Path) -> anyhow::Result<()> {
        let library = folder.join("power.so");
        power::build(repository, &library)?;
        for member in &mut self.members {
            let notes = folder.join(format!("{}.notes", member.name));
            member.power = Some(Power { library: library.clone(), root: data(folder, member.name), notes });
        }
        Ok(())
    }

    /// Starts all of it and waits until it is ready.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if let Some(broker) = &mut self.broker {
            broker.launch()?;
            broker.until_ready().await?;
        }
        for member in &mut self.members {
            member.launch()?;
            member.until_ready().await?;
            // From now on its server may be away when it starts; now it is not.
            member.is_supervised = self.databases.server.is_some();
        }
        Ok(())
    }
}

/// What a shop is built from.
struct Building<'run> {
    places: &'run Places,
    folder: &'run Path,
    journal: Arc<Journal>,
}

impl Building<'_> {
    fn monolith(&self, bank: &str) -> anyhow::Result<Member> {
        let text = shop::config_of_orders(&self.places.repository, "monolith.yaml", &format!("http://{bank}"))?;
        self.member("shop", &text, &address()?, &[])
    }

    /// One process of orders, or several over the databases of a server.
    async fn processes(&self, bank: &str, links: &mut Links, server: Option<&Server>) -> anyhow::Result<(Vec<Member>, Option<Broker>)> {
        let shape = if server.is_some() { Shape::Scale } else { Shape::Processes };
        let [users_products, gateway] = [address()?, address()?];
        let orders: Vec<String> = ORDERS.into_iter().map(|_| address()).collect::<anyhow::Result<_>>()?;
        let broker_ports = [port()?, port()?];
        let address_of = |link| match link {
            Link::GatewayToUsersProducts | Link::OrdersToUsersProducts => users_products.clone(),
            Link::GatewayToOrders => orders[0].clone(),
            Link::GatewayToOneOfOrders(place) => orders[usize::from(place)].clone(),
            Link::OneOfOrdersToDatabase(_) => server.map(Server::address).unwrap_or_default(),
            Link::OrdersToBank => bank.to_owned(),
            Link::OrdersToBroker => format!("127.0.0.1:{}", broker_ports[0]),
            Link::UsersProductsToBroker => format!("127.0.0.1:{}", broker_ports[1]),
        };
        let mut through = std::collections::BTreeMap::new();
        for link in Link::of(shape) {
            let listener = free()?;
            through.insert(link, listener.local_addr()?.to_string());
            links.open(link, listener, address_of(link))?;
        }
        let to = |link: Link| through.get(&link).cloned().unwrap_or_default();
        let linked =
            vec![("ORDERS", broker_ports[0], to(Link::OrdersToBroker)), ("ACCOUNTS", broker_ports[1], to(Link::UsersProductsToBroker))];
        let ports = Ports { direct: [port()?, port()?], linked };
        let broker = Broker::new(&self.places.repository, &self.folder.join("kafka"), &ports).await?;

        let repository = &self.places.repository;
        let mut orders_config = shop::config_of_orders(repository, "orders.yaml", &format!("http://{}", to(Link::OrdersToBank)))?;
        let mut users_products_config = shop::config(repository, "users-products.yaml")?;
        let secret = ("INTERNAL_SECRET", shop::INTERNAL_SECRET.to_owned());
        let mut of_users_products = vec![("KAFKA_BROKERS", to(Link::UsersProductsToBroker)), secret.clone()];
        let of_orders =
            [("KAFKA_BROKERS", to(Link::OrdersToBroker)), secret, ("CATALOGUE_URL", format!("http://{}", to(Link::OrdersToUsersProducts)))];
        let mut names = &ORDERS[..1];
        let mut targets = format!("http://{}", to(Link::GatewayToOrders));
        if let Some(server) = server {
            orders_config = shop::over_postgres(&orders_config)?;
            users_products_config = shop::over_postgres(&users_products_config)?;
            of_users_products.push(("DATABASE_URL", Server::dsn(&server.address(), server::USERS_PRODUCTS)));
            names = &ORDERS;
            let each: Vec<String> = (0..SHARING).map(|place| format!("http://{}", to(Link::GatewayToOneOfOrders(place)))).collect();
            targets = each.join(",");
        }
        let mut members = vec![self.member("users-products", &users_products_config, &users_products, &of_users_products)?];
        for ((name, listen), place) in names.iter().zip(&orders).zip(0..) {
            let mut own = of_orders.to_vec();
            if server.is_some() {
                own.push(("DATABASE_URL", Server::dsn(&to(Link::OneOfOrdersToDatabase(place)), server::ORDERS)));
            }
            members.push(self.member(name, &orders_config, listen, &own)?);
        }
        let of_gateway = [("USERS_PRODUCTS_URL", format!("http://{}", to(Link::GatewayToUsersProducts))), ("ORDERS_URL", targets)];
        members.push(self.member("gateway", &shop::config(repository, "gateway.yaml")?, &gateway, &of_gateway)?);
        Ok((members, Some(broker)))
    }

    fn member(&self, name: &'static str, config: &str, listen: &str, own: &[(&str, String)]) -> anyhow::Result<Member> {
        let path = self.folder.join(format!("{name}.yaml"));
        fs::write(&path, config)?;
        let mut variables = shop::variables();
        let folders = [("COMPONENTS_DIR", "components"), ("WEB_ROOT", "web"), ("PRODUCTS_SEED", "products.json")];
        variables.extend(folders.map(|(name, path)| (name.to_owned(), self.folder.join(path).display().to_string())));
        // A folder for each: two processes must not tidy up each other's compiled components.
        variables.push(("DATA_DIR".to_owned(), data(self.folder, name).display().to_string()));
        variables.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        variables.extend(self.places.variables.iter().cloned());
        Ok(Member {
            name,
            binary: self.places.program.clone(),
            folder: self.folder.to_owned(),
            config: path,
            listen: listen.to_owned(),
            variables,
            minutes: 0,
            crash_at: None,
            power: None,
            journal: Arc::clone(&self.journal),
            program: None,
            started: None,
            said_before: 0,
            is_supervised: false,
        })
    }
}

/// A port of the loopback interface on which nobody listens, below those that the system gives to connections: whoever has it may be gone for a
/// while and find it free.
fn free() -> anyhow::Result<TcpListener> {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 17_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Programs that run side by side begin at different places.
    let mut candidates = (0..COUNT).map(|_| FIRST + (std::process::id() * 101 + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    candidates.find_map(|port| TcpListener::bind(("127.0.0.1", u16::try_from(port).ok()?)).ok()).context("there is no free port")
}

fn port() -> anyhow::Result<u16> {
    Ok(free()?.local_addr()?.port())
}

fn address() -> anyhow::Result<String> {
    Ok(free()?.local_addr()?.to_string())
}

/// The bank and its address. It is this very program.
async fn bank(folder: &Path) -> anyhow::Result<(Program, String)> {
    let address = folder.join("bank.address");
    let mut command = Command::new(std::env::current_exe().context("cannot find this program, which is also the bank")?);
    command.arg("bank").arg("--books").arg(folder.join("bank.jsonl")).arg("--address").arg(&address);
    let mut program = Program::start(command, &folder.join("bank.log"))?;
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if let Ok(text) = fs::read_to_string(&address) {
            return Ok((program, text));
        }
        ensure!(program.ended()?.is_none() && Instant::now() < deadline, "the bank did not open; see {}/bank.log", folder.display());
        sleep(Duration::from_millis(10)).await;
    }
}
