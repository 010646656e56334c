//! Components whose files are links, missing, damaged or another's, and a system that tells nobody of changed files.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Method, StatusCode};
use sha2::Digest as _;

use super::long;
use super::test_env::{Condition, until};
use crate::client::Client;
use crate::process::{Home, wait_until_ready};
use crate::test_app::{SECRET, built, changed_monolith, repository};

/// As an editor or a deploy does it: written beside, then renamed.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// What `/healthz` says of a module, once it says `expected`.
async fn until_told(client: &Client, module: &str, expected: &str) -> serde_json::Value {
    until(&format!("{module}: {expected}"), async || {
        let answer = client.try_send(Method::GET, "/healthz", None, &[]).await.ok()?;
        let check = answer.body["checks"][module].clone();
        check["message"].as_str()?.contains(expected).then_some(check)
    })
    .await
}

/// Waits until `file` serves as payment.
pub(super) async fn until_it_pays(client: &Client, file: &Path) {
    let digest = millrace::services::engine::hex(&sha2::Sha256::digest(fs::read(file).unwrap()));
    let check = until_told(client, "payment-processor", &digest[..12]).await;
    assert_eq!(check["status"], "up", "{check}");
}

/// Waits until the process is not ready for a reason with this in it.
async fn until_not_ready(client: &Client, because: &str) {
    until(&format!("not ready because of {because}"), async || {
        let answer = client.try_send(Method::GET, "/readyz", None, &[]).await.ok()?;
        (answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.body["reason"].as_str()?.contains(because)).then_some(())
    })
    .await;
}

/// How many runs of payment have ended like this.
async fn payments(client: &Client, outcome: &str) -> f64 {
    let metrics = client.get("/metrics").await.body;
    let series = format!("ecommerce_component_runs_total{{component=\"payment-processor\",outcome=\"{outcome}\"}} ");
    metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

/// Places an order and sees that it is charged and delivered.
async fn buy(client: &Client, name: &str) {
    let customer = client.customer(name).await;
    let ended = customer.order_until("prod-001", 1, "tok_visa", &["delivered", "failed", "cancelled"]).await;
    assert!(ended["state"] == "delivered" && ended["data"]["transaction_id"].is_string(), "{ended:#}");
}

/// The folder of components as Kubernetes mounts it: each file a link to `..data/...`, and `..data` a link that is replaced by a rename.
fn mount(home: &Home, version: &str, payment: &str) {
    let folder = home.component("..data").parent().unwrap().to_owned();
    fs::create_dir(folder.join(version)).unwrap();
    for (name, file) in [("inventory", "inventory.wasm"), ("payment", payment), ("shipping", "shipping.wasm"), ("notify", "notify.wasm")] {
        fs::copy(built(file), folder.join(version).join(format!("{name}.wasm"))).unwrap();
    }
    std::os::unix::fs::symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_folder_of_links_serves_and_a_swap_of_its_link_is_seen() {
    let home = Home::new();
    for name in ["inventory", "payment", "shipping", "notify"] {
        let file = home.component(&format!("{name}.wasm"));
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(format!("..data/{name}.wasm"), file).unwrap();
    }
    mount(&home, "..2026_1", "payment.wasm");
    let process = home.start(&[]).await;
    until_it_pays(&process.client, &built("payment.wasm")).await;
    mount(&home, "..2026_2", "payment-v2.wasm");
    until_it_pays(&process.client, &built("payment-v2.wasm")).await;
    buy(&process.client, "ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_version_the_process_is_not_ready_and_orders_wait_for_one() {
    let home = Home::new();
    fs::write(home.component("payment.wasm"), b"").unwrap();
    fs::write(home.component("shipping.wasm"), [0xfe; 4_096]).unwrap();
    let process = home.spawn_under(Condition::default());
    until_not_ready(&process.client, "payment-processor: no version serves").await;
    let shipping = until_told(&process.client, "shipping-service", "no version serves").await;
    assert!(shipping["message"].as_str().unwrap().contains("shipping.wasm' is not WebAssembly"), "{shipping}");
    let customer = process.client.customer("ada").await;
    let placed = customer.order("prod-001", 1, "tok_visa").await;
    let id = placed.body["id"].as_str().unwrap().to_owned();
    until("a payment that waits", async || (payments(&process.client, "denied").await > 0.0).then_some(())).await;
    assert_eq!(customer.wait_for("orders", &id, &["paying", "payment_failed", "failed"]).await["state"], "paying");

    // Nor does a process that is started while orders are under way spend their attempts.
    let token = process.client.login("ada").await.token().to_owned();
    drop(process);
    let process = home.spawn_under(Condition::default());
    until_not_ready(&process.client, "payment-processor: no version serves").await;
    until("a payment that waits again", async || (payments(&process.client, "denied").await > 0.0).then_some(())).await;
    let customer = process.client.with_token(&token);
    replace(&home.component("payment.wasm"), &fs::read(built("payment.wasm")).unwrap());
    assert_eq!(customer.wait_for("orders", &id, &["shipping", "payment_failed", "failed"]).await["state"], "shipping");
    until_not_ready(&process.client, "shipping-service: no version serves").await;
    replace(&home.component("shipping.wasm"), &fs::read(built("shipping.wasm")).unwrap());
    let ended = customer.wait_for("orders", &id, &["delivered", "failed"]).await;
    assert_eq!(ended["state"], "delivered", "{ended:#}");
    wait_until_ready(&process.client).await;
    assert_eq!((payments(&process.client, "accepted").await, payments(&process.client, "transient").await), (1.0, 0.0));
}

/// Whether `millrace validate` is content with the monolith and these components, and what it says.
fn validate(components: &Path, more: &[&str]) -> (bool, String) {
    validate_config(&repository().join("configs/monolith.yaml"), components, more)
}

fn validate_config(config: &Path, components: &Path, more: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(["validate", "--format", "lines"])
        .args(more)
        .arg(config)
        // Pages may not be built here; any folder will do.
        .envs([("COMPONENTS_DIR", components.as_os_str()), ("WEB_ROOT", components.as_os_str()), ("JWT_SECRET", SECRET.as_ref())])
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn validate_loads_the_components_and_tells_what_is_wrong_with_each() {
    let home = Home::new();
    let components = home.component("payment.wasm").parent().unwrap().to_owned();
    let (valid, said) = validate(&components, &[]);
    assert!(valid && said.contains("0 errors"), "{said}");

    fs::copy(built("shipping.wasm"), home.component("payment.wasm")).unwrap();
    fs::write(home.component("shipping.wasm"), b"garbage").unwrap();
    fs::remove_file(home.component("notify.wasm")).unwrap();
    let (valid, said) = validate(&components, &[]);
    assert!(!valid && said.contains("3 errors and 0 warnings"), "{said}");
    let config = fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    for (file, module, says) in [
        ("payment.wasm", "payment-processor", "expected component 'payment', the file describes itself as 'shipping'"),
        ("shipping.wasm", "shipping-service", "is a text file, not a component"),
        ("notify.wasm", "notification-sender", "does not exist"),
    ] {
        let line = config.lines().position(|line| line.contains("source:") && line.ends_with(&format!("/{file}"))).unwrap() + 1;
        let told = said.lines().find(|told| told.contains(&format!("monolith.yaml:{line}:"))).unwrap_or_else(|| panic!("{file}: {said}"));
        assert!(told.contains(": error: ") && told.contains(module) && told.contains(says), "{told}");
    }
    let (valid, said) = validate(&components, &["--without-components"]);
    assert!(valid, "{said}");
}

/// The monolith with another `holdMinutes` of the component that reserves stock.
fn config_with(home: &Home, hold: &str) -> PathBuf {
    changed_monolith(home.path(), &[("holdMinutes: ${RESERVATION_MINUTES:-30}", hold)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_its_component_does_not_take_is_told_and_fails_no_order() {
    let home = Home::new();
    for (hold, says) in [("holdMinutes: soon", "/config/holdMinutes: "), ("holdMinuts: 30", "'holdMinuts' was unexpected")] {
        let config = config_with(&home, hold);
        let (valid, said) = validate_config(&config, home.component("payment.wasm").parent().unwrap(), &[]);
        assert!(!valid, "{said}");
        let told = said.lines().find(|line| line.contains(": error: ")).unwrap_or_else(|| panic!("{said}"));
        let named = told.contains("'inventory-checker'") && told.contains("step 'step-validate'") && told.contains("step 'step-restock'");
        assert!(named && told.contains(says) && !told.contains("soon"), "{told}");
    }

    let process = home.spawn_under(Condition { config: config_with(&home, "holdMinutes: soon"), ..Condition::default() });
    until_not_ready(&process.client, "inventory-checker: no version serves").await;
    until_told(&process.client, "inventory-checker", "does not take the configuration").await;
    let customer = process.client.customer("ada").await;
    let placed = customer.order("prod-001", 1, "tok_visa").await;
    let id = placed.body["id"].as_str().unwrap().to_owned();
    let token = customer.token().to_owned();
    drop(process);
    let process = home.start(&[]).await;
    let ended = process.client.with_token(&token).wait_for("orders", &id, &["delivered", "failed", "cancelled"]).await;
    assert_eq!(ended["state"], "delivered", "{ended:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_version_serves_while_its_file_is_missing() {
    let home = Home::new();
    home.start(&[]).await.kill();
    fs::remove_file(home.component("payment.wasm")).unwrap();
    let process = home.start(&[]).await;
    let check = until_told(&process.client, "payment-processor", "payment.wasm' does not exist").await;
    assert_eq!(check["status"], "degraded", "{check}");
    buy(&process.client, "ada").await;
    fs::copy(built("payment-v2.wasm"), home.component("payment.wasm")).unwrap();
    until_it_pays(&process.client, &built("payment-v2.wasm")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_component_in_its_place_is_refused_by_name_and_every_order_is_charged() {
    let home = Home::new();
    let process = home.start(&[]).await;
    replace(&home.component("payment.wasm"), &fs::read(built("shipping.wasm")).unwrap());
    let refused = "expected component 'payment', the file describes itself as 'shipping'";
    until_told(&process.client, "payment-processor", refused).await;
    buy(&process.client, "ada").await;
    process.kill();
    let process = home.start(&[]).await;
    let check = until_told(&process.client, "payment-processor", refused).await;
    assert_eq!(check["status"], "degraded", "{check}");
    buy(&process.client, "bea").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_file_notifications_files_are_looked_at_and_it_is_told_once() {
    let home = Home::new();
    for (call, error, limit) in [("inotify_init1", "EMFILE", "max_user_instances"), ("inotify_add_watch", "ENOSPC", "max_user_watches")] {
        let log = home.path().join(limit);
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}"));
        let around = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let condition = Condition { around: &around, log: Some(File::create(&log).unwrap().into()), ..Condition::default() };
        let process = home.start_under(condition).await;
        // Each takes a look, and so some looks are over in the end.
        for version in ["payment-v2.wasm", "payment.wasm", "payment-v2.wasm", "payment.wasm"] {
            replace(&home.component("payment.wasm"), &fs::read(built(version)).unwrap());
            until_it_pays(&process.client, &built(version)).await;
        }
        let log = fs::read_to_string(log).unwrap();
        let told: Vec<&str> = log.lines().filter(|line| line.contains(&format!("fs.inotify.{limit} (now "))).collect();
        assert!(told.len() == 1 && told[0].contains("WARN"), "{log}");
    }
}

/// Files beside the database, by the end of their names.
fn beside_the_database(home: &Home, end: &str) -> PathBuf {
    let entries = fs::read_dir(home.path().join("data")).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.to_string_lossy().ends_with(end)).unwrap_or_else(|| panic!("no file ends with {end}"))
}

fn compiled(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.path().join("data/components-cache/compiled")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_beside_the_database_are_no_obstacle() {
    let home = Home::new();
    home.start(&[]).await.kill();
    let (in_flight, lock) = (beside_the_database(&home, ".in-flight"), beside_the_database(&home, ".lock"));
    for round in 0..if long() { 16 } else { 2 } {
        for (number, path) in compiled(&home).into_iter().enumerate() {
            let mut code = fs::read(&path).unwrap();
            let at = code.len() * (4 * round + number) / 64;
            code[at] ^= 1 << (round % 8);
            fs::write(&path, code).unwrap();
        }
        let garbage: Vec<u8> = (0..1_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[round % 4]).collect();
        fs::write(&in_flight, &garbage).unwrap();
        File::options().append(true).open(&lock).unwrap().write_all(&garbage).unwrap();
        let process = home.start(&[]).await;
        buy(&process.client, &format!("ada{round}")).await;
        let log = process.log().lock().join("\n");
        assert_eq!(log.matches("compiled code of a component is bad: it is compiled again").count(), 4, "{log}");
        process.kill();
    }
    fs::remove_file(&in_flight).unwrap();
    fs::create_dir(&in_flight).unwrap();
    let process = home.start(&[]).await;
    buy(&process.client, "bea").await;
    let log = process.log().lock().join("\n");
    assert_eq!(log.matches("the in-flight file cannot be read and written").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_compiled_for_a_user_who_may_not_be_less_nice() {
    let home = Home::new();
    // Whoever runs this test: nobody is let back in front.
    let around =
        ["nice", "-n", "15", "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=setpriority", "-e", "inject=setpriority:error=EACCES"];
    let process = home.start_under(Condition { around: &around, ..Condition::default() }).await;
    buy(&process.client, "ada").await;
    // Only what is compiled beside what serves stands back.
    replace(&home.component("payment.wasm"), &fs::read(built("payment-v2.wasm")).unwrap());
    until_it_pays(&process.client, &built("payment-v2.wasm")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_compiled_where_less_is_allowed_than_compiling_may_use() {
    let home = Home::new();
    // What was set can be raised by root alone, and here not even by root.
    let for_anybody = "[ $(id -u) = 0 ] && exec setpriv --bounding-set=-sys_resource \"$@\"; exec \"$@\"";
    let around = ["prlimit", "--cpu=100:100", "sh", "-c", for_anybody, "sh"];
    let process = home.start_under(Condition { around: &around, ..Condition::default() }).await;
    buy(&process.client, "ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn components_run_where_a_filter_of_system_calls_forbids_what_can_be_done_without() {
    let home = Home::new();
    let filter = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=setpriority,memfd_create",
        "-e",
        "inject=setpriority,memfd_create:error=EPERM",
    ];
    let process = home.start_under(Condition { around: &filter, ..Condition::default() }).await;
    buy(&process.client, "ada").await;
    replace(&home.component("payment.wasm"), &fs::read(built("payment-v2.wasm")).unwrap());
    until_it_pays(&process.client, &built("payment-v2.wasm")).await;
    assert_eq!(process.kept_log().matches("memfd_create").count(), 1, "{}", process.kept_log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_could_not_be_copied_is_taken_when_it_can() {
    let home = Home::new();
    let process = home.start(&[]).await;
    let copies = home.path().join("data/components-cache/components");
    let aside = copies.with_file_name("aside");
    fs::rename(&copies, &aside).unwrap();
    // A file where the folder was lets nothing be written there, as a full disk does.
    fs::write(&copies, b"").unwrap();
    replace(&home.component("payment.wasm"), &fs::read(built("payment-v2.wasm")).unwrap());
    let check = until_told(&process.client, "payment-processor", "cannot be copied to").await;
    assert_eq!(check["status"], "degraded", "{check}");
    buy(&process.client, "ada").await;
    fs::remove_file(&copies).unwrap();
    fs::rename(&aside, &copies).unwrap();
    until_it_pays(&process.client, &built("payment-v2.wasm")).await;
    buy(&process.client, "bea").await;
}
