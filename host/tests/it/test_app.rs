//! The app in this process, built as in production: same config, same plan, same wiring, on a port of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace::app::{App, Surroundings};
use millrace::clock::Clock;
use millrace::config::{self, Environment};
use millrace::plan::access::Role;
use millrace::runtime::Runtime;
use millrace::shutdown::Stop;
use millrace::store::Store;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::client::{Client, PATIENCE};

/// Secret of every test.
pub const SECRET: &str = "a secret of the tests, long enough for HS256";

/// A running app; dropping it stops it.
pub struct TestApp {
    pub client: Client,
    /// At the address for those who run it, if the config has one.
    pub operator: Option<Client>,
    pub clock: Clock,
    pub store: Store,
    pub runtime: Arc<Runtime>,
    pub folder: tempfile::TempDir,
    stop: Stop,
    running: Option<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

/// Where the repository is.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A built component of the product, for example `payment.wasm`.
pub fn built(name: &str) -> PathBuf {
    let components = repository().join("target/components");
    let path = [components.join(name), components.join("testing").join(name)].into_iter().find(|path| path.exists()).unwrap_or_default();
    assert!(path.exists(), "{name} is not built: run `cargo xtask build --fixtures`");
    path
}

/// The monolith's config in `folder`, without saying which component each module expects: a stand-in may serve in its place.
pub fn monolith_of_any_component(folder: &Path) -> PathBuf {
    let config = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    let lines: Vec<&str> = config.lines().filter(|line| !line.trim_start().starts_with("expect:")).collect();
    assert!(lines.len() < config.lines().count(), "the config expects no component any more");
    let path = folder.join("any.yaml");
    std::fs::write(&path, from_anywhere(&lines.join("\n"))).unwrap();
    path
}

/// A config of the product whose files are found wherever it is put.
pub fn from_anywhere(config: &str) -> String {
    config.replace(":-../", &format!(":-{}/", repository().canonicalize().unwrap().display()))
}

/// The monolith with these texts in the place of others, in `folder`.
pub fn changed_monolith(folder: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let text = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    let text = changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "'{from}' is no longer in the config");
        text.replace(from, to)
    });
    let path = folder.join("changed.yaml");
    std::fs::write(&path, from_anywhere(&text)).unwrap();
    path
}

impl TestApp {
    /// The monolith with components of its own, so that they can be swapped.
    pub async fn monolith() -> Self {
        Self::start("configs/monolith.yaml", &[]).await
    }

    /// A config of the repository with a database, components and port of its own.
    pub async fn start(config: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let components = folder.path().join("components");
        std::fs::create_dir(&components).unwrap();
        for name in ["inventory", "payment", "shipping", "notify", "returns-inspection", "hostile"] {
            std::fs::copy(built(&format!("{name}.wasm")), components.join(format!("{name}.wasm"))).unwrap();
        }
        Self::start_in(folder, &repository().join(config), variables).await
    }

    /// A config in a folder that is there already: how an app is started again.
    pub async fn start_in(folder: tempfile::TempDir, config: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_at(Clock::system(), folder, config, variables).await
    }

    /// The same at another time.
    pub async fn start_at(clock: Clock, folder: tempfile::TempDir, config: &Path, variables: &[(&str, &str)]) -> Self {
        let environment = environment(folder.path(), variables);
        crate::compiled::give(&folder.path().join("data"));
        let (plan, _) = config::load(config, &environment).unwrap_or_else(|report| panic!("{}", report.lines()));
        let surroundings = Surroundings { clock: clock.clone(), compiler: env!("CARGO_BIN_EXE_millrace").into(), environment };
        let app = App::build(plan, surroundings).await.unwrap();
        let client = Client::new(&format!("http://{}", app.address().unwrap()));
        let operator = app.operator_address().map(|address| Client::new(&format!("http://{address}")));
        let (store, runtime, stop) = (app.store().unwrap(), app.runtime().unwrap(), Stop::new());
        let running = tokio::spawn(app.run(stop.clone()));
        let app = Self { client, operator, clock, store, runtime, folder, stop, running: Some(running) };
        app.wait_until_ready().await;
        crate::compiled::keep(&app.folder.path().join("data"));
        app
    }

    /// Somebody with these roles, and a token that says so.
    pub async fn staff(&self, name: &str, roles: &[Role]) -> Client {
        let id = self.client.customer(name).await.get("/api/auth/profile").await.body["id"].as_str().unwrap().to_owned();
        let roles = roles.iter().map(|role| role.name().to_owned()).collect();
        self.store.users.set_roles(&id, &roles, None).await.unwrap().unwrap();
        self.client.login(name).await
    }

    /// The folder of the components that this app watches.
    pub fn component(&self, name: &str) -> PathBuf {
        self.folder.path().join("components").join(name)
    }

    /// Stops the app as SIGTERM would, and gives its folder back.
    pub async fn stop(mut self) -> tempfile::TempDir {
        self.stop.request();
        self.running.take().unwrap().await.unwrap().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    async fn wait_until_ready(&self) {
        crate::process::wait_until_ready(&self.client).await;
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.request();
        // What is dropped with its runtime, before it has ended, keeps its engine and its database as long as this process lives.
        let Some(running) = self.running.take() else { return };
        let handle = Handle::current();
        if handle.runtime_flavor() == RuntimeFlavor::MultiThread && !std::thread::panicking() {
            let _ = tokio::task::block_in_place(|| handle.block_on(tokio::time::timeout(PATIENCE, running)));
        }
    }
}

/// The variables of a test, overridden by `variables`.
pub fn environment(folder: &Path, variables: &[(&str, &str)]) -> Environment {
    let data = folder.join("data").display().to_string();
    let components = folder.join("components").display().to_string();
    let standard = [
        ("LISTEN", "127.0.0.1:0"),
        ("OPERATOR_LISTEN", "127.0.0.1:0"),
        ("DATA_DIR", data.as_str()),
        ("COMPONENTS_DIR", components.as_str()),
        ("WEB_ROOT", "/nonexistent"),
        ("JWT_SECRET", SECRET),
        ("RATE_LIMIT_PER_MINUTE", "1000000"),
        ("RATE_LIMIT_BURST", "100000"),
        ("PAYMENT_RETRY_AFTER", "200ms"),
        ("SHIPPING_RETRY_AFTER", "200ms"),
        // Many apps are in this one process: each place takes address space.
        ("MAX_CONCURRENT_RUNS", "64"),
    ];
    standard.into_iter().chain(variables.iter().copied()).fold(Environment::default(), |env, (name, value)| env.with(name, value))
}
