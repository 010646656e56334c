//! The program under load: a process with data and components of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::kafka_broker::{Driver, monolith_over_kafka};
use crate::load::Connection;

const PATIENCE: Duration = Duration::from_secs(300);

pub struct Server {
    folder: tempfile::TempDir,
    config: PathBuf,
    variables: Variables,
    running: Running,
}

/// What a config reads beyond what is the same for all.
type Variables = Vec<(&'static str, String)>;

struct Running {
    child: Child,
    address: SocketAddr,
}

/// What a process has used since its start.
pub struct Used {
    /// Seconds of CPU time.
    pub user: f64,
    /// Those that the system has spent for it.
    pub system: f64,
    /// Bytes that it has written to files and sockets.
    pub written: f64,
    /// How often a thread of it has made way for another, or waited.
    pub switches: f64,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// The shop in one process, with the bus inside it.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_config(tempfile::tempdir()?, repository().join("configs/monolith.yaml"), Vec::new()).await
    }

    /// The shop in one process whose bus is the Kafka at `address`; the topics are of this server alone.
    pub async fn start_over_kafka(address: &str, prefix: &str, driver: Driver) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("kafka.yaml");
        std::fs::write(&config, monolith_over_kafka(address, prefix, driver))?;
        Self::start_config(folder, config, Vec::new()).await
    }

    /// Accounts and catalogue alone, as in the shop of three processes.
    pub async fn start_catalogue() -> anyhow::Result<Self> {
        Self::start_config(tempfile::tempdir()?, repository().join("configs/users-products.yaml"), Vec::new()).await
    }

    /// The gateway to a process that has the catalogue.
    pub async fn start_gateway(catalogue: SocketAddr) -> anyhow::Result<Self> {
        let variables = vec![("USERS_PRODUCTS_URL", format!("http://{catalogue}"))];
        Self::start_config(tempfile::tempdir()?, repository().join("configs/gateway.yaml"), variables).await
    }

    async fn start_config(folder: tempfile::TempDir, config: PathBuf, variables: Variables) -> anyhow::Result<Self> {
        let components = folder.path().join("components");
        std::fs::create_dir(&components)?;
        for name in ["inventory.wasm", "payment.wasm", "shipping.wasm", "notify.wasm"] {
            let built = repository().join("target/components").join(name);
            std::fs::copy(&built, components.join(name)).with_context(|| format!("{} is not built", built.display()))?;
        }
        let plenty = json!([{"id": "plenty", "data": {"name": "Plenty", "price": 1.25, "stock": 1_000_000}}]);
        let mut products: Value = serde_json::from_slice(&std::fs::read(repository().join("seed/products.json"))?)?;
        products.as_array_mut().context("seed")?.extend(plenty.as_array().cloned().unwrap_or_default());
        std::fs::write(folder.path().join("products.json"), products.to_string())?;
        let running = spawn(folder.path(), &config, &variables).await?;
        Ok(Self { folder, config, variables, running })
    }

    /// Stops the process and starts it again; from the start to the first answer of `/readyz`.
    pub async fn restart(&mut self) -> anyhow::Result<Duration> {
        let _ = self.running.child.kill();
        let _ = self.running.child.wait();
        let began = Instant::now();
        self.running = spawn(self.folder.path(), &self.config, &self.variables).await?;
        Ok(began.elapsed())
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    pub async fn register(&self, name: &str) -> anyhow::Result<String> {
        let body = json!({"name": name, "email": format!("{name}@example.com"), "password": "password123"});
        let answer = self.connect().await?.post("/api/auth/register", &body, hyper::StatusCode::CREATED).await?;
        Ok(answer["token"].as_str().context("no token")?.to_owned())
    }

    /// Resident memory of the process.
    pub fn memory_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1_024.0)
    }

    /// What the process has used so far.
    pub fn used(&self) -> anyhow::Result<Used> {
        let folder = PathBuf::from(format!("/proc/{}", self.running.child.id()));
        let stat = std::fs::read_to_string(folder.join("stat"))?;
        // Behind the name, which may hold anything: user and system time are the 12th and 13th value, in hundredths of a second.
        let mut times = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace().skip(11).map(str::parse::<f64>);
        let mut time = || anyhow::Ok(times.next().context("no time in stat")?? / 100.0);
        let (user, system) = (time()?, time()?);
        let written = number_after(&std::fs::read_to_string(folder.join("io"))?, "wchar:")?;
        let mut switches = 0.0;
        for thread in std::fs::read_dir(folder.join("task"))? {
            // One that has ended meanwhile is not counted.
            let Ok(status) = std::fs::read_to_string(thread?.path().join("status")) else { continue };
            switches += number_after(&status, "voluntary_ctxt_switches:")? + number_after(&status, "nonvoluntary_ctxt_switches:")?;
        }
        Ok(Used { user, system, written, switches })
    }

    /// Attempts of steps and tasks that have ended.
    pub async fn runs_done(&self) -> anyhow::Result<u64> {
        self.counter("ecommerce_module_operations_total{", "operation=\"process\"").await
    }

    /// Orders that were delivered.
    pub async fn delivered(&self) -> anyhow::Result<u64> {
        self.counter("ecommerce_workflow_executions_total{action=\"start_validation\"", "status=\"success\"").await
    }

    /// Waits until no workflow is under way.
    pub async fn wait_until_idle(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.counter("ecommerce_active_workflows{", "").await? > 0 {
            anyhow::ensure!(Instant::now() < deadline, "orders are still under way");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Waits until every event has reached whoever the bus gives it to.
    pub async fn wait_until_told(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.counter("ecommerce_outbox_events", "").await? > 0 {
            anyhow::ensure!(Instant::now() < deadline, "events are still in the outbox");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Replaces payment by a version with a custom section of its own (`Some`) or by the first one (`None`); from then to the
    /// first answer of `/healthz` that names the digest.
    pub async fn swap_payment(&self, variant: Option<u32>) -> anyhow::Result<Duration> {
        let mut bytes = std::fs::read(repository().join("target/components/payment.wasm"))?;
        if let Some(variant) = variant {
            // A custom section changes the digest and nothing else.
            bytes.extend_from_slice(&[0, 6, 1, b'v']);
            bytes.extend_from_slice(&variant.to_le_bytes());
        }
        let digest = sha256(&bytes);
        let path = self.folder.path().join("components/payment.wasm");
        let beside = path.with_extension("new");
        std::fs::write(&beside, bytes)?;
        let began = Instant::now();
        std::fs::rename(&beside, &path)?;
        let mut connection = self.connect().await?;
        loop {
            let health = connection.get("/healthz").await?;
            if String::from_utf8_lossy(&health).contains(&digest[..12]) {
                return Ok(began.elapsed());
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "the swap did not happen: {}", String::from_utf8_lossy(&health));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn counter(&self, prefix: &str, label: &str) -> anyhow::Result<u64> {
        let text = self.connect().await?.get("/metrics").await?;
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().filter(|line| line.starts_with(prefix) && line.contains(label));
        lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?)).sum()
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.address(), "").await
    }
}

fn number_after(text: &str, name: &str) -> anyhow::Result<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(value.trim().parse()?)
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

async fn spawn(folder: &Path, config: &Path, variables: &Variables) -> anyhow::Result<Running> {
    let program = std::env::var_os("MILLRACE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_millrace").into());
    let mut child = Command::new(program)
        .args(["run", "--log-format", "json", "--log", "warn,millrace::app=info", "--config"])
        .arg(config)
        .env("WEB_ROOT", repository().join("web/dist"))
        .env("LISTEN", "127.0.0.1:0")
        .env("OPERATOR_LISTEN", "127.0.0.1:0")
        .env("DATA_DIR", folder.join("data"))
        .env("COMPONENTS_DIR", folder.join("components"))
        .env("PRODUCTS_SEED", folder.join("products.json"))
        .env("JWT_SECRET", "a secret of the bench, long enough for HS256")
        .env("RATE_LIMIT_PER_MINUTE", "100000000")
        .env("RATE_LIMIT_BURST", "1000000")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stderr(Stdio::piped())
        .spawn()?;
    let log = BufReader::new(child.stderr.take().context("no log")?);
    let (found, address) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["message"] == "listening" {
                let _ = found.send(line["address"].as_str().unwrap_or_default().to_owned());
            }
        }
    });
    let address = address.recv_timeout(PATIENCE)?.parse()?;
    let running = Running { child, address };
    while Connection::open(address, "").await?.get("/readyz").await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(running)
}
