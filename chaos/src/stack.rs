//! The shop in a folder of its own: its config, its database, its components, its bank, and its process, which comes and goes.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::components::Components;
use crate::journal::{Entry, Journal};
use crate::program::{Ended, Program};

/// How long a start may take on a machine that has other things to do.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a stop may take: what the program promises, and what a busy machine adds.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Longer than any token has to be.
const SECRET: &str = "a secret of a shop that nobody buys from, 64 characters and more";
/// What stands in for the program's library of dates; `$LIB` is read by the dynamic linker.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// Units of each product at the start. One is scarce: it is asked for more often than it is there.
pub const STOCK: [(&str, u64, i64); 4] =
    [("cable", 999, 100_000), ("keyboard", 14_999, 100_000), ("licence", 1, 100_000), ("scarce", 25_000, 60)];

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

/// The shop.
pub struct Stack {
    places: Places,
    folder: PathBuf,
    base: String,
    listen: String,
    journal: Arc<Journal>,
    /// The files that it takes its components from.
    pub components: Components,
    /// How far its date is from the real one, in minutes.
    pub minutes: i64,
    program: Option<Program>,
    bank: Client,
    _bank: Program,
}

impl Stack {
    /// A shop that has never run, in `folder`, with its bank.
    pub async fn new(places: &Places, folder: &Path, journal: Arc<Journal>) -> anyhow::Result<Self> {
        fs::create_dir_all(folder.join("web"))?;
        fs::write(folder.join("web/index.html"), "")?;
        let components = Components::install(&places.components, &folder.join("components"))?;
        let (bank_program, address) = bank(folder).await?;
        fs::write(folder.join("products.json"), seed().to_string())?;
        let bank_url = format!("http://{address}");
        fs::write(folder.join("shop.yaml"), config(&places.repository, &bank_url)?)?;
        // Asked for here, so that it is the same after every restart.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let (base, folder) = (format!("http://{listen}"), folder.to_owned());
        let bank = Client::new(&bank_url)?;
        Ok(Self { places: places.clone(), folder, base, listen, journal, components, minutes: 0, program: None, bank, _bank: bank_program })
    }

    /// Its URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The file of its database.
    pub fn database(&self) -> PathBuf {
        self.folder.join("data/ecommerce.db")
    }

    /// Every component is a good one again, and the bank answers at once.
    pub async fn heal(&self) -> anyhow::Result<()> {
        self.components.restore()?;
        self.bank.send(reqwest::Method::PUT, "/well", None, None).await.context("the bank does not answer")?;
        Ok(())
    }

    /// Starts the process and does not wait for it.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let program = Program::start(self.command(&["run", "--log-format", "json"]), &self.folder.join("shop.log"))?;
        self.journal.write(Entry::Started { name: "shop".into(), process: program.id() });
        self.program = Some(program);
        Ok(())
    }

    /// Waits until it is ready. One that ends instead is an error.
    pub async fn until_ready(&mut self) -> anyhow::Result<()> {
        let client = Client::new(&self.base)?;
        let deadline = Instant::now() + READY_LIMIT;
        while !client.is_well("/readyz").await {
            if let Some(status) = self.program()?.ended()? {
                bail!("the program ended by itself at its start ({status})");
            }
            ensure!(Instant::now() < deadline, "the program was not ready after {READY_LIMIT:?}");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// The process that runs.
    pub fn program(&mut self) -> anyhow::Result<&mut Program> {
        self.program.as_mut().context("the program does not run")
    }

    /// Kills it, if it runs.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match self.program.take() {
            Some(mut program) => program.kill().await,
            None => Ok(()),
        }
    }

    /// Asks it to stop. What takes too long is killed, and nothing is returned.
    pub async fn stop(&mut self) -> anyhow::Result<Option<Ended>> {
        let Some(mut program) = self.program.take() else { bail!("the program does not run") };
        program.stop(STOP_LIMIT).await
    }

    /// A second process beside the one that runs, on the same database.
    pub fn second(&self) -> anyhow::Result<Program> {
        let mut command = self.command(&["run", "--log-format", "json"]);
        command.env("LISTEN", "127.0.0.1:0");
        Program::start(command, &self.folder.join("second.log"))
    }

    /// What a command says that takes the config of the shop.
    pub async fn operate(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments).kill_on_drop(true).output().await?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.places.program);
        command.args(arguments).arg("--config").arg(self.folder.join("shop.yaml")).current_dir(&self.folder);
        for (name, path) in
            [("DATA_DIR", "data"), ("COMPONENTS_DIR", "components"), ("WEB_ROOT", "web"), ("PRODUCTS_SEED", "products.json")]
        {
            command.env(name, self.folder.join(path));
        }
        command
            .env("LISTEN", &self.listen)
            .env("OPERATOR_LISTEN", "127.0.0.1:0")
            .env("JWT_SECRET", SECRET)
            .env("RATE_LIMIT_PER_MINUTE", "1000000")
            .env("RATE_LIMIT_BURST", "100000")
            .env("PAYMENT_RETRY_AFTER", "200ms")
            .env("SHIPPING_RETRY_AFTER", "200ms")
            .envs(self.places.variables.iter().map(|(name, value)| (name, value)));
        if self.minutes != 0 {
            // What it measures stays right; only its dates are wrong.
            command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME", format!("{:+}m", self.minutes));
        }
        command
    }
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

fn seed() -> serde_json::Value {
    let product = |&(id, cents, stock): &(&str, u64, i64)| {
        let price = format!("{}.{:02}", cents / 100, cents % 100).parse::<serde_json::Number>().ok();
        json!({"id": id, "state": "active", "data": {"name": id, "price": price, "category": "Things", "description": id, "image": "/x.svg", "stock": stock}})
    };
    STOCK.iter().map(product).collect()
}

/// The shop's config, but payments go to the bank, and what waits waits shorter: a run is some seconds long.
fn config(repository: &Path, bank: &str) -> anyhow::Result<String> {
    let path = repository.join("configs/monolith.yaml");
    let mut text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let payment = "      description: Charges the customer through the payment gateway\n";
    let charges = format!("{payment}      capabilities: {{http: [{{service: bank, url: \"{bank}\"}}]}}\n");
    for (before, after) in [
        (payment, charges.as_str()),
        (
            "      maxRetries: 2\n      retryBackoffMs: 1000\n      timeoutSeconds: 30\n",
            "      maxRetries: 1\n      retryBackoffMs: 50\n      timeoutSeconds: 1\n",
        ),
        ("            maxAttempts: 3\n", "            maxAttempts: 2\n"),
    ] {
        ensure!(text.contains(before), "{} has no longer what is changed here: {before}", path.display());
        text = text.replace(before, after);
    }
    Ok(text)
}
