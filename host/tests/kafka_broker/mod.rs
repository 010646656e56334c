//! A real Kafka for a test: a broker of its own on a free port, which can be stopped, killed and started again.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// Longest wait for a broker; after a kill its old registration has to lapse first.
const READY: Duration = Duration::from_secs(60);
/// Ends the broker when the test does, in whatever way: the pipe to it closes.
const GUARD: &str = "java \"$@\" & exec 2>/dev/null; read -r how; kill -\"${how:-KILL}\" $!; wait $!";

/// Who makes the transitions after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The commit before them, and the event once more.
    CommitAndEvents,
    /// The event alone.
    Events,
}

/// The automatic transitions that an event can make instead: state left, state entered.
const AUTOMATIC: [(&str, &str); 2] = [("validated", "paying"), ("paid", "shipping")];

/// The text of `configs/monolith.yaml` with Kafka as its bus and `prefix` in place of `order` in the names of topics and group.
pub fn monolith_over_kafka(address: &str, prefix: &str, driver: Driver) -> String {
    let monolith = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    let begin = monolith.find("    type: messaging.broker\n").unwrap();
    let end = begin + monolith[begin..].find("    dependsOn:").unwrap();
    let kafka = format!("    type: messaging.kafka\n    config:\n      brokers: [\"{address}\"]\n      groupId: {prefix}-group\n");
    let text = format!("{}{kafka}{}", &monolith[..begin], &monolith[end..]).replace("order.", &format!("{prefix}."));
    if driver == Driver::Events { without_automatic_transitions(&text) } else { text }
}

/// A config of the shop in which events alone start payment and shipping.
pub fn without_automatic_transitions(config: &str) -> String {
    AUTOMATIC.iter().fold(config.to_owned(), |config, (from, to)| {
        let transition = format!("            fromState: {from}\n            toState: {to}\n");
        let automatic = format!("{transition}            autoTransform: true\n");
        assert!(config.contains(&automatic), "{from} -> {to}");
        config.replace(&automatic, &transition)
    })
}

/// A broker; dropping it kills it.
pub struct KafkaBroker {
    folder: tempfile::TempDir,
    port: u16,
    running: Option<Child>,
}

impl KafkaBroker {
    /// Starts one that nobody else uses.
    pub fn start() -> Self {
        let mut broker = Self::not_started();
        broker.start_again();
        broker
    }

    /// Starts one with lines of its own in its settings; the last one of a name counts.
    pub fn start_with(settings: &str) -> Self {
        let mut broker = Self::not_started();
        broker.set(settings);
        broker.start_again();
        broker
    }

    /// Adds lines to its settings, which count from its next start on.
    pub fn set(&self, settings: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.properties()).unwrap();
        writeln!(file, "{settings}").unwrap();
    }

    /// Runs one of Kafka's own tools, a class with arguments, at this broker.
    pub fn tool(&self, class: &str, arguments: &[&str]) {
        let command = [class, "--bootstrap-server", &self.address()].map(str::to_owned);
        let ran = Command::new("java").args(self.java()).args(command).args(arguments).output().unwrap();
        let told = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(ran.status.success(), "{class} {arguments:?}: {told}");
    }

    /// One that has an address but is not there yet.
    pub fn not_started() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, controller) = (free_port(), free_port());
        let constant = std::fs::read_to_string(repository().join("xtask/kafka/server.properties")).unwrap();
        let own = format!(
            "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\nlog.dirs={}\n\
             log.cleaner.backoff.ms=200\n",
            folder.path().join("topics").display()
        );
        std::fs::write(folder.path().join("server.properties"), format!("{constant}\n{own}")).unwrap();
        let broker = Self { folder, port, running: None };
        let cluster = "bWlsbHJhY2UtdGVzdC1rYQ";
        let format = ["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", cluster, "--config"];
        let formatted = Command::new("java").args(broker.java()).args(format).arg(broker.properties()).output().unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        broker
    }

    /// One that all tests of this program share while any of them runs.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<KafkaBroker>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let broker = Arc::new(Self::start());
            *shared = Arc::downgrade(&broker);
            broker
        })
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it with what it had, and waits until it answers.
    pub fn start_again(&mut self) {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh"]).args(self.java()).arg("kafka.Kafka").arg(self.properties());
        self.running = Some(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + READY;
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", self.address()).set("reconnect.backoff.max.ms", "100");
        settings.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        // Another client each time: one that a broker has told of an address where nobody is may hear nothing any more.
        let answers = || {
            let asker: BaseConsumer = settings.create().unwrap();
            asker.fetch_metadata(None, Duration::from_secs(2)).is_ok_and(|metadata| !metadata.brokers().is_empty())
        };
        while !answers() {
            assert!(Instant::now() < deadline, "Kafka does not answer: {}", self.log());
        }
    }

    /// Lets it close its logs and go.
    pub fn stop(&mut self) {
        self.end("TERM\n");
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        self.end("KILL\n");
    }

    fn end(&mut self, how: &str) {
        let Some(mut running) = self.running.take() else { return };
        let _ = running.stdin.take().unwrap().write_all(how.as_bytes());
        running.wait().unwrap();
    }

    fn properties(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    fn java(&self) -> Vec<String> {
        let libs = repository().join("target/kafka/libs");
        assert!(libs.exists(), "Kafka's jars are missing: run `cargo xtask kafka --prepare`");
        vec![
            "-Xmx384m".into(),
            "-XX:+UseSerialGC".into(),
            "-XX:TieredStopAtLevel=1".into(),
            // Its native libraries are unpacked there, and a broker that is killed does not tidy up.
            format!("-Djava.io.tmpdir={}", self.folder.path().display()),
            format!("-Dmillrace.kafka.log={}", self.folder.path().join("broker.log").display()),
            format!("-Dlog4j2.configurationFile={}", repository().join("xtask/kafka/log4j2.properties").display()),
            "-cp".into(),
            libs.join("*").display().to_string(),
        ]
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("broker.log")).unwrap_or_default()
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port on which nobody listens, below those that the system gives to connections: whoever has it may be gone for a while and find it free.
pub fn free_port() -> u16 {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 17_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Programs that run side by side begin at different places.
    let mut candidates = (0..COUNT).map(|_| FIRST + (std::process::id() * 101 + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let free = candidates.find_map(|port| TcpListener::bind(("127.0.0.1", port as u16)).ok());
    free.unwrap().local_addr().unwrap().port()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
