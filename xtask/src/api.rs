//! Whether the API is what it says of itself: Schemathesis makes requests of every kind from `/openapi.json`, right ones and wrong ones, and
//! checks each answer against it. The shop is asked as one process and as three behind their gateway; by nobody, and by two customers of
//! whom neither may see what is the other's. The path that the description is read from is the only one that is not asked again.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::customer::Customer;
use crate::parts::{Part, Parts};
use crate::split_shop::{Service, SplitShop};
use crate::stop_signals::StopSignals;
use crate::{apt, build, kafka, python, whole_shop, workspace};

/// From PyPI, with all that it needs.
const SCHEMATHESIS: [&str; 27] = [
    "anyio==4.16.0",
    "certifi==2026.10.19.post1",
    "charset-normalizer==3.5.3",
    "click==8.5.1",
    "graphql-core==3.3.2",
    "harfile==0.6.0",
    "hypothesis==6.170.17",
    "hypothesis-graphql==0.13.5",
    "idna==3.20",
    "iniconfig==2.3.1",
    "jsonschema_rs==0.60.3",
    "markdown-it-py==4.3.0",
    "MarkupSafe==3.0.4",
    "mdurl==0.1.2",
    "packaging==26.4",
    "pluggy==1.7.0",
    "Pygments==2.21.0",
    "pyrate-limiter==4.5.1",
    "pytest==9.2.0",
    "PyYAML==6.0.4",
    "requests==2.34.2",
    "rich==15.0.0",
    "schemathesis==4.32.5",
    "sortedcontainers==2.4.0",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
    "Werkzeug==3.1.9",
];
const SETTINGS: &str = "xtask/schemathesis/schemathesis.toml";
/// More than an order may have lines.
const PRODUCTS: usize = 120;
/// Checks that make no sense of what a gateway says of itself: it does not know which requests those behind it take.
const NOT_OF_A_GATEWAY: &str = "positive_data_acceptance,negative_data_rejection,missing_required_header";

/// Gets Schemathesis.
pub fn prepare() -> anyhow::Result<()> {
    programs().map(drop)
}

fn programs() -> anyhow::Result<PathBuf> {
    if !python::is_there() {
        apt::install(
            &[python::DEBIAN_PACKAGE],
            apt::Recommended::Not,
            "the API is checked with a program in Python; install python3-venv",
        )?;
    }
    python::programs("schemathesis", &SCHEMATHESIS)
}

/// Asks everything. What the processes and Schemathesis wrote is in `target/api`.
pub fn check() -> anyhow::Result<()> {
    let programs = programs()?;
    let host = build::host(build::Profile::Dev)?;
    let env = TestEnv::new(&programs, &host)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(env.check())
}

/// The shops that are asked, and where.
struct TestEnv {
    schemathesis: PathBuf,
    folder: PathBuf,
    host: PathBuf,
    monolith: SocketAddr,
    shop: SplitShop,
}

/// As whom a description is tried.
enum Who<'a> {
    Nobody,
    /// Two of them, by name and token.
    Customers(&'a [(&'static str, String); 2]),
}

/// One run of Schemathesis.
struct Run<'a> {
    name: &'static str,
    /// Who says what there is.
    description: SocketAddr,
    /// Who is asked.
    asked: SocketAddr,
    who: Who<'a>,
    /// Checks that are left out.
    without: Option<&'static str>,
}

impl TestEnv {
    fn new(programs: &Path, host: &Path) -> anyhow::Result<Self> {
        let folder = workspace::target().join("api");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        let products: Vec<Value> = ids()
            .map(|id| json!({"id": id, "state": "active", "data": {"name": format!("Part {id}"), "price": 9.99, "stock": 1_000_000}}))
            .collect();
        let seed = folder.join("products.json");
        fs::write(&seed, serde_json::to_vec(&products)?).with_context(|| format!("{} cannot be written", seed.display()))?;
        let shop = SplitShop {
            binary: host.to_owned(),
            gateway: free()?,
            users_products: free()?,
            orders: free()?,
            // Nobody listens there: without a broker orders are processed all the same.
            brokers: free()?.to_string(),
            components: workspace::installed_components(),
            data: folder.join("data"),
            variables: variables(&seed),
        };
        Ok(Self { schemathesis: programs.join("schemathesis"), folder, host: host.to_owned(), monolith: free()?, shop })
    }

    async fn check(&self) -> anyhow::Result<()> {
        let (mut stop_wanted, mut parts) = (StopSignals::listen()?, Parts::default());
        let checked = tokio::select! {
            checked = self.start_and_ask(&mut parts) => checked,
            () = stop_wanted.next() => bail!("stopped"),
        };
        parts.stop(&mut stop_wanted).await;
        checked.with_context(|| format!("the logs are in {}", self.folder.display()))
    }

    async fn start_and_ask(&self, parts: &mut Parts) -> anyhow::Result<()> {
        parts.start(vec![self.whole()?]).await?;
        for service in Service::ALL {
            parts.start(vec![self.shop.part(service).logging_to(&self.log(service.name()))?]).await?;
        }
        let gateway = self.shop.gateway;
        let (here, there) = (customers(self.monolith).await?, customers(gateway).await?);
        let run = |name, description, asked, who| Run { name, description, asked, who, without: None };
        let runs = [
            run("one process, nobody", self.monolith, self.monolith, Who::Nobody),
            run("one process, customers", self.monolith, self.monolith, Who::Customers(&here)),
            run("gateway to users-products, customers", self.shop.users_products, gateway, Who::Customers(&there)),
            run("gateway to orders, customers", self.shop.orders, gateway, Who::Customers(&there)),
            Run { without: Some(NOT_OF_A_GATEWAY), ..run("gateway, nobody", gateway, gateway, Who::Nobody) },
        ];
        let mut failed = Vec::new();
        for run in &runs {
            println!("\n-- {}", run.name);
            if !self.ask(run).await? {
                failed.push(run.name);
            }
        }
        if failed.is_empty() { Ok(()) } else { bail!("the API is not what it says: {}", failed.join("; ")) }
    }

    /// The shop as one process.
    fn whole(&self) -> anyhow::Result<Part> {
        let own = [
            ("DATA_DIR", self.shop.data.join("monolith").display().to_string()),
            ("COMPONENTS_DIR", self.shop.components.display().to_string()),
        ];
        let variables = own.into_iter().chain(self.shop.variables.iter().cloned());
        whole_shop::part(&self.host, Path::new(whole_shop::CONFIG), self.monolith, variables).logging_to(&self.log("monolith"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Whether every answer was as described.
    async fn ask(&self, run: &Run<'_>) -> anyhow::Result<bool> {
        let mut command = Command::new(&self.schemathesis);
        command.current_dir(workspace::root()).kill_on_drop(true);
        command.arg("--config-file").arg(self.settings(run)?);
        command.args(["run", &format!("http://{}/openapi.json", run.description), "--url", &format!("http://{}", run.asked), "--no-color"]);
        if run.description != run.asked {
            // What each process answers for itself is not passed on.
            command.args(["--include-path-regex", "^/api/"]);
        }
        if let Some(checks) = run.without {
            command.args(["--exclude-checks", checks]);
        }
        let products: Vec<String> = ids().collect();
        command.env("API_PRODUCTS", serde_json::to_string(&products)?).env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("HYPOTHESIS_STORAGE_DIRECTORY", self.folder.join("hypothesis"));
        Ok(command.status().await.context("schemathesis could not be started")?.success())
    }

    /// The repository's settings, with those who ask.
    fn settings(&self, run: &Run<'_>) -> anyhow::Result<PathBuf> {
        let slug = run.name.replace([' ', ','], "-");
        let mut settings = fs::read_to_string(workspace::root().join(SETTINGS)).with_context(|| format!("{SETTINGS} cannot be read"))?;
        if matches!(run.who, Who::Nobody) {
            settings.push_str("\n[auth]\nauto-signup = false\n");
        }
        if let Who::Customers(customers) = &run.who {
            let entry = |(name, token): &(&str, String)| json!({"name": name, "fixedHeaders": [{"name": "Authorization", "value": format!("Bearer {token}")}]});
            let people = self.folder.join(format!("{slug}.people.json"));
            fs::write(&people, json!({"auth": customers.iter().map(entry).collect::<Vec<_>>()}).to_string())?;
            let names: Vec<&str> = customers.iter().map(|(name, _)| *name).collect();
            settings.push_str(&format!("\n[auth.wfc]\npath = {:?}\npeers = {names:?}\n", people.display().to_string()));
        }
        let file = self.folder.join(format!("{slug}.toml"));
        fs::write(&file, settings).with_context(|| format!("{} cannot be written", file.display()))?;
        Ok(file)
    }
}

fn ids() -> impl Iterator<Item = String> {
    (1..=PRODUCTS).map(|number| format!("part-{number:03}"))
}

async fn customers(shop: SocketAddr) -> anyhow::Result<[(&'static str, String); 2]> {
    let ada = Customer::register_as(shop, "ada@example.com").await?;
    let eve = Customer::register_as(shop, "eve@example.com").await?;
    Ok([("ada", ada.token().to_owned()), ("eve", eve.token().to_owned())])
}

fn variables(products: &Path) -> Vec<(&'static str, String)> {
    let variables = [
        ("JWT_SECRET", "of nobody but these processes, for tests"),
        ("INTERNAL_SECRET", "of these two processes only, and only for tests"),
        ("RATE_LIMIT_PER_MINUTE", "10000000"),
        ("RATE_LIMIT_BURST", "1000000"),
        // What cannot be paid is given up soon.
        ("PAYMENT_RETRY_AFTER", "100ms"),
    ];
    let products = ("PRODUCTS_SEED", products.display().to_string());
    variables.map(|(name, value)| (name, value.to_owned())).into_iter().chain([products]).collect()
}

fn free() -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, kafka::free_port()?)))
}
