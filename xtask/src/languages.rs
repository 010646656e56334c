//! Whether a step can be written in each language that there is a template for: made, built, tested, checked and called as its README says,
//! with the tools that its build fetches; and an order of the shop that passes a step of each language.

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
use crate::{apt, build, kafka, python, secret, whole_shop, workspace};

/// As `millrace new` names them.
const LANGUAGES: [&str; 4] = ["rust", "javascript", "typescript", "python"];
const TEMPLATES: &str = "authoring/templates";
/// What the step of a template says of the job of that template: a quarter of the limit.
const SCORE: f64 = 0.25;
/// How long the order may take: each step of it is run for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let wanted = read(&workspace::root().join(TEMPLATES).join("python/requirements.txt"))?;
    python::programs("componentize-py", &wanted.lines().collect::<Vec<_>>()).map(drop)
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
    for language in LANGUAGES {
        let begun = Instant::now();
        make(&program, &folder, language).with_context(|| format!("a step in {language}"))?;
        println!("{language}: from nothing to a step that answers in {:.1} s", begun.elapsed().as_secs_f64());
    }
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

/// What the README of a template says, as far as nothing has to run for it.
fn make(program: &Path, folder: &Path, language: &str) -> anyhow::Result<()> {
    let name = name(language);
    run(Command::new(program).args(["new", &name, "--lang", language, "--in"]).arg(folder))?;
    let (made, built) = (folder.join(&name), file(folder, language));
    run(&mut Command::new(made.join("build.sh")))?;
    run(&mut Command::new(made.join("test.sh")))?;
    run(Command::new(program).arg("check").arg(&built))?;
    let cache = folder.join("cache");
    let mut call = Command::new(program);
    call.arg("call").arg(&built).arg("--input").arg(made.join("job.json")).arg("--cache").arg(cache).args(["--output", "json"]);
    let called: Value = serde_json::from_str(&output(&mut call)?).context("the answer is no JSON")?;
    ensure!(called["results"]["score"] == SCORE && called["results"]["checked_by"] == name, "the step answers {called:#}");
    Ok(())
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
            Ok(())
        } => passed,
        () = stop_wanted.next() => bail!("stopped"),
    };
    parts.stop(&mut stop_wanted).await;
    passed
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
        assert!(config.contains("fromState: past_python\n"));
    }
}
