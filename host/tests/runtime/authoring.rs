//! What the author of a component is told before it serves anywhere: in the words of the host that would run it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use millrace::runtime::Limits;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixtures::{built, component, exporting, of_version, tiny, tiny_from, tiny_with, with_part};
use crate::workshop::Plan;

/// What the program says when it is asked this. Whoever runs the tests may have a folder of their own for compiled code.
fn said(arguments: &[&str], file: &Path) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_millrace"));
    program.env_remove("MILLRACE_CACHE").args(arguments).arg(file).output().expect("it starts")
}

fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// A file of this name in a folder of its own.
fn placed(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(&file, content).expect("a file");
    (folder, file)
}

/// A step whose config schema is this text of ten bytes.
fn with_schema(schema: &str) -> Vec<u8> {
    assert_eq!(schema.len(), 10, "it has its place");
    let schema = format!("{}\")", schema.replace('"', "\\22"));
    tiny_from(|core| core.replacen(r"\50\00\00\00\02", r"\50\00\00\00\0a", 1).replace("{}\")", &schema), "i32.const 96")
}

/// Components that no host takes: what is wrong with each, and what the author is told to change.
fn wrong() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = tiny("i32.const 96");
    let importing = |interface: &str| component(&format!("(component (import \"{interface}\" (instance)))"));
    vec![
        ("an empty file", Vec::new(), "was probably not written completely"),
        ("half a file", whole[..whole.len() / 2].to_vec(), "was probably not written completely"),
        ("a text file", b"hello, this is a text".to_vec(), "build it for the target wasm32-wasip2"),
        ("WebAssembly as text", b"(component)".to_vec(), "convert it with `wasm-tools parse`"),
        ("garbage", vec![0xfe; 4_096], "build it for the target wasm32-wasip2"),
        ("a program of this machine", [b"\x7fELF".as_slice(), &[0; 4_096]].concat(), "build it for the target wasm32-wasip2"),
        ("a file of more than 64 MiB", vec![0; (64 << 20) + 1], "at most 67108864 are read"),
        ("a core module", component("(module)"), "or wrap it with `millrace componentize`"),
        ("another world", component("(component)"), "implement the world `step` of millrace:step@0.1.0 or 0.2.0"),
        ("a missing export", exporting(&["describe"]), "does not export `process`"),
        ("a result of another type", exporting(&["describe", "process"]), "rebuild it with wit/step.wit of this host"),
        ("an old version", of_version("0.0.9"), "was built for millrace:step@0.0.9, and this host offers millrace:step@0.1.0 and 0.2.0"),
        ("a version to come", of_version("0.3.0"), "was built for millrace:step@0.3.0, and this host offers millrace:step@0.1.0 and 0.2.0"),
        ("WASI to come", importing("wasi:cli/environment@0.3.0"), "this host offers WASI 0.2"),
        ("an import that is not granted", importing("wasi:http/outgoing-handler@0.2.3"), "name the services it may call there"),
        ("a value that is not granted", importing("wasi:config/store@0.2.0-rc.1"), "list the values it may read there"),
        ("a state that is not granted", built("keeper"), "write `capabilities: {kv: {}}` to let it keep a state"),
        ("an import that nobody offers", importing("acme:secrets/read@1.0.0"), "which this host does not offer"),
        (
            "an asynchronous build",
            with_part("(component (core func (canon task.return (result u32))))"),
            "the option `--sync` of componentize-qjs",
        ),
        ("threads", with_part("(component (core module (memory 1 2 shared)))"), "cannot be compiled"),
        ("tail calls", with_part("(component (core module (func $f (return_call $f))))"), "without its option `--opt-size`"),
        ("too many functions", tiny_with(&"(func)".repeat(60_001), "i32.const 96"), "at most 60000 are compiled"),
        ("a schema that is no object", with_schema("\"anything\""), "that are not a JSON object"),
        ("a schema that is none", with_schema("{\"type\":5}"), "not a JSON Schema at /type"),
        (
            "a description that traps",
            tiny_from(|core| core.replace("(i32.const 16))", "unreachable)"), "i32.const 96"),
            "`describe` trapped",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_component_is_refused_by_check_and_by_the_host_that_runs_in_the_same_words() {
    for (what, file, says) in wrong() {
        let workshop = Plan::of(file).start().await;
        let refused = workshop.refused().reason;
        assert!(refused.contains(says), "{what}: {refused}");
        let output = said(&["check", "--output", "json"], &workshop.source);
        assert_eq!(printed(&output), json!({"fits": false, "reason": refused}), "{what}");
        assert_eq!(output.status.code(), Some(1), "{what}");
    }
}

#[test]
fn what_is_refused_is_documented_with_what_the_author_is_told() {
    let page = include_str!("../../../docs/authoring.md");
    let table =
        page.lines().skip_while(|line| !line.starts_with("| the file is, or has |")).skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<&str> = table.collect();
    let wrong = wrong();
    assert_eq!(rows.len(), wrong.len(), "each row is tried, and each that is tried has a row");
    for (row, (what, _, says)) in rows.iter().zip(&wrong) {
        assert!(row.starts_with(&format!("| {what} |")) && row.contains(says), "'{what}' is told: {says}, and not {row}");
    }
}

#[test]
fn a_good_component_is_shown_with_what_it_asks_for_and_what_it_is() {
    let (_folder, file) = placed("fraud.wasm", &tiny("i32.const 96"));
    let output = said(&["check"], &file);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.starts_with("fits: tiny 1.0.0"), "{output:?}");
    let checked = printed(&said(&["check", "-o", "json"], &file));
    assert_eq!(checked["exports"], json!(["describe", "process"]), "{checked}");
    assert_eq!((&checked["fits"], &checked["memories"], &checked["world"]), (&json!(true), &json!(1), &json!("millrace:step/step@0.1.0")));
}

#[test]
fn grants_on_the_command_line_count_as_those_of_a_config() {
    let (_folder, file) = placed("caller.wasm", &built("caller"));
    let refused = said(&["check"], &file);
    let text = String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && text.contains("`capabilities.http` of module 'caller' grants nothing"), "{refused:?}");
    let granted = printed(&said(&["check", "--grant", "stock=http://127.0.0.1:1", "--value", "region=eu", "-o", "json"], &file));
    assert_eq!(granted["granted"], json!(["http stock", "config region"]), "{granted}");
}

#[test]
fn a_config_says_what_the_component_is_granted_and_which_one_is_expected() {
    let (folder, file) = placed("fraud.wasm", &tiny("i32.const 96"));
    let config = folder.path().join("shop.yaml");
    let written =
        "modules:\n  - name: fraud-checker\n    type: dynamic.component\n    config: {source: ./fraud.wasm, expect: {name: fraud}}\n";
    std::fs::write(&config, written).expect("a config");
    let output = said(&["check", "--config", &config.to_string_lossy()], &file);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("expected component 'fraud', the file describes itself as 'tiny'"), "{output:?}");
    let output = said(&["check", "--config", &config.to_string_lossy(), "--component", "nobody"], &file);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("has no component 'nobody'; it has 'fraud-checker'"), "{output:?}");
}

#[test]
fn a_folder_of_its_authors_own_takes_no_cache_and_is_left_as_it_is() {
    let (folder, file) = placed("hostile.wasm", &built("hostile"));
    let own = folder.path().join("notes");
    std::fs::create_dir(&own).expect("a folder");
    std::fs::write(own.join("ideas.txt"), "mine").expect("a file");
    let output = said(&["check", "--cache", &own.to_string_lossy()], &file);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("for --cache has other files"), "{output:?}");
    let left: Vec<_> = std::fs::read_dir(&own).expect("it is there").map(|entry| entry.expect("a file").file_name()).collect();
    assert_eq!(left, ["ideas.txt"]);
    let empty = folder.path().join("empty");
    assert!(said(&["check", "--cache", &empty.to_string_lossy()], &file).status.success(), "a new one is made");
}

/// Has `hostile` do a job with this data; gives what was printed, and the exit status.
fn called(data: &Value, more: &[&str]) -> (Value, Option<i32>) {
    let (folder, file) = placed("hostile.wasm", &built("hostile"));
    let job = folder.path().join("job.json");
    std::fs::write(&job, json!({"data": data, "config": {"limit": 7}}).to_string()).expect("a job");
    let job = job.to_string_lossy().into_owned();
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("runtime-cache").to_string_lossy().into_owned();
    let output = said(&[&["call", "--cache", &cache, "-o", "json", "--input", &job], more].concat(), &file);
    (printed(&output), output.status.code())
}

#[test]
fn a_job_is_done_in_the_sandbox_and_the_exit_status_tells_how_it_ended() {
    for (mode, outcome, status) in
        [("config", "accepted", 0), ("reject", "rejected", 3), ("transient", "transient", 4), ("permanent", "permanent", 5)]
    {
        let (printed, code) = called(&json!({"mode": mode}), &[]);
        assert_eq!((printed["outcome"].as_str(), code), (Some(outcome), Some(status)), "{printed}");
        assert!(printed["memoryBytes"].as_u64().is_some_and(|bytes| bytes >= 64 << 10), "{printed}");
    }
    let (printed, _) = called(&json!({"mode": "config"}), &[]);
    assert_eq!(printed["results"], json!({"limit": 7}));
    let (printed, _) = called(&json!({"mode": "reject"}), &[]);
    assert_eq!((&printed["code"], &printed["results"]), (&json!("insufficient_funds"), &json!({"last4": "0002"})));
}

#[test]
fn what_a_component_writes_and_which_limit_ended_it_are_shown() {
    let (printed, _) = called(&json!({"mode": "print"}), &[]);
    assert!(printed["log"].as_array().is_some_and(|lines| lines.iter().any(|line| line["level"] == "debug")), "{printed}");
    let (printed, code) = called(&json!({"mode": "grow"}), &[]);
    assert_eq!((printed["limit"].as_str(), code), (Some("memory"), Some(4)), "{printed}");
    assert!(printed["memoryBytes"].as_u64().is_some_and(|bytes| bytes <= Limits::default().memory_bytes as u64), "{printed}");
}

#[test]
fn a_granted_service_answers_from_a_file() {
    let (folder, file) = placed("caller.wasm", &built("caller"));
    let (job, answer) = (folder.path().join("job.json"), folder.path().join("stock.json"));
    std::fs::write(&job, json!({"data": {"service": "stock", "path": "/items", "headers": {}, "body": ""}}).to_string()).expect("a job");
    std::fs::write(&answer, "{\"left\": 3}").expect("an answer");
    let given = format!("stock={}", answer.display());
    let output = said(&["call", "-o", "json", "--input", &job.to_string_lossy(), "--answer", &given, "--value", "region=eu"], &file);
    assert_eq!((&printed(&output)["results"]["status"], &printed(&output)["results"]["body"]), (&json!(200), &json!("{\"left\": 3}")));
}

#[test]
fn what_a_component_of_0_2_keeps_and_publishes_is_shown() {
    let (folder, file) = placed("keeper.wasm", &built("keeper"));
    let refused = said(&["check"], &file);
    let text = String::from_utf8_lossy(&refused.stdout);
    assert!(text.contains("`capabilities.kv` of module 'keeper' grants nothing"), "{refused:?}");
    let config = folder.path().join("shop.yaml");
    let written = "modules:\n  - name: keeper\n    type: dynamic.component\n    config:\n      source: ./keeper.wasm\n      capabilities:
        http: [{service: provider, url: 'http://127.0.0.1:1'}]
        secrets: {key: {value: s3cret, services: [provider]}}\n";
    std::fs::write(&config, written).expect("a config");
    let config = config.to_string_lossy().into_owned();
    let granted = ["--config", &config, "--kv", "--event", "fraud.flagged", "-o", "json"];
    let checked = printed(&said(&[&["check"], &granted[..]].concat(), &file));
    assert_eq!(checked["world"], "millrace:step/step@0.2.0", "{checked}");
    assert_eq!(checked["granted"], json!(["http provider", "kv 64 + 1024 KiB", "event fraud.flagged", "secret key"]));
    assert_eq!(checked["dataSchema"]["properties"]["do"], json!({"type": "array"}));

    let job = folder.path().join("job.json");
    let steps = json!([{"count": "orders"}, {"delete": "old"}, {"publish": "fraud.flagged"}]);
    std::fs::write(&job, json!({"data": {"do": steps}, "kv": {"component": {"orders": "41", "old": "x"}}}).to_string()).expect("a job");
    let job = job.to_string_lossy().into_owned();
    let called = printed(&said(&[&["call", "--input", &job], &granted[..]].concat(), &file));
    assert_eq!(called["results"]["keeper_count"], 42, "{called}");
    let change = |scope: &str, key: &str, set: Value, add: Value| json!({"scope": scope, "key": key, "set": set, "add": add});
    let changes = [
        change("instance", "orders", Value::Null, json!(1)),
        change("component", "old", Value::Null, Value::Null),
        change("component", "orders", Value::Null, json!(1)),
    ];
    assert_eq!(called["kv"], json!(changes));
    assert_eq!(called["events"], json!([{"type": "fraud.flagged", "topic": "fraud.flagged", "data": {"said": "hello"}}]));
}

#[test]
fn a_job_that_is_none_is_told_with_what_is_expected() {
    let (folder, file) = placed("worker.wasm", &tiny("i32.const 96"));
    let job = folder.path().join("job.json");
    for (text, says) in [
        ("{}", "missing field `data`"),
        ("{\"data\": 1}", "expected a map"),
        ("{\"data\": {}, \"tries\": 1}", "unknown field `tries`"),
        ("{\"data\": {}, \"timeoutSeconds\": 0}", "expected more than 0 and at most 3600"),
    ] {
        std::fs::write(&job, text).expect("a job");
        let output = said(&["call", "--input", &job.to_string_lossy()], &file);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains(says) && told.contains("job.json"), "{text}: {output:?}");
    }
}

#[test]
fn the_contract_is_in_the_program() {
    let contract = include_str!("../../../wit/step.wit");
    let folder = tempfile::tempdir().expect("a folder");
    let output = said(&["wit", "--out"], &folder.path().join("wit"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("wit/step.wit")).expect("it is written"), contract);
    let printed = Command::new(env!("CARGO_BIN_EXE_millrace")).arg("wit").output().expect("it starts");
    assert_eq!(String::from_utf8_lossy(&printed.stdout), contract);
    let second = include_str!("../../../wit/0.2/step.wit");
    for world in ["step@0.2", "reversible-step@0.2.0"] {
        let printed = Command::new(env!("CARGO_BIN_EXE_millrace")).args(["wit", "--world", world]).output().expect("it starts");
        assert_eq!(String::from_utf8_lossy(&printed.stdout), second, "{world}");
    }
    let unknown = Command::new(env!("CARGO_BIN_EXE_millrace")).args(["wit", "--world", "step@0.3"]).output().expect("it starts");
    let told = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success() && told.contains("it has step@0.1, reversible-step@0.1, step@0.2"), "{told}");
}

/// All files below a folder, by their paths.
fn files_in(folder: &Path) -> Vec<(String, String)> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(inside) = folders.pop() {
        for entry in std::fs::read_dir(inside).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it is below").to_string_lossy().into_owned();
                files.push((name, std::fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    files.sort();
    files
}

fn made(parent: &Path, name: &str, language: &str) -> Output {
    said(&["new", name, "--lang", language, "--in"], parent)
}

#[test]
fn a_new_folder_has_what_its_language_needs_under_its_own_name() {
    let parent = tempfile::tempdir().expect("a folder");
    for (language, wanted) in [
        ("rust", "Cargo.toml"),
        ("javascript", "package.json"),
        ("typescript", "tsconfig.json"),
        ("python", "requirements.txt"),
        ("go", "go.mod"),
        ("c", "step.c"),
    ] {
        let name = format!("check-in-{language}");
        let output = made(parent.path(), &name, language);
        assert!(output.status.success(), "{output:?}");
        let files = files_in(&parent.path().join(&name));
        for file in [wanted, "README.md", ".gitignore", "build.sh", "test.sh", "job.json", "wit/step.wit"] {
            assert!(files.iter().any(|(path, _)| path == file), "{language} has no {file}");
        }
        let left: Vec<&String> = files.iter().filter(|(_, text)| text.contains("{{")).map(|(path, _)| path).collect();
        assert!(left.is_empty(), "{language}: {left:?} are not filled in");
        assert!(files.iter().any(|(_, text)| text.contains(&format!("{name}.wasm"))), "{language} does not make {name}.wasm");
    }
}

#[test]
fn what_is_made_has_the_rights_that_the_user_gives_to_files() {
    let parent = tempfile::tempdir().expect("a folder");
    let new = [env!("CARGO_BIN_EXE_millrace"), "new", "fraud", "--lang", "go", "--in", "."];
    let output =
        Command::new("sh").args(["-c", "umask 027; exec \"$@\"", "sh"]).args(new).current_dir(parent.path()).output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let made = parent.path().join("fraud");
    for (path, rights) in [("", 0o750), ("rule", 0o750), ("wit/step.wit", 0o640), ("main.go", 0o640), ("build.sh", 0o750)] {
        let mode = std::fs::metadata(made.join(path)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, rights, "{path}");
    }
}

#[test]
fn a_folder_that_is_there_is_left_as_it_is_and_a_name_that_is_none_is_told() {
    let parent = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(parent.path().join("fraud")).expect("a folder");
    let output = made(parent.path(), "fraud", "rust");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("is there already, and is left as it is"), "{output:?}");
    assert!(files_in(&parent.path().join("fraud")).is_empty());
    for (name, language, says) in [
        ("../fraud", "rust", "lower-case letters"),
        ("Fraud", "rust", "lower-case letters"),
        ("fine", "cobol", "possible values: rust, javascript"),
    ] {
        let output = made(parent.path(), name, language);
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(says), "{name}: {output:?}");
    }
    let output = made(&parent.path().join("nowhere"), "fine", "python");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot make the folder"), "{output:?}");
}

/// A config with a component, comments and a variable that is not set here.
const CONFIG: &str = "# The shop.\nmodules:\n  # What is there already.\n  - name: worker\n    type: dynamic.component\n    config:\n      source: ./steps/worker.wasm # ours\n\n# The end.\n";

fn added(config: &Path, name: &str, file: &Path, more: &[&str]) -> Output {
    said(&[&["add", name, "--config", &config.to_string_lossy()], more].concat(), file)
}

#[test]
fn a_component_is_added_to_a_config_whose_comments_stay() {
    let (folder, file) = placed("built.wasm", &tiny("i32.const 96"));
    let config = folder.path().join("shop.yaml");
    std::fs::write(&config, CONFIG).expect("a config");
    let output = added(&config, "fraud-check", &file, &["--dry-run"]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("+  - name: fraud-check"), "{output:?}");
    assert_eq!(std::fs::read_to_string(&config).expect("a config"), CONFIG, "nothing is written for a trial");
    let output = added(&config, "fraud-check", &file, &["--grant", "stock=http://127.0.0.1:1"]);
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&config).expect("a config");
    let (before, after) = CONFIG.split_once("\n\n# The end.").expect("it has an end");
    assert!(text.starts_with(before) && text.ends_with(&format!("\n\n# The end.{after}")), "{text}");
    assert_eq!(std::fs::read(folder.path().join("steps/fraud-check.wasm")).expect("it is in place"), tiny("i32.const 96"));
    let checked = printed(&said(&["check", "-o", "json", "--component", "fraud-check", "--config", &config.to_string_lossy()], &file));
    assert_eq!((&checked["fits"], &checked["granted"]), (&json!(true), &json!(["http stock"])), "{checked}");
}

#[test]
fn what_was_added_or_put_in_place_is_compiled_once_for_all_commands() {
    for command in ["add", "dev"] {
        let (folder, file) = placed("worker.wasm", &tiny("i32.const 96"));
        let (config, cache) = (folder.path().join("shop.yaml"), folder.path().join("cache").to_string_lossy().into_owned());
        std::fs::write(&config, CONFIG).expect("a config");
        let output = if command == "add" {
            added(&config, "fraud-check", &file, &["--cache", &cache])
        } else {
            let step = folder.path().join("worker");
            std::fs::create_dir(&step).expect("a folder");
            std::fs::write(step.join("build.sh"), "#!/bin/sh\nexec cp ../worker.wasm worker.wasm\n").expect("a build");
            std::fs::set_permissions(step.join("build.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it can be run");
            said(&["dev", "--once", "--cache", &cache, "--config", &config.to_string_lossy()], &step)
        };
        assert!(output.status.success(), "{command}: {output:?}");
        let checked = printed(&said(&["check", "-o", "json", "--cache", &cache], &file));
        assert_eq!((&checked["fits"], &checked["compileSeconds"]), (&json!(true), &Value::Null), "{command}: {checked}");
    }
}

#[test]
fn what_would_make_a_config_wrong_is_not_added() {
    let (folder, file) = placed("built.wasm", &tiny("i32.const 96"));
    let config = folder.path().join("shop.yaml");
    let garbage = folder.path().join("garbage.wasm");
    std::fs::write(&garbage, b"hello, this is a text").expect("a file");
    for (text, name, file, says) in [
        (CONFIG, "worker", &file, "would be wrong with it, and is left as it is"),
        (CONFIG, "fraud-check", &garbage, "is a text file, not a component"),
        ("modules: []\n", "fraud-check", &file, "cannot be added to"),
        (CONFIG, "Fraud", &file, "lower-case letters"),
    ] {
        std::fs::write(&config, text).expect("a config");
        let output = added(&config, name, file, &[]);
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(says), "{says}: {output:?}");
        assert_eq!(std::fs::read_to_string(&config).expect("a config"), text);
        assert!(!folder.path().join("steps").exists(), "{says}");
    }
}

#[test]
fn a_folder_is_built_judged_and_put_in_place() {
    let (folder, _) = placed("ready", &tiny("i32.const 96"));
    let (config, step) = (folder.path().join("shop.yaml"), folder.path().join("worker"));
    std::fs::write(&config, CONFIG).expect("a config");
    std::fs::create_dir(&step).expect("a folder");
    let build = |script: &str| {
        std::fs::write(step.join("build.sh"), format!("#!/bin/sh\n{script}\n")).expect("a build");
        std::fs::set_permissions(step.join("build.sh"), std::fs::Permissions::from_mode(0o755)).expect("it can be run");
        said(&["dev", "--once", "--config", &config.to_string_lossy()], &step)
    };
    let output = build("cp ../ready worker.wasm");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("is in place after"), "{output:?}");
    let place = folder.path().join("steps/worker.wasm");
    let good = std::fs::read(&place).expect("it is in place");
    let rights = |file: &Path| std::fs::metadata(file).expect("it is there").permissions().mode();
    for made in [&place, &step.join("worker.wasm")] {
        assert_eq!(rights(made), rights(&folder.path().join("ready")), "a host of another user reads what this user's tools make");
    }
    for (script, says) in [("exit 3", "build.sh failed"), ("echo hello there > worker.wasm", "refused: ")] {
        let output = build(script);
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(says), "{script}: {output:?}");
        assert_eq!(std::fs::read(&place).expect("it is in place"), good, "what was good stays");
    }
}
